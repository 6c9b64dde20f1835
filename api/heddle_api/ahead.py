"""Ahead: requests taken out of a shared bucket before they come.

A call to the cache for each of a stream would cost more than a cached edit. Never more pass than the rate says, over
all replicas: what is taken ahead is out of the bucket. In exchange, where a stream stops, what it left over is lost to
the tenant: as much as comes in a twentieth of a second, and at most a hundredth of its burst.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from heddle_platform.ports import Cache
from heddle_platform.rate import Rate, Taken

_SECONDS: Final = 0.1  # for how long what was taken ahead may be used
_QUICK_SECONDS: Final = 0.025  # what was used up in less was too little
_SHARE: Final = 100  # of a burst, and of what comes back in a second, one in so many may be taken ahead
_MOST_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Stock:
    """What is left of the requests taken out of one bucket."""

    rate: Rate
    size: int = 1
    left: int = 0
    remaining: int = 0
    reset_seconds: float = 0.0
    since: float = float("-inf")
    asked: asyncio.Event | None = None
    promised: int = 0

    def wanted(self, now: float) -> int:
        """Return how many to take out now."""
        if now >= self.since + _SECONDS:
            return 1
        most = max(1, int(min(self.rate.burst, self.rate.per_second)) // _SHARE)
        return min(most, 2 * self.size if now < self.since + _QUICK_SECONDS else self.size)

    def put(self, size: int, taken: Taken, now: float) -> None:
        """Keep what was taken, but for the request that it was taken for."""
        self.size, self.left, self.since = size, size - 1 if taken.allowed else 0, now
        self.remaining, self.reset_seconds = taken.remaining, taken.reset_seconds

    def use(self) -> Taken:
        """Take one of those that are left."""
        self.left -= 1
        return Taken(True, self.remaining + self.left, 0.0, self.reset_seconds)


class Ahead:
    """What one process took ahead; of more buckets than are kept, those not used for longest are forgotten."""

    def __init__(self, cache: Cache, clock: Callable[[], float] = time.monotonic, *, most: int = _MOST_BUCKETS) -> None:
        """Make one.

        Args:
            cache: holds the buckets.
            clock: seconds that only grow.
            most: buckets that are kept.
        """
        self._cache = cache
        self._clock = clock
        self._most = most
        self._stocks: OrderedDict[str, _Stock] = OrderedDict()

    async def take(self, key: str, rate: Rate) -> Taken:
        """Take one request out of the bucket `key`, out of what was taken ahead if there is any.

        Returns:
            What became of it; `remaining` counts what was taken ahead here, and not what another replica took since.

        Raises:
            Unavailable: the cache is away, and nothing was taken ahead.
        """
        stock, now = self._stock(key, rate), self._clock()
        if stock.left and now < stock.since + _SECONDS:
            return stock.use()
        if stock.asked is None:
            return await self._ask(stock, key, now)
        # one at a time takes ahead: what all take at once would not be used; who will get nothing of it goes alone
        if stock.promised:
            stock.promised -= 1
            await stock.asked.wait()
            if stock.left:
                return stock.use()
        return await self._cache.take(key, rate)

    async def _ask(self, stock: _Stock, key: str, now: float) -> Taken:
        """Take as many as the stock wants, and one of them."""
        size = stock.wanted(now)
        stock.asked, stock.promised = asyncio.Event(), size - 1
        try:
            taken = await self._cache.take(key, stock.rate, size)
            if size > 1 and not taken.allowed:
                size, taken = 1, await self._cache.take(key, stock.rate)
            stock.put(size, taken, now)
        finally:
            stock.asked.set()
            stock.asked, stock.promised = None, 0
        return replace(taken, remaining=taken.remaining + stock.left)

    def _stock(self, key: str, rate: Rate) -> _Stock:
        stock = self._stocks.get(key)
        if stock is None or stock.rate != rate:
            stock = self._stocks[key] = _Stock(rate)
            if len(self._stocks) > self._most:
                self._stocks.popitem(last=False)
        self._stocks.move_to_end(key)
        return stock
