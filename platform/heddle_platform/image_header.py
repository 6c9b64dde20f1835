"""Image headers: what kind of image some bytes are and how large, found without decoding a single pixel.

A decoder that is asked to open a bomb has often allocated before it can be asked for the size (libwebp makes
two whole canvases), so the size is read here by hand, from the file formats' own documents.
"""

import struct
from dataclasses import dataclass
from typing import Final, Literal

from heddle_platform.errors import InvalidInput

MediaType = Literal["image/png", "image/jpeg", "image/webp"]

# ITU T.81 table B.1: frames that carry a size (C4, C8 and CC are tables)
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


# media type -> how such a file's name ends
SUFFIXES: Final[dict[MediaType, str]] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True)
class ImageHeader:
    """Kind and size of an image in pixels, as its header declares them (before any EXIF turn)."""

    media_type: MediaType
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader:
    """Read kind and size from the first bytes; the signature decides, never a file name.

    Args:
        data: a whole file, or at least its head.

    Raises:
        InvalidInput: codes `unsupported_image` (neither PNG, JPEG nor WebP), `image_damaged` (cut off or
            nonsense before the size).
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            header = ImageHeader("image/png", *_png_size(data))
        elif data.startswith(b"\xff\xd8\xff"):
            header = ImageHeader("image/jpeg", *_jpeg_size(data))
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            header = ImageHeader("image/webp", *_webp_size(data))
        else:
            raise InvalidInput(
                f"these {len(data)} bytes are not an image we know; send a PNG, JPEG or WebP file",
                code="unsupported_image",
                param="image",
            )
    except (struct.error, IndexError):
        raise damaged("it ends before its size is given") from None
    if header.width < 1 or header.height < 1:
        raise damaged(f"its header says {header.width} x {header.height} pixels")
    return header


def damaged(reason: str) -> InvalidInput:
    """Return the error for an image that cannot be read, with what was found wrong."""
    return InvalidInput(
        f"the image is damaged: {reason}; send the whole, unbroken file", code="image_damaged", param="image"
    )


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":  # PNG 3rd edition, 5.6: IHDR comes first
        raise damaged("its first chunk is not IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise damaged(f"a marker is missing at byte {at}")
        while data[at] == 0xFF:  # T.81 B.1.1.2: any number of fill bytes
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker in {0xD9, 0xDA}:
            raise damaged("it has no frame header")
        if marker not in _JPEG_BARE:
            at += struct.unpack_from(">H", data, at)[0]


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":  # RFC 9649, 2.7: canvas size minus one, 24 bits each
        width_le, height_le = struct.unpack_from("<3s3s", data, 24)
        return 1 + int.from_bytes(width_le, "little"), 1 + int.from_bytes(height_le, "little")
    if chunk == b"VP8L":  # RFC 9649, 3.4: signature byte, then 14 bits each of size minus one
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":  # RFC 6386, 9.1: 14 bits each after the start code
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise damaged("its first chunk is none that a WebP starts with")
