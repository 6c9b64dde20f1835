"""Batcher: the one thread that owns the ONNX sessions, a bounded queue in front of it, a deadline on every work.

What waits is done together, whoever's it is: encode all, edit all through the bank, decode all. Nothing waits
for company: on a CPU a batch of eight gains a fifth, which is not worth even two milliseconds of a lone request.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from heddle_api.edge.draw import Done, Work, carry_out
from heddle_platform.errors import HeddleError, Unavailable

MAX_ROWS: Final = 16  # pictures drawn in one go; more would make a lone request wait for a long batch

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Waiting:
    work: Work
    future: "asyncio.Future[Done]"
    loop: asyncio.AbstractEventLoop
    since: float


class Batcher:
    """See the module. `start` it once; `close` fails whatever still waits."""

    def __init__(self, *, queue_max: int, observe_rows: Callable[[int], object]) -> None:
        """Make a batcher.

        Args:
            queue_max: most pictures that may wait; more are refused with Unavailable `overloaded`.
            observe_rows: told how many pictures each batch draws.
        """
        self._queue_max = queue_max
        self._observe_rows = observe_rows
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the present batch and refuse what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        while self._waiting:
            _fail(self._waiting.popleft(), Unavailable("this replica is stopping; try again", code="stopping"))

    @property
    def waiting_rows(self) -> int:
        """How many pictures wait now."""
        return self._rows

    async def do(self, work: Work) -> Done:
        """Queue a work and wait for it.

        Raises:
            Unavailable: codes `overloaded` (the queue is full), `deadline_exceeded`, `stopping`.
            HeddleError: what the edit itself raised.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop.create_future(), loop, time.monotonic())
        with self._changed:
            if self._closed:
                raise Unavailable("this replica is stopping; try again", code="stopping")
            if self._rows + work.rows > self._queue_max:
                raise Unavailable(
                    f"{self._rows} pictures wait to be drawn, at most {self._queue_max} may; try again in a second",
                    code="overloaded",
                )
            self._waiting.append(waiting)
            self._rows += work.rows
            self._changed.notify()
        try:
            async with asyncio.timeout(max(0.0, work.deadline - time.monotonic())):
                return await waiting.future
        except TimeoutError:
            raise _late() from None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                batch = self._take()
            now = time.monotonic()
            for late in [one for one in batch if one.work.deadline <= now]:
                _fail(late, _late())
            timely = [one for one in batch if one.work.deadline > now and not one.future.cancelled()]
            if timely:
                self._observe_rows(sum(one.work.rows for one in timely))
                _serve(timely, now)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        others: list[_Waiting] = []  # while two bases are served, requests for them come mixed
        rows = 0
        while self._waiting:
            if batch and self._waiting[0].work.base is not batch[0].work.base:
                others.append(self._waiting.popleft())  # one pair of sessions at a time: they are first next time
                continue
            if batch and rows + self._waiting[0].work.rows > MAX_ROWS:
                break
            batch.append(self._waiting.popleft())
            rows += batch[-1].work.rows
        self._waiting.extendleft(reversed(others))
        self._rows -= rows
        return batch


def _serve(batch: list[_Waiting], now: float) -> None:
    try:
        results = carry_out([one.work for one in batch])
    except Exception as error:
        if len(batch) > 1:  # one bad work must not take the others with it
            for one in batch:
                _serve([one], now)
            return
        if not isinstance(error, HeddleError):
            _log.error("batch_failed", exc_info=error)
        _fail(batch[0], error)
        return
    for one, result in zip(batch, results, strict=True):
        result.seconds["queue"] = now - one.since
        _tell(one, result)


def _late() -> Unavailable:
    return Unavailable("the edit was not done within its deadline; try again in a moment", code="deadline_exceeded")


def _tell(one: _Waiting, result: Done) -> None:
    _settle(one, lambda: one.future.set_result(result))


def _fail(one: _Waiting, error: BaseException) -> None:
    _settle(one, lambda: one.future.set_exception(error))


def _settle(one: _Waiting, settle: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
        one.loop.call_soon_threadsafe(lambda: None if one.future.done() else settle())
