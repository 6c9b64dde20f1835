"""Buckets: in memory and in Redis they decide alike, and many callers share one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from heddle_infra.cache import RedisCache
from heddle_infra.memory import MemoryCache
from heddle_platform.ids import new_id
from heddle_platform.keys import rate_key
from heddle_platform.ports import Cache
from heddle_platform.rate import Rate
from heddle_platform.settings import CacheSettings

SLOW = Rate(per_second=0.01, burst=5)  # nothing comes back while a test runs


@pytest.fixture(params=["memory", "valkey"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    made: Cache
    if request.param == "memory":
        made = MemoryCache()
    else:
        made = RedisCache(patient(request.getfixturevalue("valkey_settings")))
    yield made
    await made.close()


def patient(settings: CacheSettings) -> CacheSettings:
    return settings.model_copy(update={"redis_timeout_seconds": 5.0})


def bucket() -> str:
    return rate_key(new_id("ten"), "edge")


async def test_a_burst_passes_and_the_next_waits_its_interval(cache: Cache) -> None:
    key = bucket()
    taken = [await cache.take(key, SLOW) for _ in range(6)]
    assert [one.allowed for one in taken] == [True] * 5 + [False]
    assert [one.remaining for one in taken] == [4, 3, 2, 1, 0, 0]
    assert {one.retry_after_seconds for one in taken[:5]} == {0.0}
    assert 60 < taken[5].retry_after_seconds <= 100
    assert 460 < taken[5].reset_seconds <= 500


async def test_buckets_do_not_touch_each_other(cache: Cache) -> None:
    first, second = bucket(), bucket()
    for _ in range(6):
        await cache.take(first, SLOW)
    assert (await cache.take(second, SLOW)).remaining == 4


async def test_a_higher_limit_holds_at_once(cache: Cache) -> None:
    key = bucket()
    for _ in range(6):
        await cache.take(key, SLOW)
    assert (await cache.take(key, Rate(0.01, 50))).allowed


async def test_a_bucket_that_is_full_again_is_forgotten(cache: Cache) -> None:
    key, quick = bucket(), Rate(per_second=1_000.0, burst=1)
    assert (await cache.take(key, quick)).allowed
    await asyncio.sleep(0.1)
    assert (await cache.take(key, quick)).allowed


async def test_replicas_share_a_bucket_to_the_last_request(valkey_settings: CacheSettings) -> None:
    key, replicas = bucket(), [RedisCache(patient(valkey_settings)) for _ in range(3)]
    taken = await asyncio.gather(*(replicas[index % 3].take(key, SLOW) for index in range(60)))
    assert sum(one.allowed for one in taken) == SLOW.burst
    assert sorted(one.remaining for one in taken if one.allowed) == [0, 1, 2, 3, 4]
    for replica in replicas:
        await replica.close()


async def test_several_requests_pass_together_or_not_at_all(cache: Cache) -> None:
    key = bucket()
    assert (await cache.take(key, SLOW, 3)).remaining == 2
    refused = await cache.take(key, SLOW, 3)
    assert (refused.allowed, refused.remaining) == (False, 2)
    assert 60 < refused.retry_after_seconds <= 100
    assert (await cache.take(key, SLOW, 2)).allowed
    assert not (await cache.take(key, SLOW)).allowed
