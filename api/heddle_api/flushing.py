"""Flushing: what a process gathers in memory goes to the database every few seconds, each flush counted once.

A process that is killed loses what it gathered since its last flush (`usage_flush_seconds`, 2 s unless set); one that
is stopped loses nothing. While the database is away what was gathered waits.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Generic, Protocol, TypeVar

import structlog

from heddle_platform.errors import Unavailable

Gathered = TypeVar("Gathered")
Taken = TypeVar("Taken", contravariant=True)
_LAST_FLUSH_SECONDS: Final = 3.0

_log = structlog.get_logger(__name__)


class Sink(Protocol[Taken]):
    """Where it goes."""

    async def flush(self, source: str, sequence: int, gathered: Taken, /) -> None:
        """Add what was gathered, once per source and sequence.

        Raises:
            Unavailable: nobody knows whether it arrived; send the same again.
        """


class Flushing(Generic[Gathered]):
    """Base of what gathers; for one event loop. `name` begins the names of its log events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._source = secrets.token_hex(16)  # new at each start, so that numbers may begin at 1 again
        self._sequence = 0
        self._sent: Gathered | None = None

    def _take(self) -> Gathered | None:
        """Take out what was gathered since the last call; None: nothing."""
        raise NotImplementedError

    def _slots(self, sent: Gathered | None) -> int:
        """Count the slots of what was sent and is not known to have arrived, and of what was gathered since."""
        raise NotImplementedError

    async def flush(self, sink: Sink[Gathered]) -> None:
        """Send what was gathered since the last flush; what may have arrived is sent again as it was.

        Raises:
            Unavailable: the sink is away; what was gathered waits for the next flush.
        """
        while True:
            if self._sent is None:
                self._sent = self._take()
                if self._sent is None:
                    return
                self._sequence += 1
            await sink.flush(self._source, self._sequence, self._sent)
            self._sent = None

    @asynccontextmanager
    async def flushing(self, sink: Sink[Gathered] | None, every_seconds: float) -> AsyncIterator[None]:
        """Flush while the block runs, and once more at its end; without a sink what is gathered goes nowhere."""
        if sink is None:
            yield
            return
        flushing = asyncio.create_task(self._flush_for_ever(sink, every_seconds), name=self._name)
        try:
            yield
        finally:
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
            await self._flush_last(sink)

    async def _flush_for_ever(self, sink: Sink[Gathered], every_seconds: float) -> None:
        away = False
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.flush(sink)
            except Unavailable as error:
                if not away:  # once, not at every try of a long night
                    _log.warning(f"{self._name}_waits", reason=error.message)
                away = True
            except Exception as error:
                _log.error(f"{self._name}_flush_failed", exc_info=error)
            else:
                away = False

    async def _flush_last(self, sink: Sink[Gathered]) -> None:
        try:
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                await self.flush(sink)
        except (Unavailable, TimeoutError) as error:
            _log.warning(f"{self._name}_lost", slots=self._slots(self._sent), reason=str(error))
