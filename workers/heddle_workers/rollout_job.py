"""The `rollout` job: every served adapter brought to a new base, chunk by chunk, then the canary's aliases moved.

All state is rows: an adapter is done when its row has an outcome, written in one fenced transaction with its version.
Killed at any moment, the next attempt goes on with the rows that have none. The last step, moving aliases, is one
fenced transaction too, and changes the rollout's status, so that it is taken once.
"""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs, queue, rollout_items, rollout_moves, rollouts
from heddle_infra.database.engine import Database
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.records import Job, JobError, JobStatus
from heddle_platform.rollout_records import Rollout, RolloutItem
from heddle_platform.settings import LimitSettings
from heddle_workers.cluster import Cluster, WorkerLost
from heddle_workers.progress import Report, silent
from heddle_workers.rolled import RolloutRequest
from heddle_workers.rollout_store import RolloutStore, chunks
from heddle_workers.rollout_tasks import heddle_rollout
from heddle_workers.store import base_source
from heddle_workers.together import together
from heddle_workers.work import Ending

CHUNK: Final = 4  # adapters of one task: a tenant's own fit waits for no more than these
_CPUS: Final = 1.0
_WAY_SECONDS: Final = 20.0  # longest time that a lane gives way to tenants' jobs before it takes its next chunk
_WAY_POLL_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 1.0
_OUTAGES: Final = frozenset({"unavailable", "worker_lost"})
_OUTAGE_SECONDS: Final = 30.0
_MOST_ATTEMPTS: Final = 200

log = structlog.get_logger()


class RolloutWork:
    """Rolls bases out.

    Spec of the job: {rollout_id}; with {ends_canary: true} it rolls a canary back that nobody decided on in time.
    """

    def __init__(
        self, database: Database, objects: ObjectStore, cache: Cache, cluster: Cluster, limits: LimitSettings
    ) -> None:
        self._database = database
        self._objects = objects
        self._cache = cache
        self._cluster = cluster
        self._limits = limits

    async def run(self, job: Job, report: Report) -> Ending:
        """Fit what has no outcome yet, then move the canary; see `Work.run`."""
        rollout_id = job.spec["rollout_id"]
        if job.spec.get("ends_canary"):
            return await self._end_canary(job, rollout_id)
        async with self._database.platform_transaction() as session:
            await queue.fence(session, job.id, job.attempt)
            rollout = await rollouts.get(session, rollout_id)
            if rollout.status == "fitting":
                await rollout_items.plan(session, rollout)
                await rollouts.note(session, rollout)
        if rollout.status == "fitting":
            await self._fit(job, rollout, report)
            rollout = await self._move(job, rollout)
            await self._announce()
        return self._closed(job, "succeeded", result={"rollout": rollout.id, "status": rollout.status})

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail, unless it is an outage: rows say where it stands, and it goes on later; see `Work.give_up`."""
        if error.code not in _OUTAGES or job.attempt >= _MOST_ATTEMPTS:
            return self._closed(job, "failed", error=error)

        async def record(session: AsyncSession) -> None:
            why = f"{error.code}: {error.message}"
            await queue.give_back(session, job.id, job.attempt, after_seconds=_OUTAGE_SECONDS, why=why)

        return Ending(record, "queued")

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return self._closed(job, "cancelled")

    async def _fit(self, job: Job, rollout: Rollout, report: Report) -> None:
        store = RolloutStore(self._database, self._objects, job, rollout)
        async with self._database.platform_transaction() as session:
            counted = await rollouts.counts(session, rollout.id)
        done, total = counted.done, max(counted.adapters, 1)

        def told_one() -> None:
            nonlocal done
            done += 1
            report("rolling_out", min(done / total, 1.0))

        while True:
            async with self._database.platform_transaction() as session:
                await queue.fence(session, job.id, job.attempt)
                left = await rollout_items.open_items(session, rollout.id)
            if not left:
                return
            waiting = iter(chunks(left, CHUNK))

            async def lane(waiting: Any = waiting) -> None:
                for chunk in waiting:
                    await self._give_way()
                    await self._chunk(store, rollout, chunk, told_one)

            # lanes share one iterator: whoever is free takes the next chunk
            await together(lane() for _ in range(min(self._cluster.cpus, -(-len(left) // CHUNK))))
            await asyncio.sleep(_AGAIN_SECONDS if len(left) < CHUNK else 0.0)

    async def _chunk(self, store: RolloutStore, rollout: Rollout, chunk: list[RolloutItem], told_one: Any) -> None:
        asked = await store.begin(chunk)
        if not asked:
            return
        base = await base_source(self._objects, rollout.base_name, rollout.base_digest)

        async def told(found: Any) -> None:
            await store.take(found)
            told_one()

        request = RolloutRequest(base, asked, self._limits, 1)
        try:
            await self._cluster.run(heddle_rollout, request, silent, cpus=_CPUS, told=told)
        except WorkerLost as error:
            # its adapters have no outcome and one more attempt; a lost Ray ends this process anyway
            log.warning("rollout_chunk_lost", detail=str(error), adapters=len(asked))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _give_way(self) -> None:
        waited = 0.0
        while waited < _WAY_SECONDS:
            async with self._database.platform_transaction() as session:
                if not await rollout_items.others_wait(session):
                    return
            await asyncio.sleep(_WAY_POLL_SECONDS)
            waited += _WAY_POLL_SECONDS

    async def _move(self, job: Job, rollout: Rollout) -> Rollout:
        async with self._database.platform_transaction() as session:
            await queue.fence(session, job.id, job.attempt)
            rollout = await rollouts.get(session, rollout.id, lock=True)
            if rollout.status != "fitting":
                return rollout
            if rollout.dry_run:
                await rollouts.set_status(session, rollout.id, "reported")
            elif rollout.canary_share >= 1.0:
                await rollout_moves.complete(session, rollout)
            else:
                await rollout_moves.move(session, rollout, "canary")
                await rollouts.set_status(session, rollout.id, "canary")
                await rollouts.watch_canary(session, rollout)
            rollout = await rollouts.get(session, rollout.id)
            counted = await rollouts.counts(session, rollout.id)
        log.info(
            "rollout_fitted",
            rollout_id=rollout.id,
            status=rollout.status,
            adapters=counted.adapters,
            better=counted.better,
            equal=counted.equal,
            worse=counted.worse,
            failed=counted.failed,
            moved=counted.moved,
        )
        return rollout

    async def _end_canary(self, job: Job, rollout_id: str) -> Ending:
        async with self._database.platform_transaction() as session:
            await queue.fence(session, job.id, job.attempt)
            rollout = await rollouts.get(session, rollout_id)
            if rollout.status == "canary":
                rollout, back = await rollout_moves.roll_back(session, rollout_id)
                log.warning("canary_rolled_back", rollout_id=rollout_id, undone=back.undone, kept=back.kept)
        await self._announce()
        return self._closed(job, "succeeded", result={"rollout": rollout.id, "status": rollout.status})

    def _closed(
        self, job: Job, status: JobStatus, *, result: dict[str, Any] | None = None, error: JobError | None = None
    ) -> Ending:
        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status=status, result=result, error=error)
            await rollouts.settle(session)

        return Ending(record, status)

    async def _announce(self) -> None:
        try:
            await self._cache.publish(CHANGED_CHANNEL, "rolled_out")
        except Unavailable:
            log.info("announcement_lost")  # the edges poll as well
