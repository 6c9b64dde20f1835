"""Uploading: announced with size and SHA-256, sent in parts straight to the object store, completed."""

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import httpx

from heddle_api.client.errors import ApiError, Unreachable, error_of
from heddle_api.client.transport import Patience, Transport

Progress = Callable[[int, int], None]
_BLOCK: Final = 1024**2
_TOLD_BYTES: Final = 256 * 1024  # between two reports of progress: on a slow line a part of 16 MB takes minutes


class PartSender:
    """PUTs parts to presigned URLs: a client of its own, for the API key must not reach the object store."""

    def __init__(self, patience: Patience, timeout_seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._http = httpx.Client(timeout=timeout_seconds)
        self._patience = patience
        self._sleep = sleep

    def put(self, part: dict[str, Any], data: bytes, told: Callable[[int], object] = lambda _: None) -> str:
        """Send one part and return its ETag.

        Args:
            part: number, address and headers.
            data: its bytes.
            told: how many of them are sent, again and again; fewer than before where it is begun anew.

        Raises:
            ApiError: the object store refused it.
            Unreachable: the object store does not answer.
        """
        headers = {**part["headers"], "Content-Length": str(len(data))}  # stores take no body of unknown length
        for failures in range(1, self._patience.attempts + 1):
            try:
                response = self._http.put(part["url"], content=_pieces(data, told), headers=headers)
            except httpx.TransportError as error:
                failure: ApiError = Unreachable(
                    0,
                    {"code": "unreachable", "detail": f"the object store does not answer: {error}", "retryable": True},
                )
            else:
                if response.is_success:
                    return response.headers["ETag"]
                failure = error_of(response)
                if response.status_code < 500:
                    raise failure
            if failures < self._patience.attempts:
                self._sleep(self._patience.wait_seconds(failures, None))
        raise failure

    def close(self) -> None:
        """Release connections."""
        self._http.close()


def upload(
    transport: Transport, sender: PartSender, source: bytes | Path, filename: str, progress: Progress | None
) -> str:
    """Send bytes or a file and return the id of the completed upload.

    Args:
        transport: the control plane.
        sender: sends the parts.
        source: what to send; a file is read twice, never whole.
        filename: shown to people.
        progress: told bytes sent and bytes in all, as they go out.
    """
    tell = _forward(progress)
    with _open(source) as file:
        size, digest = _measure(file)
        begun = transport.json("POST", "/v1/uploads", {"filename": filename, "bytes": size, "sha256": digest})
        sent: list[dict[str, Any]] = []
        file.seek(0)
        for part in begun["parts"]:
            before = file.tell()

            def told(done: int, before: int = before) -> None:
                tell(before + done, size)

            etag = sender.put(part, file.read(part["bytes"]), told)
            sent.append({"number": part["number"], "etag": etag})
    transport.json("POST", f"/v1/uploads/{begun['id']}/complete", {"parts": sent})
    return str(begun["id"])


def _forward(progress: Progress | None) -> Progress:
    """Return what tells of progress only where there is some: a part that is sent again says nothing new."""
    most = 0

    def tell(sent: int, size: int) -> None:
        nonlocal most
        if progress is not None and sent > most:
            most = sent
            progress(sent, size)

    return tell


def _pieces(data: bytes, told: Callable[[int], object]) -> Iterator[bytes]:
    for start in range(0, len(data), _TOLD_BYTES):
        piece = data[start : start + _TOLD_BYTES]
        yield piece
        told(start + len(piece))


def _open(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _measure(file: IO[bytes]) -> tuple[int, str]:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return file.tell(), digest.hexdigest()
