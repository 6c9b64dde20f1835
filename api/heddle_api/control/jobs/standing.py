"""Where a job stands: its place in the queue, when it will start and end. Seen once for many readers.

The order of the queue is dealt out anew at most twice a second per process, and behind the answers, so that reading a
job costs and takes the same with ten thousand waiting as with one. A job that is queued here is put behind the others
of that order, so that a thousand POSTs do not deal it out a thousand times.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.engine import Database
from heddle_infra.database.fair_share import Waiting
from heddle_infra.database.queue import RETRY_STAGE
from heddle_infra.database.queue_order import OPERATORS, DealtOut, dealt_out
from heddle_infra.database.throughput import Throughput, measured, measured_as, running_estimate, waiting_estimate
from heddle_platform.errors import Unavailable
from heddle_platform.records import Job

_DUE_SECONDS: Final = 0.5
_SECONDS_A_JOB: Final = 2e-4  # longer between looks for each job that waits: 2.5 s at ten thousand
_BELIEVED_TURNS: Final = 4  # looks that may have been due before somebody waits for one
_WATCHED_SECONDS: Final = 5.0  # since the last reader, after which nobody looks until the next comes
_MEASURED_SECONDS: Final = 2.0  # what recent jobs took is believed so long, for it changes slowly
_MEASURING_SHARE: Final = 10  # and asking takes this part of the time at most: of many jobs few may be of a kind
_STANDING: Final = ("queued", "running", "scoring")
_MEASURED: Final = (
    ("fit", "full"),
    ("fit", "brief"),
    ("evaluate", "full"),
    ("export", "full"),
    ("drift_check", "full"),
    ("pretrain", "full"),
    ("sweep", "full"),
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Standing:
    """Where a job stands; None where it does not wait, or nothing was measured yet."""

    queue_position: int | None = None
    estimated_start_at: datetime | None = None
    estimated_end_at: datetime | None = None


NOWHERE: Final = Standing()


@dataclass(frozen=True)
class Measured:
    """What recent jobs of one kind took, and until when that is believed, in this process's monotonic seconds."""

    found: Throughput | None
    until: float


@dataclass(frozen=True)
class Seen:
    """The queue at one moment: job -> (place, cost units before it, its own), and what recent jobs took.

    `at` is the database's time, `looked` this process's monotonic seconds at it: the clock is asked once per look.
    """

    at: datetime
    looked: float
    queue: DealtOut
    places: dict[str, tuple[int, float, float]]
    measured: Mapping[tuple[str, str], Measured]

    @property
    def age(self) -> float:
        """How many seconds ago that was."""
        return time.monotonic() - self.looked

    @property
    def _good_for(self) -> float:
        return _DUE_SECONDS + _SECONDS_A_JOB * len(self.places)

    @property
    def due_in(self) -> float:
        """In how many seconds it is time for another look."""
        return self._good_for - self.age

    def tells_of(self, jobs: Iterable[Job]) -> bool:
        """Tell whether it can be believed and has a place for each job that waits; waiting for a retry is no place."""
        return self.age <= _BELIEVED_TURNS * self._good_for and all(
            job.status != "queued" or job.id in self.places or job.stage == RETRY_STAGE for job in jobs
        )

    def put(self, job: Job, cost: float) -> None:
        """Put a job behind the others, if it was queued after this look and that tells its place."""
        if self.due_in <= 0 or job.status != "queued" or job.id in self.places:
            return
        joined = self.queue.join(job.tenant_id or OPERATORS, Waiting(job.id, cost, priority=job.priority))
        if joined is not None:
            self.places[job.id] = (*joined, cost)

    def standing(self, job: Job) -> Standing:
        """Return where one job stands."""
        now = self.at + timedelta(seconds=self.age)
        kind = self.measured.get((measured_as(job.type), job.spec.get("card", "full")))
        found = kind.found if kind is not None else None
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

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: Seen | None = None
        self._looking = asyncio.Lock()
        self._read = asyncio.Event()
        self._read_at = -_WATCHED_SECONDS

    def at_hand(self, job: Job) -> Standing | None:
        """Return where a job stands if the last look tells; None: `of` has to look."""
        if job.status not in _STANDING:
            return NOWHERE
        self._note_reader()
        seen = self._seen
        return seen.standing(job) if seen is not None and seen.tells_of([job]) else None

    async def of(self, session: AsyncSession, *jobs: Job) -> list[Standing]:
        """Return where each job stands.

        Nobody waits for a look that is merely due: `keep` takes it. Who finds none, an old one, or one that lacks a
        job of theirs waits for the next, and so do all who come meanwhile.
        """
        if not any(job.status in _STANDING for job in jobs):
            return [NOWHERE for _ in jobs]
        self._note_reader()
        seen = self._seen
        if seen is None or not seen.tells_of(jobs):
            seen = await self._look_now(session, jobs)
        return [seen.standing(job) for job in jobs]

    async def of_new(self, session: AsyncSession, job: Job, cost: float) -> Standing:
        """Return where a job stands that this transaction queued, and what it will be charged."""
        if self._seen is not None:
            self._seen.put(job, cost)
        [found] = await self.of(session, job)
        return found

    def _note_reader(self) -> None:
        self._read_at = time.monotonic()
        self._read.set()

    async def _look_now(self, session: AsyncSession, jobs: Iterable[Job]) -> Seen:
        # in the caller's own transaction: it may have made the job, and the pool may have no other connection left
        async with self._looking:
            seen = self._seen
            if seen is None or not seen.tells_of(jobs):
                self._seen = seen = await look(session, seen)
        return seen

    async def keep(self) -> None:
        """Look whenever that is due, for as long as somebody reads; runs until cancelled."""
        while True:
            if time.monotonic() - self._read_at > _WATCHED_SECONDS:
                self._read.clear()
                await self._read.wait()
            await asyncio.sleep(_DUE_SECONDS if self._seen is None else max(0.0, self._seen.due_in))
            try:
                # the connection first: who holds the lock must never wait for one
                async with self._database.platform_transaction() as session, self._looking:
                    if self._seen is None or self._seen.due_in <= 0:
                        self._seen = await look(session, self._seen)
            except Unavailable as error:
                _log.info("queue_not_seen", reason=error.message)
                await asyncio.sleep(_DUE_SECONDS)
            except Exception as error:
                _log.error("queue_look_failed", exc_info=error)
                await asyncio.sleep(_DUE_SECONDS)


async def look(session: AsyncSession, before: Seen | None) -> Seen:
    """Look at the queue; what recent jobs took is told again from the look `before` while that is fresh."""
    looked, now = time.monotonic(), (await session.execute(select(func.clock_timestamp()))).scalar_one()
    queue, ahead, places = await dealt_out(session), 0.0, {}
    for place, (job_id, cost) in enumerate(queue.order):
        places[job_id] = (place, ahead, cost)
        ahead += cost
    took = {kind: await _measured(session, kind, before) for kind in _MEASURED}
    return Seen(now, looked, queue, places, took)


async def _measured(session: AsyncSession, kind: tuple[str, str], before: Seen | None) -> Measured:
    known = before.measured[kind] if before is not None else None
    started = time.monotonic()
    if known is not None and started < known.until:
        return known
    found = await measured(session, *kind)
    ended = time.monotonic()
    good_for = 0.0 if found is None else _MEASURED_SECONDS  # the first of a kind is news
    return Measured(found, ended + max(good_for, _MEASURING_SHARE * (ended - started)))
