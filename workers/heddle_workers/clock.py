"""A clock for logs: how long each named part of some work took. Nothing it says enters a stored file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds per part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Note how long the block took, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(time.perf_counter() - start, 3)
