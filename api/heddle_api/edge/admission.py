"""Admission: how many bytes of request bodies may be in memory at once, over all callers, and how many requests of
one caller: what one floods with must not keep the event loop from the others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from heddle_platform.errors import Unavailable


class Admission:
    """Lets requests in until a bound is reached. For one event loop."""

    def __init__(self, *, most_bytes: int, most_of_one: int = 64) -> None:
        """Make a gate.

        Args:
            most_bytes: at least one body of the largest size taken must fit.
            most_of_one: requests of one caller at once.
        """
        self._most_bytes = most_bytes
        self._most_of_one = most_of_one
        self._held_bytes = 0
        self._held_by: Counter[str] = Counter()

    @contextmanager
    def hold(self, body_bytes: int, caller: str = "") -> Iterator[None]:
        """Count a body while the block runs.

        Args:
            body_bytes: its size.
            caller: whose request it is.

        Raises:
            Unavailable: code `overloaded`: it does not fit now.
        """
        if self._held_by[caller] >= self._most_of_one:
            raise Unavailable(
                f"{self._held_by[caller]} requests of yours are under way here, at most {self._most_of_one} may be; "
                "wait for answers before you send more",
                code="overloaded",
            )
        if self._held_bytes + body_bytes > self._most_bytes:
            raise Unavailable(
                f"requests under way hold {self._held_bytes} bytes, at most {self._most_bytes} may be held and yours "
                f"needs {body_bytes}; try again in a second",
                code="overloaded",
            )
        self._held_bytes += body_bytes
        self._held_by[caller] += 1
        try:
            yield
        finally:
            self._held_bytes -= body_bytes
            self._held_by[caller] -= 1
            if not self._held_by[caller]:
                del self._held_by[caller]
