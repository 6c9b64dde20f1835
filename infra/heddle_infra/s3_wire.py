"""Whole objects to and from an S3 server in the same network, by plain HTTP: what boto3 does, for a fifth of its time.

Drains of small fits write and read a handful of objects for each, and boto3's 2 ms of processor for a request were
a tenth of all they took.
"""

import http.client
import re
from typing import Final
from urllib.parse import urlsplit

from heddle_infra.plain_http import Answer, PlainHttp, is_plain
from heddle_infra.s3_errors import of_code
from heddle_infra.s3_signing import S3Signer
from heddle_platform.errors import HeddleError, PreconditionFailed, Unavailable
from heddle_platform.settings import ObjectStoreSettings

CONNECT_SECONDS: Final = 3.0
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_OK: Final = 200


class S3Wire:
    """Puts and gets; see `ObjectStore`."""

    def __init__(self, settings: ObjectStoreSettings, signer: S3Signer) -> None:
        self._signer = signer
        self._host = urlsplit(settings.s3_endpoint_url).netloc
        self._http = PlainHttp(
            self._host,
            connect_seconds=min(CONNECT_SECONDS, settings.s3_timeout_seconds),
            read_seconds=settings.s3_timeout_seconds,
        )

    def put(self, key: str, data: bytes, *, if_absent: bool, if_version: str | None) -> str:
        """Write an object whole; return its version."""
        condition: dict[str, str] = {}
        if if_absent:
            condition["If-None-Match"] = "*"
        elif if_version is not None:
            condition["If-Match"] = f'"{if_version}"'
        answer = self._send("PUT", key, data, condition)
        if answer.status == _OK:
            return answer.headers.get("etag", "").strip('"')
        if if_version is not None and _code_of(answer) in ("NoSuchKey", "404"):  # AWS's word for If-Match on none
            raise PreconditionFailed(f"{key!r} does not exist, so it has no version to replace")
        raise _error_of(answer, key)

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        answer = self._send("GET", key, b"", {})
        if answer.status != _OK:
            raise _error_of(answer, key)
        return answer.body

    def _send(self, method: str, key: str, data: bytes, condition: dict[str, str]) -> Answer:
        headers = self._signer.headers(method, self._host, key, data) | condition
        try:
            return self._http.request(method, self._signer.path(key), headers, data if method == "PUT" else None)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"the object store cannot be reached ({type(error).__name__}); try again in a moment"
            ) from error


def wire_of(settings: ObjectStoreSettings, signer: S3Signer) -> S3Wire | None:
    """Return a wire to the store; None where it is reached by TLS, through a proxy, or below a path."""
    plain = is_plain(settings.s3_endpoint_url) and urlsplit(settings.s3_endpoint_url).path in ("", "/")
    return S3Wire(settings, signer) if plain else None


def _code_of(answer: Answer) -> str:
    found = _CODE.search(answer.body)
    return found.group(1).decode() if found else str(answer.status)


def _error_of(answer: Answer, key: str) -> HeddleError:
    return of_code(_code_of(answer), key)
