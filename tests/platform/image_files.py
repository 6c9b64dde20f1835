"""Image files made by hand and by Pillow, honest and hostile, for tests of decoding."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heddle_platform.errors import HeddleError
from heddle_platform.image_header import MediaType
from heddle_platform.pixels import decode

TYPES: tuple[MediaType, ...] = ("image/png", "image/jpeg", "image/webp")
MAX_BYTES = 1_000_000
MAX_PIXELS = 1_000_000


def decoded(data: bytes) -> NDArray[np.uint8]:
    return decode(data, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)


def outcome(data: bytes) -> tuple[str | None, NDArray[np.uint8] | None]:
    """The code of the refusal, or the pixels."""
    try:
        return None, decoded(data)
    except HeddleError as error:
        return error.code, None


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, colour: int, raw: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb_png(width: int = 20_000, height: int = 20_000) -> bytes:
    """A file of 50 kilobytes that a decoder turns into 400 MB (1.2 GB as RGB)."""
    squeeze = zlib.compressobj(9)
    row = b"\0" * (1 + width // 8)
    body = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def header_jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\0" + b"\xff\xd9"


def header_webp(width: int, height: int) -> bytes:
    body = b"\x10\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBP" + b"VP8X" + struct.pack("<I", 10) + body


def photo() -> NDArray[np.uint8]:
    """A small picture of smooth colours."""
    across, down = np.meshgrid(np.arange(48), np.arange(40))
    return np.stack([across * 5, down * 6, 255 - across * 2 - down], axis=2).astype(np.uint8)
