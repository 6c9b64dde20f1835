"""Memory: what a task needed goes back to the machine when it is over."""

import contextlib
import ctypes
import gc


def return_memory() -> None:
    """Free what nobody holds, and give freed memory back.

    glibc keeps what a process once had for its next need: a worker that idles after a large fit would hold hundreds of
    megabytes. Other C libraries have no such call, and need none.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
