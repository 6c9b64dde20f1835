"""A zip whose bytes depend on its members alone: no clock, no order of insertion, no compressor's version."""

import io
import math
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_NPY: Final = b"\x93NUMPY\x01\x00"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's zero: no clock in a content address


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Return the members as a zip: sorted names, fixed dates, stored without compression."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.external_attr = 0o600 << 16
            info.create_system = 3
            archive.writestr(info, members[name])
    return out.getvalue()


def npy_bytes(array: Any) -> bytes:
    """Return an array as a little-endian `.npy` without pickle."""
    out = io.BytesIO()
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.lib.format.write_array(out, little, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def npy_array(data: bytes) -> NDArray[Any]:
    """Return the array of what `npy_bytes` wrote, as `np.load` does.

    The header is Python source, and compiling it takes longer than reading the array: ten of them were most of
    what an edge spent on unpacking an adapter. They are few, whatever the arrays hold, and are read once.

    Raises:
        ValueError: the bytes are none, are cut short or are too many, or hold objects.
    """
    if data[:8] != _NPY:
        raise ValueError("these bytes are no .npy of version 1.0")
    begin = 10 + int.from_bytes(data[8:10], "little")
    shape, dtype = _layout(data[8:begin])
    if len(data) - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} has {len(data) - begin} bytes")
    return np.frombuffer(data, dtype, offset=begin).reshape(shape).copy()


@lru_cache(maxsize=4096)
def _layout(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header))
    if by_columns or dtype.hasobject:
        raise ValueError("only arrays by rows, of numbers, are read")
    return shape, dtype
