"""Stopwatch: seconds an edit spent per stage, for `Server-Timing` and the metrics."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Sums up stages; started when made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's time to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add times measured elsewhere."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    def header(self) -> str:
        """Return the `Server-Timing` value: milliseconds per stage and in all."""
        total = {**self.seconds, "total": time.perf_counter() - self._started}
        return ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in total.items())
