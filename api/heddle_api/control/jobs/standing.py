"""Where a job stands: its place in the queue, when it will start and end. Seen once for many readers.

The order of the queue is dealt out anew at most twice a second per process, so that reading a job costs the same with
ten thousand waiting as with one.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.queue_order import in_order
from heddle_infra.database.throughput import Throughput, measured, running_estimate, waiting_estimate
from heddle_platform.records import Job

_SEEN_FOR: Final = timedelta(seconds=0.5)
_MEASURED: Final = (("fit", "full"), ("fit", "brief"), ("pretrain", "full"))


@dataclass(frozen=True)
class Standing:
    """Where a job stands; None where it does not wait, or nothing was measured yet."""

    queue_position: int | None = None
    estimated_start_at: datetime | None = None
    estimated_end_at: datetime | None = None


NOWHERE: Final = Standing()


@dataclass(frozen=True)
class Seen:
    """The queue at one moment: job -> (place, cost units before it, its own), and what recent jobs took.

    `at` is the database's time, `looked` this process's monotonic seconds at it: the clock is asked once per look.
    """

    at: datetime
    looked: float
    places: Mapping[str, tuple[int, float, float]]
    measured: Mapping[tuple[str, str], Throughput | None]

    @property
    def age(self) -> timedelta:
        """How long ago that was."""
        return timedelta(seconds=time.monotonic() - self.looked)

    def standing(self, job: Job) -> Standing:
        """Return where one job stands."""
        now = self.at + self.age
        found = self.measured.get((job.type, job.spec.get("card", "full")))
        if job.status in ("running", "scoring"):
            ends = running_estimate(now, job, found)
            return Standing(estimated_end_at=ends.end_at if ends else None)
        if job.status != "queued" or job.id not in self.places:
            return NOWHERE
        place, ahead, cost = self.places[job.id]
        if found is None:
            return Standing(place)
        told = waiting_estimate(now, ahead, cost, found)
        return Standing(place, told.start_at, told.end_at)


class Standings:
    """The queue as it was seen last by this process."""

    def __init__(self) -> None:
        self._seen: Seen | None = None
        self._looking = asyncio.Lock()

    async def of(self, session: AsyncSession, *jobs: Job) -> list[Standing]:
        """Return where each job stands; looks at the queue again if that is due, or a job is newer than the look."""
        if not any(job.status in ("queued", "running", "scoring") for job in jobs):
            return [NOWHERE for _ in jobs]
        newest = max(job.created_at for job in jobs)
        async with self._looking:
            seen = self._seen
            if seen is None or seen.age > _SEEN_FOR or newest >= seen.at:
                self._seen = seen = await look(session)
        return [seen.standing(job) for job in jobs]


async def look(session: AsyncSession) -> Seen:
    """Look at the queue."""
    looked, now = time.monotonic(), (await session.execute(select(func.clock_timestamp()))).scalar_one()
    ahead, places = 0.0, {}
    for place, (job_id, cost) in enumerate(await in_order(session)):
        places[job_id] = (place, ahead, cost)
        ahead += cost
    return Seen(now, looked, places, {kind: await measured(session, *kind) for kind in _MEASURED})
