"""Single flight: what several callers ask for at once is done once.

The first caller does it itself, in its own task: a task of its own would cost the event loop four more turns, and in
each of them a busy edge first does what else is waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class SingleFlight(Generic[_Result]):
    """Shares one run among all who ask for its key while it runs."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[_Result]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._running

    async def run(self, key: str, make: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what `make` gives, or what a run of the same key under way gives.

        An error reaches all who wait. If the caller that runs it is cancelled, the next one begins anew; one that only
        waits leaves without a trace.
        """
        while (flight := self._running.get(key)) is not None:
            await asyncio.wait([flight])
            if not flight.cancelled():
                return flight.result()
        flight = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            result = await make()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # marks it as seen: perhaps nobody waits
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            del self._running[key]
