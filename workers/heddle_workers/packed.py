"""Packing: the files of a small version that are read rarely, as one object.

An object costs the store several milliseconds, whatever its size, and most pages of a fleet are never opened. What the
edges read by the thousand (the matrices) stays apart.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from heddle_adapters.sealed_zip import zipped
from heddle_platform.packs import PACK_FILE
from heddle_workers.fitted import ADAPTER_FILE, Fitted

_APART: Final = (ADAPTER_FILE,)


def packed(fitted: Fitted) -> Fitted:
    """Return what was fitted with its lesser files in one; the same files give the same bytes."""
    apart = {name: data for name, data in fitted.files.items() if name in _APART}
    rest: Mapping[str, bytes] = {name: data for name, data in fitted.files.items() if name not in _APART}
    return replace(fitted, files={**apart, PACK_FILE: zipped(rest)})
