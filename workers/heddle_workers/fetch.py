"""Fetching: how a task reads the few objects it was given presigned addresses of; it holds no credential."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import BinaryIO

import urllib3
from urllib3.exceptions import HTTPError

from heddle_infra.s3_wire import CONNECT_SECONDS, connection_options, reason_of
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import DataCorrupt, TooLarge, Unavailable

_TIMEOUT_SECONDS = 20.0
_CHUNK_BYTES = 1024**2


@dataclass(frozen=True)
class Fetched:
    """A fetched file: open for reading, its length in bytes and its SHA-256."""

    file: BinaryIO
    size: int
    sha256: str


@contextmanager
def fetched_file(url: str, *, max_bytes: int) -> Iterator[Fetched]:
    """Stream an object into a file without a name: a killed worker leaves nothing of a tenant behind.

    Args:
        url: presigned GET.
        max_bytes: longest object taken.

    Raises:
        TooLarge: code `object_too_large`.
        DataCorrupt: code `object_missing`.
        Unavailable: the store cannot be reached or the address expired; a fresh one may work.
    """
    size, digest = 0, hashlib.sha256()
    with tempfile.TemporaryFile(prefix="heddle-") as file:
        for chunk in _chunks(url, max_bytes):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        file.seek(0)
        yield Fetched(file, size, digest.hexdigest())


def fetch_bytes(url: str, *, max_bytes: int, sha256: str | None = None) -> bytes:
    """Read an object into memory.

    Args:
        url: presigned GET.
        max_bytes: longest object taken.
        sha256: what its digest must be.

    Raises:
        TooLarge: code `object_too_large`.
        DataCorrupt: code `object_missing`, or `digest_mismatch` if the bytes are others.
        Unavailable: the store cannot be reached or the address expired.
    """
    data = b"".join(_chunks(url, max_bytes))
    if sha256 is not None and (found := sha256_hex(data)) != sha256:
        raise DataCorrupt(f"an object has digest {found}, it must be {sha256}; ask support", code="digest_mismatch")
    return data


@lru_cache(maxsize=1)
def _connections() -> urllib3.PoolManager:
    # the store is reached directly, whatever proxies the machine knows
    return urllib3.PoolManager(**connection_options(connect_seconds=CONNECT_SECONDS, read_seconds=_TIMEOUT_SECONDS))


def _chunks(url: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    try:
        with _connections().urlopen("GET", url, redirect=False, preload_content=False) as response:
            _check(response.status)
            if (response.length_remaining or 0) > max_bytes:
                raise _too_large(max_bytes)
            for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                yield chunk
    except HTTPError as error:
        reason = reason_of(error)
        raise Unavailable(f"the object store cannot be reached ({type(reason).__name__})") from reason


def _check(status: int) -> None:
    if status == HTTPStatus.NOT_FOUND:
        raise DataCorrupt("an object the job needs is not in the store any more", code="object_missing")
    if status != HTTPStatus.OK:
        raise Unavailable(f"the object store answered {status}; the job will be tried again")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the object has more than {max_bytes} bytes", code="object_too_large")
