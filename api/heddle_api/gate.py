"""The gate of both planes: every request of a tenant is taken out of its bucket, counted, and told how much is left.

The bucket is shared by all replicas through the cache; to whom requests come fast, several are taken out at once
(`ahead`). With the cache away each replica keeps buckets of its own, so that a tenant may be let through once for every
replica, and never without bound.

The headers follow draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` says how many requests fit into how
many seconds, `RateLimit` how many are left now and in how many seconds all are back.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from heddle_api.ahead import Ahead
from heddle_api.meter import Meter
from heddle_platform.errors import RateLimited, Unavailable
from heddle_platform.keys import rate_key
from heddle_platform.ports import Cache
from heddle_platform.rate import MICROSECONDS, Rate, Taken, take

HEADERS: Final = ("RateLimit", "RateLimit-Policy")
_LOCAL_BUCKETS: Final = 10_000


class LocalBuckets:
    """Buckets of one process; of more tenants than are kept, those not seen for longest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = _LOCAL_BUCKETS) -> None:
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, rate: Rate) -> Taken:
        """Take one request out of the bucket `key`."""
        full_at, taken = take(self._full_at.get(key, 0.0), self._clock() * MICROSECONDS, rate)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return taken


class Gate:
    """What a plane's authentication asks about every request; in the lifespan state as `gate`."""

    def __init__(
        self, cache: Cache, meter: Meter, plane: str, default: Rate, local: LocalBuckets | None = None
    ) -> None:
        """Make a gate.

        Args:
            cache: holds the shared buckets.
            meter: counts what passes and what does not.
            plane: "control" or "edge"; each has buckets of its own, so that polling a job slows no edit down.
            default: of tenants that have no rate of their own.
            local: buckets for when the cache is away; None makes them.
        """
        self._ahead = Ahead(cache)
        self._meter = meter
        self._plane = plane
        self._default = default
        self._local = local or LocalBuckets()

    async def admit(self, tenant_id: str, own: Rate | None, headers: dict[str, str]) -> None:
        """Let a request pass.

        Args:
            tenant_id: whose request.
            own: the tenant's rate; None: the default.
            headers: filled with what the answer has to say, whatever becomes of the request.

        Raises:
            RateLimited: code `rate_limited`.
        """
        rate = own or self._default
        key = rate_key(tenant_id, self._plane)
        try:
            taken = await self._ahead.take(key, rate)
        except Unavailable:
            taken = self._local.take(key, rate)
        headers["RateLimit-Policy"] = f'"{self._plane}";q={rate.burst};w={rate.window_seconds}'
        headers["RateLimit"] = f'"{self._plane}";r={taken.remaining};t={math.ceil(taken.reset_seconds)}'
        self._meter.count(tenant_id, "requests" if taken.allowed else "requests_limited")
        if not taken.allowed:
            error = RateLimited(
                f"your tenant sent more than {rate.burst} requests at once to the {self._plane} plane, which takes "
                f"{rate.per_second:g} a second of it; wait {taken.retry_after_seconds:.2f} s",
            )
            error.retry_after_seconds = taken.retry_after_seconds
            raise error
