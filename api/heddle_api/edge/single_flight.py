"""Single flight: what several callers ask for at once is done once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class SingleFlight(Generic[_Result]):
    """Shares one run among all who ask for its key while it runs."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_Result]] = {}

    def __contains__(self, key: str) -> bool:
        task = self._running.get(key)
        return task is not None and not task.done()

    async def run(self, key: str, make: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what `make` gives, or what a run of the same key under way gives.

        A caller that is cancelled does not cancel the run for the others; an error reaches all of them.
        """
        task = self._running.get(key)
        # one that is over and not tidied away yet is no run: who tries again after its error would never let go of the
        # event loop, and it would never be tidied away
        if task is None or task.done():
            task = asyncio.ensure_future(_awaited(make))
            self._running[key] = task
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: str, task: "asyncio.Task[_Result]") -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # marks it as seen, should all callers be gone


async def _awaited(make: Callable[[], Awaitable[_Result]]) -> _Result:
    return await make()
