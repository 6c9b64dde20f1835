"""PNG files of small pictures, written in a third of the time Pillow takes for them and at about the same length.

Every row is filtered as its difference to the pixel on the left (PNG 3rd edition, 9.2: "Sub") and compressed by runs
and Huffman codes alone (zlib Z_RLE). Choosing a filter for each row and looking for longer repetitions pays for large
pictures only, and those are left to Pillow. (Measured at 64 x 64: what a base draws 1 % shorter than Pillow's level 3,
rendered avatars 6 % longer, a bare colour ramp nearly twice as long.)
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_SUB: Final = 1
_END: Final = b"\0\0\0\0IEND\xaeB`\x82"


def small_png(image_HWC: NDArray[np.uint8]) -> bytes:
    """Write an RGB picture as a PNG file; the same pixels give the same bytes.

    Args:
        image_HWC: uint8 [H, W, 3].
    """
    height, width, channels = image_HWC.shape
    rows_HB = image_HWC.reshape(height, width * channels)
    filtered_HB = np.empty((height, 1 + width * channels), np.uint8)
    filtered_HB[:, 0] = _SUB
    filtered_HB[:, 1 : 1 + channels] = rows_HB[:, :channels]
    np.subtract(rows_HB[:, channels:], rows_HB[:, :-channels], out=filtered_HB[:, 1 + channels :])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    data = packer.compress(filtered_HB.tobytes()) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _END))


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
