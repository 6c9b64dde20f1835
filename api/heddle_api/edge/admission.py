"""Admission: how many bytes of request bodies may be in memory at once, over all callers."""

from collections.abc import Iterator
from contextlib import contextmanager

from heddle_platform.errors import Unavailable


class Admission:
    """Lets requests in until their bodies together reach the bound. For one event loop."""

    def __init__(self, *, most_bytes: int) -> None:
        """Make a gate.

        Args:
            most_bytes: at least one body of the largest size taken must fit.
        """
        self._most_bytes = most_bytes
        self._held_bytes = 0

    @contextmanager
    def hold(self, body_bytes: int) -> Iterator[None]:
        """Count a body while the block runs.

        Raises:
            Unavailable: code `overloaded`: it does not fit now.
        """
        if self._held_bytes + body_bytes > self._most_bytes:
            raise Unavailable(
                f"requests under way hold {self._held_bytes} bytes, at most {self._most_bytes} may be held and yours "
                f"needs {body_bytes}; try again in a second",
                code="overloaded",
            )
        self._held_bytes += body_bytes
        try:
            yield
        finally:
            self._held_bytes -= body_bytes
