"""Settling: what a process has imported and built at its start is not searched for garbage ever again.

A full collection looks at every object, and a plane has two hundred thousand of them before its first request: each
stalls all requests for a tenth of a second. What is made once and kept for ever needs no look.
"""

import gc


def settle() -> None:
    """Collect, and keep what is left out of later collections; to be called when the process is ready to work.

    Once in a process: a second call does nothing, for what was made since may be garbage one day.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
