"""The meter of a process: counts in memory, flushed to the database every few seconds, each flush counted once.

A process that is killed loses what it counted since its last flush (`usage_flush_seconds`, 2 s unless set); one that
is stopped loses nothing. While the database is away the counts wait: they take a few numbers per tenant and hour.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from heddle_infra.database import usage
from heddle_infra.database.engine import Database
from heddle_platform.errors import Unavailable
from heddle_platform.usage import Metric, Slot

_LAST_FLUSH_SECONDS: Final = 3.0
_HOUR_SECONDS: Final = 3_600

_log = structlog.get_logger(__name__)


class UsageSink(Protocol):
    """Where counts go."""

    async def flush(self, source: str, sequence: int, counts: Mapping[Slot, int]) -> None:
        """Add counts, once per source and sequence.

        Raises:
            Unavailable: nobody knows whether they arrived; send the same again.
        """


class DatabaseSink:
    """Adds counts to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flush(self, source: str, sequence: int, counts: Mapping[Slot, int]) -> None:
        async with self._database.platform_transaction() as session:
            await usage.flush(session, source, sequence, counts)


class Meter:
    """Counts of one process. For one event loop."""

    def __init__(self) -> None:
        self._source = secrets.token_hex(16)  # new at each start, so that numbers may begin at 1 again
        self._sequence = 0
        self._hour_number, self._hour_now = -1, datetime.min
        self._counts: Counter[Slot] = Counter()
        self._sent: Mapping[Slot, int] | None = None

    def count(self, tenant_id: str, metric: Metric, amount: int = 1) -> None:
        """Count something now."""
        self._counts[Slot(tenant_id, self._hour(), metric)] += amount

    def _hour(self) -> datetime:
        """Return the present hour, made anew only when it begins: requests are counted twice each."""
        number = int(time.time() // _HOUR_SECONDS)
        if number != self._hour_number:
            self._hour_number, self._hour_now = number, datetime.fromtimestamp(number * _HOUR_SECONDS, UTC)
        return self._hour_now

    async def flush(self, sink: UsageSink) -> None:
        """Send what was counted since the last flush; what may have arrived is sent again as it was.

        Raises:
            Unavailable: the sink is away; the counts wait for the next flush.
        """
        while self._sent is not None or self._counts:
            if self._sent is None:
                self._sent, self._counts = dict(self._counts), Counter()
                self._sequence += 1
            await sink.flush(self._source, self._sequence, self._sent)
            self._sent = None

    @asynccontextmanager
    async def flushing(self, sink: UsageSink | None, every_seconds: float) -> AsyncIterator[None]:
        """Flush while the block runs, and once more at its end; without a sink counts go nowhere."""
        if sink is None:
            yield
            return
        flushing = asyncio.create_task(self._flush_for_ever(sink, every_seconds), name="usage")
        try:
            yield
        finally:
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
            await self._flush_last(sink)

    async def _flush_for_ever(self, sink: UsageSink, every_seconds: float) -> None:
        away = False
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.flush(sink)
            except Unavailable as error:
                if not away:  # once, not at every try of a long night
                    _log.warning("usage_waits", reason=error.message)
                away = True
            except Exception as error:
                _log.error("usage_flush_failed", exc_info=error)
            else:
                away = False

    async def _flush_last(self, sink: UsageSink) -> None:
        try:
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                await self.flush(sink)
        except (Unavailable, TimeoutError) as error:
            _log.warning("usage_lost", slots=len(self._sent or ()) + len(self._counts), reason=str(error))
