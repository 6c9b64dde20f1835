"""One suite for every cache, and what only a real server can do: vanish, hang, come back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from heddle_infra import local
from heddle_infra.cache import CircuitBreaker, RedisCache
from heddle_infra.memory import MemoryCache
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache, Looked
from heddle_platform.settings import CacheSettings
from tests.conftest import clean_environment, new_data_dir

PATIENT_SECONDS = 5.0


def patient(settings: CacheSettings) -> CacheSettings:
    """Return the settings with a time-out that a busy machine meets: these tests are not about time."""
    return settings.model_copy(update={"redis_timeout_seconds": PATIENT_SECONDS})


@pytest.fixture(params=["memory", "valkey"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    made: Cache
    if request.param == "memory":
        made = MemoryCache()
    else:
        made = RedisCache(patient(request.getfixturevalue("valkey_settings")))
    yield made
    await made.close()


async def test_what_was_set_is_got(cache: Cache) -> None:
    value = bytes(range(256)) * 400
    await cache.set("contract:a", value, ttl_seconds=60)
    assert await cache.get("contract:a") == value
    await cache.set("contract:a", b"", ttl_seconds=60)
    assert await cache.get("contract:a") == b""


async def test_a_missing_key_is_none(cache: Cache) -> None:
    assert await cache.get("contract:none") is None
    await cache.delete("contract:none")


async def test_deleted_is_gone(cache: Cache) -> None:
    await cache.set("contract:b", b"x", ttl_seconds=60)
    await cache.delete("contract:b")
    assert await cache.get("contract:b") is None


async def test_values_end_after_their_time(cache: Cache) -> None:
    await cache.set("contract:short", b"x", ttl_seconds=1)
    assert await cache.get("contract:short") == b"x"
    await asyncio.sleep(1.1)
    assert await cache.get("contract:short") is None


async def test_what_begins_alike_is_forgotten_together(cache: Cache) -> None:
    for name in ("a:1", "a:2", "b:1", "[ab]:*"):
        await cache.set(f"contract:walk:{name}", b"x", ttl_seconds=60)
    assert await cache.forget("contract:walk:[ab]:") == 1
    assert await cache.forget("contract:walk:a:") == 2
    assert await cache.forget("contract:walk:a:") == 0
    assert await cache.get("contract:walk:a:1") is None
    assert await cache.get("contract:walk:b:1") == b"x"


async def test_several_values_are_set_at_once(cache: Cache) -> None:
    one, two = "contract:many:1", "contract:many:2"
    await cache.set_many({one: (b"1", 60), two: (b"\x00\xff", 60)})
    assert [await cache.get(one), await cache.get(two)] == [b"1", b"\x00\xff"]


async def test_a_look_finds_the_first_or_else_the_second_and_a_claim(cache: Cache) -> None:
    first, second, claim = (f"contract:look:{what}" for what in ("first", "second", "claim"))
    assert await cache.look(first, second, claim, ttl_seconds=60.0) == Looked(None, None, True)
    assert await cache.look(first, second, claim, ttl_seconds=60.0) == Looked(None, None, False)
    await cache.set(second, b"\x01", ttl_seconds=60)
    assert await cache.look(first, second, claim, ttl_seconds=60.0) == Looked(None, b"\x01", False)
    await cache.set(first, b"\x02", ttl_seconds=60)
    unclaimed = "contract:look:unclaimed"
    assert (await cache.look(first, second, unclaimed, ttl_seconds=60.0)).first == b"\x02"
    assert await cache.get(unclaimed) is None


async def test_of_many_who_look_at_once_one_has_the_claim(cache: Cache) -> None:
    first, second, claim = (f"contract:rush:{what}" for what in ("first", "second", "claim"))
    looks = [cache.look(first, second, claim, ttl_seconds=60.0) for _ in range(20)]
    assert sum(found.mine for found in await asyncio.gather(*looks)) == 1


async def test_it_answers(cache: Cache) -> None:
    assert await cache.ping() is True


async def heard(
    cache: Cache, channel: str, publish: Callable[[], Awaitable[None]], *, seconds: float = 10
) -> list[str]:
    """Publish again and again until a subscriber has heard something; return all it has heard."""
    messages: list[str] = []

    async def listen() -> None:
        async with contextlib.aclosing(cache.subscribe(channel)) as subscription:  # type: ignore[type-var]
            async for message in subscription:
                messages.append(message)

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(seconds):
            while not messages:
                with contextlib.suppress(Unavailable):
                    await publish()
                await asyncio.sleep(0.05)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return messages


async def test_subscribers_hear_their_channel_only(cache: Cache) -> None:
    async def publish() -> None:
        await cache.publish("contract:other", "not for you")
        await cache.publish("contract:channel", "für dich")

    assert set(await heard(cache, "contract:channel", publish)) == {"für dich"}


async def test_a_lifetime_is_counted_by_the_clock() -> None:
    now = [0.0]
    cache = MemoryCache(clock=lambda: now[0])
    await cache.set("a", b"x", ttl_seconds=10)
    now[0] = 9.99
    assert await cache.get("a") == b"x"
    now[0] = 10.0
    assert await cache.get("a") is None


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_trial_through() -> None:
    now = [100.0]
    breaker = CircuitBreaker(failures_to_open=3, open_seconds=1.0, clock=lambda: now[0])
    assert [breaker.failed(), breaker.failed()] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.failed()] == [False, False, True]
    assert [breaker.is_open, breaker.allows()] == [True, False]
    now[0] += 1.0
    assert [breaker.allows(), breaker.allows()] == [True, False]  # half open: one call tries for all
    assert breaker.failed() is False
    now[0] += 0.99
    assert breaker.allows() is False
    now[0] += 0.01
    assert breaker.allows() is True
    breaker.succeeded()
    assert [breaker.is_open, breaker.allows(), breaker.allows()] == [False, True, True]


async def silent_server(folder: Path) -> tuple[asyncio.Server, str, list[None]]:
    """Open a socket that takes connections and never says a word; count them."""
    connections: list[None] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        with contextlib.suppress(asyncio.CancelledError):
            while await reader.read(1024):
                pass
        writer.close()

    server = await asyncio.start_unix_server(take, folder / "silent.sock")
    return server, f"unix://{folder / 'silent.sock'}", connections


async def test_a_hanging_server_is_given_up_and_then_left_alone(tmp_path: Path) -> None:
    server, url, connections = await silent_server(tmp_path)
    breaker = CircuitBreaker(failures_to_open=3, open_seconds=3600)
    cache = RedisCache(CacheSettings(redis_url=SecretStr(url), redis_timeout_seconds=0.05), breaker)
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            await cache.get("a")
        assert caught.value.code == "cache_unavailable"
    tried = len(connections)
    assert tried >= 1
    for _ in range(20):
        with pytest.raises(Unavailable):
            await cache.set("a", b"x", ttl_seconds=1)
    assert len(connections) == tried  # the open breaker answers for the server
    assert await cache.ping() is False
    await cache.close()
    server.close()


async def test_nothing_listens() -> None:
    cache = RedisCache(CacheSettings(redis_url=SecretStr("redis://127.0.0.1:9/0"), redis_timeout_seconds=1.0))
    with pytest.raises(Unavailable):
        await cache.get("a")
    assert await cache.ping() is False
    await cache.close()


async def test_an_abandoned_call_does_not_answer_the_next_one(valkey_settings: CacheSettings) -> None:
    cache = RedisCache(patient(valkey_settings))
    await cache.set("contract:mine", b"mine", ttl_seconds=60)
    await cache.set("contract:big", b"x" * 8_000_000, ttl_seconds=60)
    for _ in range(5):
        abandoned = asyncio.create_task(cache.get("contract:big"))
        await asyncio.sleep(0.001)
        abandoned.cancel()
        assert await cache.get("contract:mine") == b"mine"
    await cache.close()


async def test_a_restarted_server_is_found_again_by_callers_and_subscribers() -> None:
    data_dir = new_data_dir()
    config = local.StackConfig(data_dir, services=("cache",))
    try:
        await asyncio.to_thread(local.start_detached, config, environment=clean_environment())
        url = local.stack_settings(data_dir)["HEDDLE_REDIS_URL"]
        settings = CacheSettings(redis_url=SecretStr(url), redis_timeout_seconds=1.0)
        cache = RedisCache(settings, CircuitBreaker(open_seconds=0.1))
        await cache.set("a", b"x", ttl_seconds=60)
        messages: list[str] = []
        listening = asyncio.create_task(collect(cache, messages))
        await until_heard(cache, messages, "before")

        (server,) = [part for part in local.describe(data_dir).processes if part.name == "cache"]
        assert server.pid is not None
        await asyncio.to_thread(kill_and_wait_for_successor, data_dir, server.pid)

        await until_heard(cache, messages, "after")
        assert await cache.get("a") is None  # never the only copy of anything
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await cache.close()
    finally:
        await asyncio.to_thread(local.erase, data_dir)
        data_dir.parent.rmdir()


async def collect(cache: Cache, messages: list[str]) -> None:
    async for message in cache.subscribe("news"):
        messages.append(message)


async def until_heard(cache: Cache, messages: list[str], message: str) -> None:
    async with asyncio.timeout(30):
        while message not in messages:
            with contextlib.suppress(Unavailable):
                await cache.publish("news", message)
            await asyncio.sleep(0.05)


def kill_and_wait_for_successor(data_dir: Path, pid: int) -> None:
    psutil.Process(pid).kill()
    for _ in range(600):
        (part,) = [part for part in local.describe(data_dir).processes if part.name == "cache"]
        if part.state == "ready" and part.pid != pid:
            assert part.restarts == 1
            assert part.last_exit == "killed by SIGKILL"
            return
        time.sleep(0.05)
    raise AssertionError("the cache was not started again")
