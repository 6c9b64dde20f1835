"""Whole requests for edits as bytes, made before a clock starts: a client must cost less than what it measures."""

import struct
import zlib
from collections.abc import Mapping

_BOUNDARY = "bench"


def unlike(image: bytes, number: int) -> bytes:
    """Return the same picture in bytes nobody has sent yet, so that no cache knows it."""
    text = b"tEXtn\0" + b"%d" % number
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return image[:-12] + chunk + image[-12:]


def post(path: str, key: str, fields: Mapping[str, str], image: bytes) -> bytes:
    """Return a POST of a form with an image, on a connection that is kept."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    head += "Content-Type: image/png\r\n\r\n"
    body = b"".join([*parts, head.encode(), image, f"\r\n--{_BOUNDARY}--\r\n".encode()])
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
