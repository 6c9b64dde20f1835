"""The C library's allocator while a base trains or small fits run: memory that one step freed stays for the next.

glibc hands large blocks back to the system as soon as they are freed. A step frees its activations and asks for as much
again milliseconds later: a thousand and more page faults a step, each of them a page to clear; and over three thousand
a small fit, in a process that is told to give back what it frees.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of <malloc.h>
_NEVER = 2**31 - 1
_ON_HEAP, _ON_OLDER_HEAP = 2**30, 2**25  # bytes; before 2.35 glibc refuses more than the second
_GROWTH = 2**26  # bytes by which the heap grows


def keep_freed_memory() -> None:
    """Let this process keep what it frees; does nothing where the C library is not glibc.

    Only for work that ends in a `malloc_trim`, or with its process: until then it holds its peak.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    set_option = ctypes.CDLL(None).mallopt
    if not set_option(_MMAP_THRESHOLD, _ON_HEAP):
        set_option(_MMAP_THRESHOLD, _ON_OLDER_HEAP)
    set_option(_TRIM_THRESHOLD, _NEVER)
    set_option(_TOP_PAD, _GROWTH)
