"""The record: how endings reach the database, each once, behind the fence of its own lease.

Fits that end at about the same time are written in one transaction. Each is fenced by itself: whose lease was lost has
nothing written, and the others are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from heddle_infra.database import fit_outcomes, queue
from heddle_infra.database.engine import Database
from heddle_platform.errors import LeaseLost, Unavailable
from heddle_platform.records import Job
from heddle_workers.batcher import Batcher
from heddle_workers.work import Ending

LONGEST_PAUSE_SECONDS: Final = 5.0
_TOGETHER: Final = 50

log = structlog.get_logger()
T = TypeVar("T")


class Record:
    """Writes endings.

    Args:
        database: truth.
        pause_seconds: after the first time that the database was away; it doubles.
    """

    def __init__(self, database: Database, pause_seconds: float) -> None:
        self._database = database
        self._pause_seconds = pause_seconds
        self._fits = Batcher[tuple[Job, Ending], None](self._write_fits, _TOGETHER)

    async def write(self, job: Job, ending: Ending) -> None:
        """Write how a job ended, and tidy up.

        Raises:
            LeaseLost: the lease is another's, or the job is over; nothing was written.
        """
        if ending.fit is None:
            await self._alone(job, ending)
            await ending.tidy()
        else:
            await self._fits.ask((job, ending))

    async def _alone(self, job: Job, ending: Ending) -> None:
        async def write() -> None:
            async with self._database.transaction(job.tenant_id) as session:
                await queue.fence(session, job.id, job.attempt)
                await ending.record(session)

        await self._patiently(write)
        log.info("job_ended", job_id=job.id, status=ending.status)

    async def _write_fits(self, ended: Sequence[tuple[Job, Ending]]) -> list[Exception | None]:
        found = await self._together(ended) if len(ended) > 1 else await self._one_by_one(ended)
        for tidy in {ending.tidy for (_, ending), refused in zip(ended, found, strict=True) if refused is None}:
            await tidy()
        return found

    async def _together(self, ended: Sequence[tuple[Job, Ending]]) -> list[Exception | None]:
        leases = [(job.id, job.attempt) for job, _ in ended]

        async def write() -> set[str]:
            async with self._database.platform_transaction() as session:  # the fits may be of many tenants
                held = await queue.fence_all(session, leases)
                fits = [ending.fit for job, ending in ended if job.id in held and ending.fit is not None]
                if fits:
                    await fit_outcomes.record(session, fits)
                return held

        try:
            held = await self._patiently(write)
        except Exception:
            log.exception("outcomes_not_written_together", fits=len(ended))  # one of them is to blame, not all
            return await self._one_by_one(ended)
        for job, ending in ended:
            if job.id in held:
                log.info("job_ended", job_id=job.id, tenant_id=job.tenant_id, status=ending.status)
        return [None if job.id in held else _lost(job) for job, _ in ended]

    async def _one_by_one(self, ended: Sequence[tuple[Job, Ending]]) -> list[Exception | None]:
        found: list[Exception | None] = []
        for job, ending in ended:
            try:
                await self._alone(job, ending)
            except Exception as error:  # its own, and told to the one who waits for it
                found.append(error)
            else:
                found.append(None)
        return found

    async def _patiently(self, write: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await write()
            except Unavailable as error:
                # had the commit gone through unnoticed, the fence would refuse the next one
                failures += 1
                log.warning("outcome_waits", failures=failures, detail=str(error))
                await asyncio.sleep(min(self._pause_seconds * 2**failures, LONGEST_PAUSE_SECONDS))


def _lost(job: Job) -> LeaseLost:
    return LeaseLost(f"the lease {job.attempt} on job {job.id} is not valid any more")
