"""Waiting for something another process does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE_SECONDS = 0.05


async def until(condition: Callable[[], T | None], *, seconds: float = 120.0) -> T:
    """Ask again and again until there is an answer, and return it.

    Raises:
        TimeoutError: there was none within `seconds`.
    """

    async def ask() -> T | None:
        return condition()

    return await until_told(ask, seconds=seconds)


async def until_told(condition: Callable[[], Awaitable[T | None]], *, seconds: float = 120.0) -> T:
    """Ask a coroutine again and again until there is an answer, and return it.

    Raises:
        TimeoutError: there was none within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(_PAUSE_SECONDS)
