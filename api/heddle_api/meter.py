"""The meter of a process: counts in memory, flushed to the database every few seconds (see `flushing`).

Counts that wait take a few numbers per tenant and hour.
"""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from heddle_api.flushing import Flushing, Sink
from heddle_infra.database import usage
from heddle_infra.database.engine import Database
from heddle_platform.usage import Metric, Slot

_HOUR_SECONDS: Final = 3_600
UsageSink = Sink[Mapping[Slot, int]]


class DatabaseSink:
    """Adds counts to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flush(self, source: str, sequence: int, counts: Mapping[Slot, int]) -> None:
        async with self._database.platform_transaction() as session:
            await usage.flush(session, source, sequence, counts)


class Meter(Flushing[Mapping[Slot, int]]):
    """Counts of one process. For one event loop."""

    def __init__(self) -> None:
        super().__init__("usage")
        self._hour_number, self._hour_now = -1, datetime.min
        self._counts: Counter[Slot] = Counter()

    def count(self, tenant_id: str, metric: Metric, amount: int = 1) -> None:
        """Count something now."""
        self._counts[Slot(tenant_id, self._hour(), metric)] += amount

    def _hour(self) -> datetime:
        """Return the present hour, made anew only when it begins: requests are counted twice each."""
        number = int(time.time() // _HOUR_SECONDS)
        if number != self._hour_number:
            self._hour_number, self._hour_now = number, datetime.fromtimestamp(number * _HOUR_SECONDS, UTC)
        return self._hour_now

    def _take(self) -> Mapping[Slot, int] | None:
        if not self._counts:
            return None
        taken, self._counts = dict(self._counts), Counter()
        return taken

    def _slots(self, sent: Mapping[Slot, int] | None) -> int:
        return len(sent or ()) + len(self._counts)
