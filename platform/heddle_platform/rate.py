"""Rates: how many requests somebody may make, and the arithmetic that decides about the next one.

The generic cell rate algorithm (ITU-T I.371): one number per bucket, the moment at which it will be full again. A
request moves it one interval on; a request that would move it further than a whole burst ahead is refused. The same
arithmetic stands once more in Lua, where many processes share a bucket; a test compares the two.
"""

import math
from dataclasses import dataclass
from typing import Final

MICROSECONDS: Final = 1_000_000
_ROUNDING: Final = 1e-6  # of a request: what is whole in exact arithmetic may come out a hair less


@dataclass(frozen=True)
class Rate:
    """A bucket: `burst` requests at once when it is full, and `per_second` of them come back each second."""

    per_second: float
    burst: int

    @property
    def interval_microseconds(self) -> float:
        """How long it takes for one request to come back."""
        return MICROSECONDS / self.per_second

    @property
    def window_seconds(self) -> int:
        """How long it takes to fill an empty bucket, in whole seconds, at least one."""
        return max(1, math.ceil(self.burst / self.per_second))


@dataclass(frozen=True)
class Taken:
    """What became of a request.

    Attributes:
        allowed: whether it may go on.
        remaining: how many more may follow at once.
        retry_after_seconds: when the next one will be allowed; 0 if this one was.
        reset_seconds: when the bucket will be full again.
    """

    allowed: bool
    remaining: int
    retry_after_seconds: float
    reset_seconds: float


def take(full_at: float, now: float, rate: Rate, requests: int = 1) -> tuple[float, Taken]:
    """Decide about one request, or about several that pass together or not at all.

    Args:
        full_at: when the bucket is full again, in microseconds; 0 for a bucket never seen.
        now: the present, on the same clock.
        rate: the bucket.
        requests: how many.

    Returns:
        When the bucket will be full after them, and what became of them.
    """
    interval = rate.interval_microseconds
    full_at = max(full_at, now)
    after = full_at + requests * interval
    opens = after - rate.burst * interval
    if now < opens:
        remaining = max(0, math.floor((now + rate.burst * interval - full_at) / interval + _ROUNDING))
        return full_at, Taken(False, remaining, (opens - now) / MICROSECONDS, (full_at - now) / MICROSECONDS)
    return after, Taken(True, math.floor((now - opens) / interval + _ROUNDING), 0.0, (after - now) / MICROSECONDS)
