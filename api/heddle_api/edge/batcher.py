"""Batcher: the one thread that owns the ONNX sessions, a bounded queue in front of it, a deadline on every work.

What waits is done together, whoever's it is: encode all, edit all through the bank, decode all. A batch of eight
takes half the processor time of eight alone (the decoder's widest matrix, 17 MB, is read once and not eight times), so
a batch waits for the edits that are on their way, as long as three pictures take; a lone request waits for nobody.
Owners take turns (`fair_queue`), and a work that would be late when its turn comes is refused when it arrives.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from heddle_api.edge.draw import Done, Work, carry_out
from heddle_api.edge.fair_queue import FairQueue
from heddle_platform.errors import HeddleError, Unavailable

MAX_ROWS: Final = 16  # pictures drawn in one go; more would make a lone request wait for a long batch
_PACE_SHARE: Final = 0.2  # of the newest batch in the running mean of seconds a picture
_COMPANY_PICTURES: Final = 3.0  # how long a batch waits for what is on its way, in seconds a picture takes
_COMPANY_MOST_SECONDS: Final = 0.01

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Waiting:
    work: Work
    future: "asyncio.Future[Done]"
    loop: asyncio.AbstractEventLoop
    since: float

    @property
    def owner(self) -> str:
        return self.work.owner

    @property
    def rows(self) -> int:
        return self.work.rows

    @property
    def kind(self) -> object:
        return self.work.base  # one pair of sessions at a time

    @property
    def background(self) -> bool:
        return self.work.background


class Coming:
    """An edit on its way to the queue, which a batch waits for; `end` it when it is there or will not come."""

    __slots__ = ("_batcher",)

    def __init__(self, batcher: "Batcher | None" = None) -> None:
        self._batcher = batcher

    def end(self) -> None:
        """It is there, or will not come; a second call does nothing."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            batcher.came()


class Batcher:
    """See the module. `start` it once; `close` fails whatever still waits."""

    def __init__(self, *, queue_max: int, observe_rows: Callable[[int], object]) -> None:
        """Make a batcher.

        Args:
            queue_max: most pictures that may wait; more are refused with Unavailable `overloaded`, those of the
                owner with most of them first.
            observe_rows: told how many pictures each batch draws.
        """
        self._queue_max = queue_max
        self._observe_rows = observe_rows
        self._waiting: FairQueue[_Waiting] = FairQueue(queue_max)
        self._pace = 0.0
        self._coming = 0
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
        for one in self._waiting.drain():
            _fail(one, Unavailable("this replica is stopping; try again", code="stopping"))

    @property
    def waiting_rows(self) -> int:
        """How many pictures wait now."""
        return self._waiting.rows

    @property
    def pace_seconds(self) -> float:
        """Seconds a picture takes, a running mean."""
        return self._pace

    def coming(self) -> Coming:
        """Say that an edit is on its way."""
        with self._changed:
            self._coming += 1
        return Coming(self)

    def came(self) -> None:
        """Count an edit that is on its way no longer; `Coming.end` calls it."""
        with self._changed:
            self._coming -= 1
            if self._is_due(time.monotonic()):
                self._changed.notify()

    async def do(self, work: Work, coming: Coming | None = None) -> Done:
        """Queue a work and wait for it.

        Args:
            work: the work.
            coming: ended as soon as the work stands in the queue.

        Raises:
            Unavailable: codes `overloaded` (the queue is full), `deadline_exceeded`, `stopping`.
            HeddleError: what the edit itself raised.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop.create_future(), loop, time.monotonic())
        with self._changed:
            if self._closed:
                raise Unavailable("this replica is stopping; try again", code="stopping")
            wait = self._pace * (self._waiting.ahead_of(work.owner) + work.rows)
            if waiting.since + wait > work.deadline and self._waiting:
                raise _overloaded(f"its turn would come in {wait:.1f} seconds, after its deadline", wait)
            pushed_out = self._waiting.push(waiting)
            if pushed_out is None:
                raise self._full()
            for one in pushed_out:
                _fail(one, self._full())
            if coming is None or self._waiting.rows == work.rows:
                self._changed.notify()  # the thread begins to work, or to wait for company
        if coming is not None:
            coming.end()
        try:
            async with asyncio.timeout(max(0.0, work.deadline - time.monotonic())):
                return await waiting.future
        except TimeoutError:
            raise deadline_exceeded() from None

    def _full(self) -> Unavailable:
        return _overloaded(
            f"{self._waiting.rows} pictures wait to be drawn, at most {self._queue_max} may",
            self._pace * self._waiting.rows,
        )

    def _is_due(self, now: float) -> bool:
        """Tell whether what waits is to be drawn now: all that is on its way is there, or has been waited for."""
        if not self._waiting:
            return False
        return self._coming <= 0 or self._waiting.rows >= MAX_ROWS or now >= self._waiting.oldest() + self._company

    @property
    def _company(self) -> float:
        return min(_COMPANY_PICTURES * self._pace, _COMPANY_MOST_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._is_due(now := time.monotonic()):
                    left = self._waiting.oldest() + self._company - now
                    self._changed.wait(left if self._waiting else None)
                if self._closed:
                    return
                batch = self._waiting.take(MAX_ROWS, time.monotonic())
            now = time.monotonic()
            for late in [one for one in batch if one.work.deadline <= now]:
                _fail(late, deadline_exceeded())
            timely = [one for one in batch if one.work.deadline > now and not one.future.cancelled()]
            if timely:
                rows = sum(one.work.rows for one in timely)
                self._observe_rows(rows)
                _serve(timely, now)
                newest = (time.monotonic() - now) / rows
                self._pace += _PACE_SHARE * (newest - self._pace) if self._pace else newest


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


def _overloaded(sentence: str, seconds: float) -> Unavailable:
    error = Unavailable(f"{sentence}; try again in a moment", code="overloaded")
    error.retry_after_seconds = max(1.0, seconds)
    return error


def deadline_exceeded() -> Unavailable:
    """Return the error for an edit that nobody waits for any more."""
    return Unavailable("the edit was not done within its deadline; try again in a moment", code="deadline_exceeded")


def _tell(one: _Waiting, result: Done) -> None:
    _settle(one, lambda: one.future.set_result(result))


def _fail(one: _Waiting, error: BaseException) -> None:
    _settle(one, lambda: one.future.set_exception(error))


def _settle(one: _Waiting, settle: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
        one.loop.call_soon_threadsafe(lambda: None if one.future.done() else settle())
