"""What is there when a process settles is not looked at again; what comes later is."""

import gc
import weakref

from heddle_platform.settled import settle


class Node:
    def __init__(self) -> None:
        self.own: object = self


def test_later_garbage_is_still_collected() -> None:
    try:
        settle()
        assert gc.get_freeze_count() > 1_000
        node = Node()
        gone = weakref.ref(node)
        del node
        gc.collect()
        assert gone() is None
    finally:
        gc.unfreeze()
