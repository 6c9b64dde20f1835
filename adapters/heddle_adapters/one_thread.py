"""One thread for linear algebra, so that sums come out the same on every machine; cheap to ask for again and again.

threadpoolctl reads the process's whole memory map to find the libraries, some milliseconds each time, and a fit asks a
dozen times. The map is read again only when one of the modules that bring such a library has been loaded since.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_BRINGERS = ("numpy", "scipy.linalg", "sklearn.utils._openmp_helpers", "torch", "onnxruntime")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block."""
    with _controller(tuple(name in sys.modules for name in _BRINGERS)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller(_loaded: tuple[bool, ...]) -> ThreadpoolController:
    return ThreadpoolController()
