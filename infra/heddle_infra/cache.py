"""The cache over the Redis protocol: short time-outs, a circuit breaker, and messages that survive a lost server.

Losing the cache must never slow an edit down: a call gives up after `redis_timeout_seconds`, and after a
few failures in a row the breaker answers for the server, at once, until a single trial call succeeds.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from heddle_infra.buckets import TAKE, taken_of
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Looked
from heddle_platform.rate import Rate, Taken
from heddle_platform.settings import CacheSettings

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 1.0
_RESUBSCRIBE_SECONDS = (0.1, 2.0)
_LISTENER_CONNECT_SECONDS = 2.0
_SCANNED = 1_000  # keys a step of a walk looks at: well under a millisecond, in which nobody else is served
_LOOK = """
local first = redis.call('GET', KEYS[1])
if first then return {first} end
local mine = redis.call('SET', KEYS[3], '1', 'PX', ARGV[1], 'NX')
return {false, redis.call('GET', KEYS[2]) or '', mine and 1 or 0}
"""
_GLOB = re.compile(r"[*?\[\]\\]")


class CircuitBreaker:
    """Closed, open after failures in a row, half open after a while: then one call tries for all."""

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        open_seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a closed breaker.

        Args:
            failures_to_open: failures in a row that open it.
            open_seconds: how long it stays open before one call may try.
            clock: seconds that only grow.
        """
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused, or would be but for the next trial."""
        return self._failures >= self._failures_to_open

    def allows(self) -> bool:
        """Tell whether a call may go out now; when half open, only the first asker is told yes."""
        if not self.is_open:
            return True
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + self._open_seconds
        return True

    def succeeded(self) -> None:
        """Close the breaker."""
        self._failures = 0

    def failed(self) -> bool:
        """Count a failure and tell whether it was the one that opened the breaker."""
        was_open = self.is_open
        self._failures += 1
        if self.is_open:
            self._retry_at = self._clock() + self._open_seconds
        return self.is_open and not was_open


class RedisCache:
    """Implements `heddle_platform.ports.Cache`; belongs to the event loop that first uses it."""

    def __init__(self, settings: CacheSettings, breaker: CircuitBreaker | None = None) -> None:
        """Make a cache that connects at its first call.

        Args:
            settings: address and time-out.
            breaker: None makes one with the module's constants.
        """
        self._settings = settings
        self._breaker = breaker or CircuitBreaker()
        self._redis: Redis | None = None
        self._listener: Redis | None = None
        self._take: AsyncScript | None = None
        self._look: AsyncScript | None = None

    async def get(self, key: str) -> bytes | None:
        """Return the value; see `Cache.get`."""
        value = await self._call(lambda redis: redis.get(key))
        return value.encode() if isinstance(value, str) else value  # never str: responses are not decoded

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        """Keep a value; see `Cache.set`."""
        await self._call(lambda redis: redis.set(key, value, ex=ttl_seconds))

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep a value if the key has none; see `Cache.add`."""
        milliseconds = max(1, round(1000 * ttl_seconds))
        return bool(await self._call(lambda redis: redis.set(key, value, px=milliseconds, nx=True)))

    async def set_many(self, values: Mapping[str, tuple[bytes, int]]) -> None:
        """Keep several values; see `Cache.set_many`."""

        async def write(redis: Redis) -> None:
            pipeline = redis.pipeline(transaction=False)
            for key, (value, ttl_seconds) in values.items():
                pipeline.set(key, value, ex=ttl_seconds)
            await pipeline.execute()

        await self._call(write)

    async def look(self, first: str, second: str, claim: str, *, ttl_seconds: float) -> Looked:
        """Return a value, or another and a claim; see `Cache.look`."""
        if self._look is None:
            self._look = self._calling().register_script(_LOOK)
        script, arguments = self._look, [max(1, round(1000 * ttl_seconds))]
        found = await self._call(lambda redis: script(keys=[first, second, claim], args=arguments, client=redis))
        return Looked(found[0]) if len(found) == 1 else Looked(None, found[1] or None, bool(found[2]))

    async def delete(self, key: str) -> None:
        """Forget a value; see `Cache.delete`."""
        await self._call(lambda redis: redis.delete(key))

    async def forget(self, prefix: str) -> int:
        """Forget what starts with `prefix`, walking through all keys step by step; see `Cache.forget`."""
        pattern = _GLOB.sub(r"\\\g<0>", prefix) + "*"
        found, cursor = 0, 0
        while True:
            cursor, some = await self._forget_step(cursor, pattern)
            found += some
            if not cursor:
                return found

    async def _forget_step(self, cursor: int, pattern: str) -> tuple[int, int]:
        following, keys = await self._call(lambda redis: redis.scan(cursor, match=pattern, count=_SCANNED))
        return following, await self._call(lambda redis: redis.unlink(*keys)) if keys else 0

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        """Take requests out of a bucket; see `Cache.take`."""
        if self._take is None:
            self._take = self._calling().register_script(TAKE)
        script, arguments = self._take, [rate.interval_microseconds, rate.burst, requests]
        return taken_of(await self._call(lambda redis: script(keys=[key], args=arguments, client=redis)))

    async def publish(self, channel: str, message: str) -> None:
        """Tell all present subscribers; see `Cache.publish`."""
        await self._call(lambda redis: redis.publish(channel, message))

    async def subscribe(self, channel: str) -> AsyncIterator[str]:
        """Yield messages, reconnecting as often as it takes; see `Cache.subscribe`.

        Messages published while the connection is down are lost: what must not be missed is polled for too.
        """
        first, longest = _RESUBSCRIBE_SECONDS
        pause = first
        while True:
            listener = self._listening().pubsub(ignore_subscribe_messages=True)
            try:
                await listener.subscribe(channel)
                pause = first
                async for message in _messages(listener):
                    yield message
            except (RedisError, OSError, TimeoutError) as error:
                _log.warning("cache_subscription_lost", channel=channel, error=type(error).__name__)
            finally:
                await _closed(listener)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def ping(self) -> bool:
        """Tell whether the cache answers; asks the server even while the breaker is open."""
        try:
            async with asyncio.timeout(self._settings.redis_timeout_seconds):
                await self._calling().ping()
        except (RedisError, OSError, TimeoutError):
            return False
        self._breaker.succeeded()
        return True

    async def close(self) -> None:
        """Release connections."""
        for redis in (self._redis, self._listener):
            if redis is not None:
                await redis.aclose()
        self._redis = self._listener = self._take = self._look = None

    async def _call(self, command: Callable[[Redis], Awaitable[_T]]) -> _T:
        if not self._breaker.allows():
            raise Unavailable("the cache is away; going on without it", code="cache_unavailable")
        try:
            async with asyncio.timeout(self._settings.redis_timeout_seconds):
                answer = await command(self._calling())
        except (RedisError, OSError, TimeoutError) as error:
            if self._breaker.failed():
                _log.warning("cache_circuit_open", error=type(error).__name__)
            raise Unavailable(
                f"the cache did not answer within {self._settings.redis_timeout_seconds} s "
                f"({type(error).__name__}); going on without it",
                code="cache_unavailable",
            ) from error
        self._breaker.succeeded()
        return answer

    def _calling(self) -> Redis:
        if self._redis is None:
            timeout = self._settings.redis_timeout_seconds
            self._redis = _connect(self._settings, connect_seconds=timeout, read_seconds=timeout)
        return self._redis

    def _listening(self) -> Redis:
        if self._listener is None:  # its reads wait for messages, so they have no time-out
            self._listener = _connect(self._settings, connect_seconds=_LISTENER_CONNECT_SECONDS, read_seconds=None)
        return self._listener


def _connect(settings: CacheSettings, *, connect_seconds: float, read_seconds: float | None) -> Redis:
    url = settings.redis_url.get_secret_value()
    # redis-py refuses the option for a unix socket, which needs none
    keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return Redis.from_url(
        url,
        socket_timeout=read_seconds,
        socket_connect_timeout=connect_seconds,
        **keepalive,
        retry=Retry(NoBackoff(), 0),  # a retry would double the time an edit waits for a cache that is away
    )


async def _messages(listener: PubSub) -> AsyncIterator[str]:
    async for message in listener.listen():
        if message["type"] == "message":
            yield message["data"].decode()


async def _closed(listener: PubSub) -> None:
    try:
        await listener.aclose()  # type: ignore[no-untyped-call]
    except (RedisError, OSError, TimeoutError):
        return
