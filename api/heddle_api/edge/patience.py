"""Patience: whose it is that an edit came late, its caller's or the replica's.

Where others were before it, the replica has too much to do, and says 503: the same request may be in time later. Where
an edit had the replica to itself, it takes longer than its caller waits, and will the next time: that is for the caller
to change, and a 422. Edits of batches give way to all others and count for nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from heddle_platform.errors import InvalidInput, Unavailable


class Patience:
    """Notes which edits are under way. For one event loop."""

    def __init__(self, most_seconds: float) -> None:
        """Make one that knows of no edit.

        Args:
            most_seconds: how long the platform itself waits for an edit.
        """
        self._most_seconds = most_seconds
        self._came = 0
        self._under_way = 0

    @contextmanager
    def of(self, asked_seconds: float | None) -> Iterator[None]:
        """Do an edit in the block.

        Args:
            asked_seconds: how long its caller waits; None: as long as the platform does.

        Raises:
            InvalidInput: code `deadline_too_short`: the edit was late by its caller's deadline, and alone.
            Unavailable: code `deadline_exceeded`, where it was not.
        """
        alone = self._under_way == 0
        self._came += 1
        self._under_way += 1
        place = self._came
        try:
            yield
        except Unavailable as error:
            own = asked_seconds is not None and asked_seconds < self._most_seconds
            if error.code != "deadline_exceeded" or not own or not alone or place != self._came:
                raise
            raise InvalidInput(
                f"X-Deadline-Ms is {1000 * (asked_seconds or 0):.0f}, and this takes longer although nothing else was "
                "to be done; send a longer one, or none",
                code="deadline_too_short",
                param="X-Deadline-Ms",
            ) from None
        finally:
            self._under_way -= 1
