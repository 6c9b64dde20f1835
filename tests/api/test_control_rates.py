"""Rates on the control plane: headers on every answer, 429 with Retry-After, buckets of one's own without the cache."""

import re

import httpx
import pytest

from heddle_api.gate import Gate, LocalBuckets
from heddle_api.meter import Meter
from heddle_infra.memory import MemoryCache
from heddle_platform.errors import RateLimited, Unavailable
from heddle_platform.rate import Rate, Taken
from tests.api.control_world import Person, World


async def limit(world: World, tenant: Person, per_second: float, burst: int) -> None:
    body = {"requests_per_second": per_second, "burst": burst}
    path = f"/v1/admin/tenants/{tenant.id}/quota"
    assert (await world.admin.put(path, json=body, headers={"If-Match": "*"})).status_code == 200


def remaining(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"control";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found is not None, answer.headers["ratelimit"]
    return int(found.group(1))


async def test_a_tenant_that_comes_too_fast_is_told_when_to_come_back(
    world: World, tenant: Person, other: Person
) -> None:
    await limit(world, tenant, 0.01, 3)
    answers = [await tenant.http.get("/v1/me") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [remaining(answer) for answer in answers] == [2, 1, 0, 0, 0]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"control";q=3;w=300'}
    problem = answers[3].json()
    assert (problem["code"], problem["retryable"]) == ("rate_limited", True)
    assert 60 < int(answers[3].headers["retry-after"]) <= 100
    assert (await other.http.get("/v1/me")).status_code == 200
    await limit(world, tenant, 0.01, 50)


async def test_refusals_count_too_and_say_what_is_left(world: World, tenant: Person) -> None:
    await limit(world, tenant, 0.01, 2)
    missing = await tenant.http.get("/v1/jobs/nothing")
    assert (missing.status_code, remaining(missing)) == (404, 1)
    assert (await tenant.http.post("/v1/api_keys", json={})).status_code == 422
    assert (await tenant.http.get("/v1/jobs/nothing")).status_code == 429


async def test_an_operator_is_never_limited(world: World) -> None:
    answer = await world.admin.get("/v1/me")
    assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)


class Away(MemoryCache):
    """A cache that is gone."""

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        raise Unavailable("the cache cannot be reached")


async def test_without_the_cache_a_process_limits_by_itself() -> None:
    now = [0.0]
    gate = Gate(Away(), Meter(), "edge", Rate(1.0, 2), LocalBuckets(lambda: now[0]))
    headers: dict[str, str] = {}
    for _ in range(2):
        await gate.admit("ten_1", None, headers)
    with pytest.raises(RateLimited) as refused:
        await gate.admit("ten_1", None, headers)
    assert (refused.value.retry_after_seconds, headers["RateLimit"]) == (1.0, '"edge";r=0;t=2')
    await gate.admit("ten_2", None, headers)
    now[0] = 1.0
    await gate.admit("ten_1", None, headers)


def test_local_buckets_forget_those_not_seen_for_longest() -> None:
    buckets, rate = LocalBuckets(lambda: 0.0, most=2), Rate(1.0, 1)
    for key in ("a", "b", "a", "c"):
        buckets.take(key, rate)
    assert [buckets.take(key, rate).allowed for key in ("a", "c")] == [False, False]
    assert buckets.take("b", rate).allowed
