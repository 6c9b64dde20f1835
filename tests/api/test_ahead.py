"""Requests taken ahead: fewer calls to the cache, never more requests than the rate, and little that is lost."""

import asyncio
from collections.abc import Callable

import pytest

from heddle_api.ahead import Ahead
from heddle_infra.memory import MemoryCache
from heddle_platform.errors import Unavailable
from heddle_platform.rate import Rate, Taken

RATE = Rate(2_000.0, 4_000)
MOST = 20  # a hundredth of what comes back in a second


class Counted(MemoryCache):
    """A shared cache that counts how often it is asked; `slow` lets others come in between."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0, *, slow: bool = False) -> None:
        super().__init__(clock)
        self.calls = 0
        self._slow = slow
        self.away = False

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        self.calls += 1
        if self._slow:
            await asyncio.sleep(0)
        if self.away:
            raise Unavailable("the cache cannot be reached")
        return await super().take(key, rate, requests)


async def test_to_whom_requests_come_fast_several_are_let_in_by_one_call_and_never_more_than_the_burst() -> None:
    cache = Counted()  # no time passes: nothing comes back
    replicas = [Ahead(cache, lambda: 0.0) for _ in range(2)]
    taken = [await replicas[turn % 2].take("bucket", RATE) for turn in range(4_100)]
    assert sum(one.allowed for one in taken) == RATE.burst
    assert all(one.allowed for one in taken[: RATE.burst - 2 * MOST])  # the last are divided unevenly
    assert cache.calls < 500
    assert [one.remaining for one in taken[:2]] == [3_999, 3_998]


async def test_what_was_taken_ahead_is_used_at_once_or_lost() -> None:
    now = [0.0]
    cache = Counted()
    ahead = Ahead(cache, lambda: now[0])
    for _ in range(2 + 4 + 1):
        await ahead.take("bucket", RATE)  # one, two, four
    assert cache.calls == 3
    await ahead.take("bucket", RATE)  # eight, of which seven are left
    now[0] = 0.1
    assert (await ahead.take("bucket", RATE)).remaining == 4_000 - 15 - 1
    assert cache.calls == 5


async def test_of_a_steady_stream_nothing_is_lost() -> None:
    now = [0.0]
    cache = Counted()
    ahead = Ahead(cache, lambda: now[0])
    for turn in range(1_000):  # 160 a second
        now[0] = turn / 160
        await ahead.take("bucket", RATE)
    assert cache.calls < 300
    assert (await cache.take("bucket", RATE)).remaining >= 4_000 - 1_000 - 1 - 8


@pytest.mark.parametrize("rate", [Rate(50.0, 4_000), Rate(2_000.0, 50)])
async def test_of_a_small_rate_or_burst_nothing_is_taken_ahead(rate: Rate) -> None:
    cache = Counted()
    ahead = Ahead(cache, lambda: 0.0)
    assert [(await ahead.take("bucket", rate)).remaining for _ in range(40)] == [rate.burst - 1 - n for n in range(40)]
    assert cache.calls == 40


async def test_requests_at_once_do_not_each_take_ahead() -> None:
    cache = Counted(slow=True)
    ahead = Ahead(cache, lambda: 0.0)
    for _ in range(50):
        await ahead.take("bucket", RATE)
    await asyncio.gather(*(ahead.take("bucket", RATE) for _ in range(64)))
    left = (await cache.take("bucket", RATE)).remaining
    assert left >= 4_000 - 50 - 64 - 2 * MOST - 1


async def test_requests_at_once_share_what_one_of_them_takes() -> None:
    cache = Counted(slow=True)
    ahead = Ahead(cache, lambda: 0.0)
    for _ in range(1 + 2 + 4 + 8 + 16 + MOST):
        await ahead.take("bucket", RATE)
    before = cache.calls
    taken = await asyncio.gather(*(ahead.take("bucket", RATE) for _ in range(MOST + 2)))
    assert all(one.allowed for one in taken)
    assert cache.calls == before + 3  # one for twenty, and two that would have got nothing of them
    assert len({one.remaining for one in taken}) > MOST


async def test_who_waited_in_vain_asks_again() -> None:
    cache = Counted(slow=True)
    ahead = Ahead(cache, lambda: 0.0)
    for _ in range(1 + 2):
        await ahead.take("bucket", RATE)
    cache.away = True
    found = await asyncio.gather(*(ahead.take("bucket", RATE) for _ in range(3)), return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}
    cache.away = False
    assert (await ahead.take("bucket", RATE)).allowed


async def test_another_rate_holds_at_once() -> None:
    ahead = Ahead(Counted(), lambda: 0.0)
    for _ in range(8):
        await ahead.take("bucket", RATE)
    assert not (await ahead.take("bucket", Rate(2_000.0, 3))).allowed
