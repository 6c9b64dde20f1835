"""A zip whose bytes depend on its members alone: no clock, no order of insertion, no compressor's version."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

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
