"""Drift tally: what the images an edge edits look like to the versions that edit them, summed (see `drift_sums`).

An image counts once an hour for a version, when a picture of it is drawn; one found in the cache was counted then. Its
latents wait here until `BATCH` images of the version have come, and only their sum goes on, with the flushes of the
usage meter's kind: what is stored holds no image. A process that stops loses those that wait, up to `BATCH` - 1 for
each version.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import structlog

from heddle_adapters.arrays import Singles
from heddle_adapters.drift_sums import drift_sums
from heddle_api.edge.serving import Target
from heddle_api.flushing import Flushing, Sink
from heddle_infra.database import drift
from heddle_infra.database.engine import Database
from heddle_platform.drift import BATCH, DriftSlot, DriftSums
from heddle_platform.errors import HeddleError

_HOUR_SECONDS: Final = 3_600
_MOST_SEEN: Final = 32_768  # images of this hour; 3 MB
_MOST_WAITING: Final = 4_096  # versions with latents that wait; 8 MB
DriftSink = Sink[Mapping[DriftSlot, DriftSums]]

_log = structlog.get_logger(__name__)


class DatabaseDriftSink:
    """Adds sums to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flush(self, source: str, sequence: int, sums: Mapping[DriftSlot, DriftSums]) -> None:
        async with self._database.platform_transaction() as session:
            await drift.flush(session, source, sequence, sums)


@dataclass(slots=True)
class _Waiting:
    """Latents of a version's images, of one epoch of its tenant."""

    tenant_id: str
    epoch: int
    latents: list[Singles] = field(default_factory=list)


class DriftTally(Flushing[Mapping[DriftSlot, DriftSums]]):
    """Sums of one process. For one event loop."""

    def __init__(self) -> None:
        super().__init__("drift")
        self._hour_number, self._hour = -1, datetime.min
        self._seen: set[int] = set()
        self._waiting: OrderedDict[tuple[str, str, int, str], _Waiting] = OrderedDict()
        self._sums: dict[DriftSlot, DriftSums] = {}

    def see(self, epoch: int, target: Target, image_digest: str, latents_L: Singles) -> None:
        """Take notice of an image that is edited; an edit never fails by it.

        Args:
            epoch: of the tenant, as the edit began.
            target: the version that edits it.
            image_digest: SHA-256 of its file.
            latents_L: its latents before the edit.
        """
        number = int(time.time() // _HOUR_SECONDS)
        if number != self._hour_number or len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
            self._hour_number, self._hour = number, datetime.fromtimestamp(number * _HOUR_SECONDS, UTC)
        image = hash((target.tenant_id, target.name, target.version, image_digest))
        if image in self._seen:
            return
        self._seen.add(image)
        key = target.tenant_id, target.name, target.version, target.digest
        waiting = self._waiting.get(key)
        if waiting is None or waiting.epoch != epoch:
            waiting = self._waiting[key] = _Waiting(target.tenant_id, epoch)
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)
        waiting.latents.append(latents_L)
        if len(waiting.latents) >= BATCH:
            del self._waiting[key]
            self._add(target, waiting)

    def forget_erased(self, epochs: Mapping[str, int]) -> None:
        """Let go of the latents of tenants whose epoch is another now, or who are served no longer."""
        for key, waiting in [*self._waiting.items()]:
            if epochs.get(waiting.tenant_id) != waiting.epoch:
                del self._waiting[key]

    def _add(self, target: Target, waiting: _Waiting) -> None:
        slot = DriftSlot(target.tenant_id, waiting.epoch, target.name, target.version, self._hour)
        try:
            sums = drift_sums(target.adapter, np.stack(waiting.latents))
        except HeddleError as error:  # the adapter left the bank this moment, or a latent is no number
            _log.warning("drift_batch_left_out", adapter=target.label, reason=error.message)
            return
        known = self._sums.get(slot)
        self._sums[slot] = sums if known is None else known + sums

    def _take(self) -> Mapping[DriftSlot, DriftSums] | None:
        if not self._sums:
            return None
        taken, self._sums = self._sums, {}
        return taken

    def _slots(self, sent: Mapping[DriftSlot, DriftSums] | None) -> int:
        return len(sent or ()) + len(self._sums)
