"""The dispatcher: leases jobs, has them done, keeps the leases alive, and writes each outcome once or not at all.

It holds nothing that a restart loses. Killed at any moment, its leases run out and another takes the jobs over;
an outcome is written in a transaction that locks the job under the lease's token, so that the slower of two writes
nothing. Stopped in good order, it gives its leases back at once.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog

from heddle_infra.database import queue
from heddle_infra.database.engine import Database
from heddle_platform.errors import HeddleError, LeaseLost, Unavailable
from heddle_platform.records import Job, JobError, JobType
from heddle_platform.settings import DispatchSettings
from heddle_workers.cluster import NodeLost, WorkerLost
from heddle_workers.lease import Lease
from heddle_workers.record import LONGEST_PAUSE_SECONDS, Record
from heddle_workers.room import Room
from heddle_workers.work import Ending, Gathering, Work, buried

_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 30.0
_LAST_WRITES_SECONDS: Final = 5.0

log = structlog.get_logger()


def not_its_fault(error: HeddleError) -> bool:
    """Tell whether an attempt failed for what no job can cause: a store or a node was away, and not its own worker."""
    return isinstance(error, Unavailable) and (isinstance(error, NodeLost) or not isinstance(error, WorkerLost))


class Dispatcher:
    """Runs jobs of the queue until told to stop.

    Args:
        database: truth.
        works: how each type of job is done.
        settings: leases, heartbeats, bounds.
        owner: name of this process in the leases it takes.
    """

    def __init__(
        self, database: Database, works: Mapping[JobType, Work], settings: DispatchSettings, *, owner: str
    ) -> None:
        self._database = database
        self._works = works
        self._settings = settings
        self._owner = owner
        self._room = Room(settings)
        self._leases: dict[str, Lease] = {}
        self._freed = asyncio.Event()
        self._record = Record(database, settings.poll_seconds)
        self._called = asyncio.Event()

    @property
    def held(self) -> int:
        """How many jobs are held at the moment."""
        return len(self._leases)

    def call(self) -> None:
        """Look now for what waits and for what is to stop, not when it is time to."""
        self._freed.set()
        self._called.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then give back what is not done and return."""
        beating = asyncio.create_task(self._keep_alive(), name="heartbeats")
        try:
            await self._claim_until(stop)
        finally:
            await self._let_go()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _claim_until(self, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        failures = 0
        while not stop.is_set():
            pause = self._settings.poll_seconds
            self._freed.clear()
            try:
                claimed = await self._claim()
                for gathering in {id(work): work for work in self._works.values()}.values():
                    if isinstance(gathering, Gathering):
                        gathering.gather([job for job in claimed if self._works[job.type] is gathering])
                for job in claimed:
                    self._start(job)
                failures = 0
            except Unavailable as error:
                failures += 1
                pause = min(pause * 2**failures, LONGEST_PAUSE_SECONDS)
                log.warning("queue_unreachable", failures=failures, detail=str(error))
            freed = asyncio.create_task(self._freed.wait())
            await asyncio.wait((stopping, freed), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            freed.cancel()

    async def _claim(self) -> list[Job]:
        free = self._room.free([lease.job for lease in self._leases.values()])
        if free <= 0:
            return []
        async with self._database.platform_transaction() as session:  # fair over all tenants
            return await queue.claim(
                session,
                owner=self._owner,
                limit=free,
                whole=self._room.whole,
                lease_seconds=self._settings.lease_seconds,
                max_attempts=self._settings.job_max_attempts,
            )

    def _start(self, job: Job) -> None:
        lease = self._leases[job.id] = Lease(job)
        lease.task = asyncio.create_task(self._serve(lease), name=f"job {job.id}")
        lease.task.add_done_callback(lambda _: self._end(job.id))

    def _end(self, job_id: str) -> None:
        self._leases.pop(job_id, None)
        self._freed.set()

    async def _keep_alive(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), self._settings.heartbeat_seconds)
            self._called.clear()
            if not self._leases:
                continue
            try:
                async with self._database.platform_transaction() as session:  # the leases may be of many tenants
                    stopped = await queue.beat(
                        session,
                        [lease.beat() for lease in self._leases.values()],
                        lease_seconds=self._settings.lease_seconds,
                    )
            except Exception as error:  # the work goes on; its lease may be another's by the time it is done
                expected = isinstance(error, Unavailable)
                log.warning("heartbeat_missed", detail=str(error), leases=len(self._leases), exc_info=not expected)
                continue
            for job_id, why in stopped.items():
                if lease := self._leases.get(job_id):
                    lease.stop("cancelled" if why == "cancelled" else "lost")

    async def _let_go(self) -> None:
        tasks = [lease.task for lease in self._leases.values() if lease.task is not None]
        for lease in list(self._leases.values()):
            lease.stop("shutdown")
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WRITES_SECONDS)

    async def _serve(self, lease: Lease) -> None:
        job = lease.job
        with structlog.contextvars.bound_contextvars(
            job_id=job.id, tenant_id=job.tenant_id, job_type=job.type, attempt=job.attempt
        ):
            log.info("job_started")
            try:
                ending = await self._outcome(lease)
                lease.ending = True
                if ending is not None:
                    await self._record.write(job, ending)
            except LeaseLost:
                log.warning("lease_lost", stage=lease.stage)
            except asyncio.CancelledError:
                log.warning("job_dropped", stage=lease.stage)
                raise
            except Exception:
                log.exception("outcome_not_written", stage=lease.stage)  # the lease runs out and the job is retried

    async def _outcome(self, lease: Lease) -> Ending | None:
        job, work = lease.job, self._works[lease.job.type]
        allowed_seconds = self._settings.timeout_of(job.type)
        try:
            async with asyncio.timeout(allowed_seconds):
                return await work.run(job, lease.report)
        except asyncio.CancelledError:
            if lease.stopped is None:
                raise
            return await self._stopped(lease, work)
        except TimeoutError:
            sentence = (
                f"the job did not end within {allowed_seconds:.0f} s and was stopped; "
                "send fewer or smaller images, or ask support for a higher limit"
            )
            return work.give_up(job, JobError(code="timed_out", message=sentence))
        except HeddleError as error:
            if error.retryable:
                return await self._again(lease, work, error.code, error.message, forgive=not_its_fault(error))
            log.info("job_refused", code=error.code, detail=error.message)
            return work.give_up(job, JobError(code=error.code, message=error.message, param=error.param))
        except Exception as error:
            log.exception("job_broke", stage=lease.stage)
            return await self._again(lease, work, "internal_error", f"an error of ours ({type(error).__name__})")

    async def _stopped(self, lease: Lease, work: Work) -> Ending | None:
        log.info("job_stopped", why=lease.stopped, stage=lease.stage)
        if lease.stopped == "cancelled":
            return work.cancel(lease.job)
        if lease.stopped == "shutdown":
            await self._give_back(lease.job, 0.0, "the dispatcher was restarted", forgive=True)
        return None

    async def _again(self, lease: Lease, work: Work, code: str, why: str, *, forgive: bool = False) -> Ending | None:
        job, most = lease.job, self._settings.job_max_attempts
        if job.tries >= most and (not forgive or job.attempt >= most * queue.FORGIVING):
            message = f"the job was tried {job.attempt} times, the last time: {why}; send it again or ask support"
            return buried(job, work.give_up(job, JobError(code=code, message=message)))
        wait = min(_FIRST_RETRY_SECONDS * 2 ** min(job.attempt - 1, 10), _LONGEST_RETRY_SECONDS)
        log.warning("job_retried", code=code, detail=why, after_seconds=wait, stage=lease.stage)
        await self._give_back(job, wait, why, forgive=forgive)
        return None

    async def _give_back(self, job: Job, after_seconds: float, why: str, *, forgive: bool = False) -> None:
        async with self._database.transaction(job.tenant_id) as session:
            await queue.give_back(session, job.id, job.attempt, after_seconds=after_seconds, why=why, forgive=forgive)
