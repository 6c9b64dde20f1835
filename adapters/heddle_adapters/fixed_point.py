"""Fixed point: rows of numbers in 16 to 24 bits each, every row scaled by its own largest, to hold many of them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Singles

_HIGH: Final = 16
SCALE_BYTES: Final = 2


def pack_rows(values_RN: NDArray[Any], bits: int) -> bytes:
    """Return rows as bytes; a number is off by at most its row's largest times 1.01 / 2^bits.

    Args:
        values_RN: finite numbers, R rows of N.
        bits: of one number, 16 to 24.
    """
    values_RN = np.asarray(values_RN, dtype=np.float64)
    # scales are float32 cut to their upper half, rounded up so that the largest number still fits
    scale_R = np.abs(values_RN).max(axis=1, initial=0.0).astype(np.float32)
    upper_R = np.minimum((scale_R.view(np.uint32) + np.uint32(0xFFFF)) >> np.uint32(16), 0x7F7F).astype("<u2")
    scale_R = _scales(upper_R)
    most = (1 << bits) - 1
    safe_R = np.where(scale_R > 0.0, scale_R, 1.0).astype(np.float64)
    steps = np.rint((values_RN / safe_R[:, None] + 1.0) * (most / 2.0)).clip(0, most).astype(np.uint32).ravel()
    extra = bits - _HIGH
    high, low = (steps >> extra).astype("<u2").tobytes(), b""
    if extra:
        lowest = (steps & ((1 << extra) - 1)).astype(np.uint8)
        low = np.packbits(np.unpackbits(lowest[:, None], axis=1)[:, -extra:]).tobytes()
    packed: bytes = upper_R.tobytes() + high + low
    return packed


def packed_bytes(rows: int, columns: int, bits: int) -> int:
    """Return how long `pack_rows` makes so many numbers."""
    count = rows * columns
    return SCALE_BYTES * rows + 2 * count + (count * (bits - _HIGH) + 7) // 8


def unpack_rows(data: bytes | memoryview, rows: int, columns: int, bits: int) -> Singles:
    """Return what `pack_rows` packed, [R, N]."""
    count, extra = rows * columns, bits - _HIGH
    scale_R = _scales(np.frombuffer(data, "<u2", rows)).astype(np.float64)
    steps: NDArray[Any] = np.frombuffer(data, "<u2", count, SCALE_BYTES * rows).astype(np.uint32)
    if extra:
        packed = np.frombuffer(data, np.uint8, offset=SCALE_BYTES * rows + 2 * count)
        low = np.unpackbits(packed, count=count * extra).reshape(count, extra)
        padded = np.concatenate([np.zeros((count, 8 - extra), np.uint8), low], axis=1)
        steps = (steps << extra) | np.packbits(padded, axis=1)[:, 0]
    values_RN = (steps * (2.0 / ((1 << bits) - 1)) - 1.0).reshape(rows, columns) * scale_R[:, None]
    return values_RN.astype(np.float32)


def _scales(upper_R: NDArray[np.uint16]) -> Singles:
    return (upper_R.astype(np.uint32) << np.uint32(16)).view(np.float32)
