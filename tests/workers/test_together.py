"""Coroutines side by side: results in order, the first failure as it is."""

import asyncio

import pytest

from heddle_platform.errors import Unavailable
from heddle_workers.together import together


async def after(seconds: float, value: int) -> int:
    await asyncio.sleep(seconds)
    return value


async def test_results_come_in_the_order_asked_for() -> None:
    assert await together([after(0.02, 1), after(0.0, 2), after(0.01, 3)]) == [1, 2, 3]


async def test_the_first_failure_stops_the_others_and_is_raised_bare() -> None:
    stopped = asyncio.Event()

    async def endless() -> int:
        try:
            return await after(600, 1)
        finally:
            stopped.set()

    async def fails() -> int:
        await asyncio.sleep(0.01)
        raise Unavailable("down")

    with pytest.raises(Unavailable, match="down"):
        await together([endless(), fails()])
    assert stopped.is_set()


async def test_cancelling_the_whole_is_a_cancellation() -> None:
    task = asyncio.create_task(together([after(600, 1), after(600, 2)]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
