"""The C library's allocator while a base trains: memory that one step freed stays for the next.

glibc hands large blocks back to the system as soon as they are freed. A step frees its activations and asks for as much
again milliseconds later: a thousand and more page faults a step, each of them a page to clear.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of <malloc.h>
_NEVER_TRIM = 2**31 - 1
_LARGEST_ON_HEAP = 2**30
_GROWTH = 64 * 2**20


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for good; does nothing where the C library is not glibc.

    Only for processes that train: one that idles afterwards holds its peak. `malloc_trim` still gives it back.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for parameter, value in (
        (_MMAP_THRESHOLD, _LARGEST_ON_HEAP),
        (_TRIM_THRESHOLD, _NEVER_TRIM),
        (_TOP_PAD, _GROWTH),
    ):
        library.mallopt(parameter, value)
