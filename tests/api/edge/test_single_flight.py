"""Single flight: one run per key, shared by all who ask meanwhile, whatever becomes of them."""

import asyncio

import pytest

from heddle_api.edge.single_flight import SingleFlight
from heddle_platform.errors import Unavailable


class Work:
    """Counts its runs and ends when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        await self.end.wait()
        if self.error is not None:
            raise self.error
        return self.runs


async def test_callers_of_one_key_share_a_run_and_others_do_not() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work, other = Work(), Work()
    tasks = [asyncio.create_task(flights.run("a", work)) for _ in range(5)]
    apart = asyncio.create_task(flights.run("b", other))
    await asyncio.sleep(0)
    work.end.set()
    other.end.set()
    assert await asyncio.gather(*tasks, apart) == [1] * 6
    assert (work.runs, other.runs) == (1, 1)
    assert await flights.run("a", work) == 2  # a finished run is not remembered


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = Work()
    first, second, third, fourth = (asyncio.create_task(flights.run("a", work)) for _ in range(4))
    await asyncio.sleep(0)
    third.cancel()  # only waits
    await asyncio.sleep(0)
    assert (third.cancelled(), work.runs) == (True, 1)
    first.cancel()  # runs it
    for _ in range(3):
        await asyncio.sleep(0)
    assert work.runs == 2
    work.end.set()
    assert (await second, await fourth) == (2, 2)
    assert "a" not in flights


async def test_an_error_reaches_every_caller_and_the_next_starts_anew() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = Work()
    work.error = Unavailable("full")
    tasks = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    work.error = None
    assert await flights.run("a", work) == 2


async def test_an_error_nobody_waits_for_is_not_reported_as_lost() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = Work()
    work.error = RuntimeError("gone")
    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    try:
        task = asyncio.create_task(flights.run("a", work))
        await asyncio.sleep(0)
        task.cancel()
        work.end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert lost == []


async def test_a_run_that_is_over_is_not_joined_before_it_is_tidied_away() -> None:
    flights: SingleFlight[int] = SingleFlight()
    tried: list[asyncio.Task[int]] = []

    async def again() -> int:
        for _ in range(1_000):  # an edit tries again after another's late flight, for as long as it has time
            try:
                return await flights.run("a", done)
            except Unavailable:
                continue
        return 0

    async def failing() -> int:
        tried.append(asyncio.create_task(again()))  # its turn comes right after this run's end
        raise Unavailable("too late", code="deadline_exceeded")

    async def done() -> int:
        return 7

    with pytest.raises(Unavailable):
        await flights.run("a", failing)
    assert await tried[0] == 7
    assert "a" not in flights
