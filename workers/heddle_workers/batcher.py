"""Batches: what many ask at about the same time is done together, and nobody waits for company."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Does one batch at a time; what is asked meanwhile is the next one.

    Args:
        work: does a batch; returns for each item its result, or the exception it ends with. What it raises is
            raised to all of the batch.
        most: items of a batch.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        """Return what became of an item; whoever is cancelled while it waits leaves before its batch begins."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="batches")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch = [one for one in self._waiting[: self._most] if not one[1].done()]
            self._waiting = self._waiting[self._most :]
            if batch:
                await self._do(batch)

    async def _do(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            found = await self._work([item for item, _ in batch])
        except Exception as error:
            found = [error] * len(batch)
        for (_, answer), result in zip(batch, found, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
