"""Image metadata: where a picture was taken, by whom and with what, cut out of a file without touching its pixels.

Only what decides how the pixels look is kept: colour profile, gamma, transparency, Adobe's colour transform, and an
EXIF block of nothing but the orientation where there is one. Segments and chunks are dropped whole, so nothing is
decoded and nothing lost.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image

from heddle_platform.image_header import read_header

_ORIENTATION: Final = 0x0112
# PNG 3rd edition, 11.3: what changes how pixels look; text, time, EXIF and private chunks do not
_PNG_KEPT: Final = frozenset(
    {
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"gAMA",
        b"cHRM",
        b"sRGB",
        b"iCCP",
        b"cICP",
        b"sBIT",
        b"bKGD",
        b"pHYs",
    }
)
_WEBP_KEPT: Final = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"})
_WEBP_EXIF_FLAG: Final = 0x08
_WEBP_XMP_FLAG: Final = 0x04
# ITU T.81 table B.1: APP0 (JFIF), APP2 (ICC) and APP14 (Adobe) decide colours; the others and comments tell stories
_JPEG_DROPPED: Final = frozenset({0xE1, *range(0xE3, 0xEE), 0xEF, 0xFE})
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_ICC_MARK: Final = b"ICC_PROFILE\0"


def strip_metadata(data: bytes) -> bytes:
    """Return a PNG, JPEG or WebP file without metadata; the very same object if it has none.

    Args:
        data: a whole file that `pixels.decode` accepts; it decodes to the same pixels afterwards.

    Raises:
        InvalidInput: code `unsupported_image`.
    """
    kind = read_header(data).media_type
    try:
        if kind == "image/png":
            stripped = _strip_png(data)
        elif kind == "image/jpeg":
            stripped = _strip_jpeg(data)
        else:
            stripped = _strip_webp(data)
    except (struct.error, IndexError):  # odd at its end, but decoders take it
        return data
    return data if stripped == data else stripped


def _strip_png(data: bytes) -> bytes:
    kept = [data[:8]]
    for kind, chunk in _png_chunks(data):
        if kind in _PNG_KEPT:
            kept.append(chunk)
        elif kind == b"eXIf" and (exif := _orientation_only(chunk[8:-4])):
            kept.append(_png_chunk(b"eXIf", exif))
    return b"".join(kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at : at + 12 + length]
        at += 12 + length
        if data[at - length - 8 : at - length - 4] == b"IEND":  # whatever lies behind the end is no picture
            return


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _strip_jpeg(data: bytes) -> bytes:
    kept = [data[:2]]
    at = 2
    while True:
        start = at
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_BARE:
            kept.append(data[start:at])
            continue
        if marker == 0xD9:
            kept.append(data[start:at])
            return b"".join(kept)
        end = at + struct.unpack_from(">H", data, at)[0]
        segment = data[start:end]
        if marker == 0xDA:  # scans: compressed data up to the next marker that is none of theirs
            end = _end_of_scan(data, end)
            kept.append(data[start:end])
        elif marker == 0xE1 and (exif := _jpeg_orientation(data[at + 2 : end])):
            kept.append(exif)
        elif marker == 0xE2:
            kept.append(segment if data[at + 2 : end].startswith(_ICC_MARK) else b"")
        elif marker not in _JPEG_DROPPED:
            kept.append(segment)
        at = end


def _end_of_scan(data: bytes, at: int) -> int:
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        following = data[at + 1]
        if following != 0 and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return at
        at += 1 if following == 0xFF else 2


def _jpeg_orientation(body: bytes) -> bytes:
    if not body.startswith(b"Exif\0\0") or not (exif := _orientation_only(body[6:])):
        return b""
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif


def _strip_webp(data: bytes) -> bytes:
    kept: list[tuple[bytes, bytes]] = []
    exif = b""
    at, end = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while at + 8 <= end:
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        if kind in _WEBP_KEPT:
            kept.append((kind, body))
        elif kind == b"EXIF":
            exif = _orientation_only(body.removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    if kept and kept[0][0] == b"VP8X":
        flags = kept[0][1][0] & ~_WEBP_XMP_FLAG & ~_WEBP_EXIF_FLAG | (_WEBP_EXIF_FLAG if exif else 0)
        kept[0] = (b"VP8X", bytes([flags]) + kept[0][1][1:])
        if exif:
            kept.append((b"EXIF", exif))
    chunks = b"".join(kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in kept)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _orientation_only(block: bytes) -> bytes:
    """Return a TIFF block that says the orientation and nothing else; empty where there is none to carry out."""
    try:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + block)
        turn = int(exif.get(_ORIENTATION, 1))
    except Exception:  # the parser raises many types on hostile blocks; a broken one turns nothing
        return b""
    if not 2 <= turn <= 8:
        return b""
    # TIFF 6.0, section 2: little-endian header, one directory of one short
    out = io.BytesIO()
    out.write(b"II*\0" + struct.pack("<IH", 8, 1))
    out.write(struct.pack("<HHIHH", _ORIENTATION, 3, 1, turn, 0) + struct.pack("<I", 0))
    return out.getvalue()
