"""The `pretrain` job: a recipe becomes a published base, through as many workers and restarts as it takes.

Checkpoints are immutable objects numbered by their step. A training is the same whoever runs it, so two that think
they own the job write equal bytes, and the one with the highest number is the one to go on from.
"""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import bases, jobs
from heddle_infra.database.engine import Database
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_infra.tracking import MlflowTracker, open_tracker
from heddle_platform import keys
from heddle_platform.base.bundle import CARD_HTML
from heddle_platform.base.readings import Measurement
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.records import Job, JobError
from heddle_platform.settings import TrackingSettings
from heddle_platform.telemetry import code_version
from heddle_workers.cluster import Cluster
from heddle_workers.note import note_event
from heddle_workers.pretrained import Kept, Measured, Noted, Pretrained, PretrainRequest
from heddle_workers.progress import Report
from heddle_workers.store import forget_below, presign, put_addressed, put_first, unbroken
from heddle_workers.tasks import heddle_pretrain
from heddle_workers.work import Ending, closed

_CHECKPOINTS_KEPT: Final = 2

log = structlog.get_logger()


class PretrainWork:
    """Trains bases.

    Spec of the job: {recipe, workers}.
    """

    def __init__(
        self, database: Database, objects: ObjectStore, cache: Cache, cluster: Cluster, tracking: TrackingSettings
    ) -> None:
        self._database = database
        self._objects = objects
        self._cache = cache
        self._cluster = cluster
        self._tracking = tracking

    async def run(self, job: Job, report: Report) -> Ending:
        """Train from the last checkpoint on, then store the base and its card; see `Work.run`."""
        kept = await asyncio.to_thread(self._checkpoints, job.id)
        urls = await presign(self._objects, kept[-1:])
        cpus = self._cluster.pretrain_cpus
        request = PretrainRequest(job.spec["recipe"], job.spec["workers"], urls[0] if urls else None, cpus)

        tracker = open_tracker(self._tracking, run=job.id, name=str(request.recipe.get("name")))
        if tracker is not None:
            await asyncio.to_thread(tracker.started, request.recipe, code_version())

        async def told(message: Any) -> None:
            await self._told(job, tracker, message)

        if kept:
            log.info("pretraining_resumed", checkpoint=kept[-1])
        # the driver of several workers only waits
        own_cpus = cpus if request.workers == 1 else 0.0
        trained = await self._cluster.run(heddle_pretrain, request, report, cpus=own_cpus, told=told)
        for file, data in trained.card_files.items():
            await put_first(self._objects, keys.base_file(trained.name, trained.digest, file), data)
        for file, data in trained.files.items():
            await put_addressed(self._objects, keys.base_file(trained.name, trained.digest, file), data)
        if tracker is not None:
            await asyncio.to_thread(tracker.finished, trained.digest, {CARD_HTML: trained.card_files[CARD_HTML]})
        log.info("base_trained", base=trained.name, digest=trained.digest, **trained.figures)
        return self._published(job, trained)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error, lambda: self._forget(job))

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled", tidy=lambda: self._forget(job))

    def _published(self, job: Job, trained: Pretrained) -> Ending:
        async def record(session: AsyncSession) -> None:
            base, _ = await bases.publish(session, name=trained.name, digest=trained.digest, manifest=trained.manifest)
            result = {
                "base": {"id": base.id, "name": base.name, "digest": base.digest},
                "card": f"/v1/bases/{base.id}/card",
                **trained.figures,
            }
            await jobs.close(session, job.id, status="succeeded", result=result)

        return Ending(record, "succeeded", lambda: self._announce(job))

    async def _told(self, job: Job, tracker: MlflowTracker | None, message: Any) -> None:
        match message:
            case Kept(step, data):
                await unbroken(asyncio.to_thread(self._keep, job.id, step, data))
            case Noted(kind, data):
                await note_event(self._database, job, kind, data)
            case Measured(measurement, traversal):
                await note_event(self._database, job, "measured", measurement)
                if tracker is not None:
                    await asyncio.to_thread(tracker.measured, Measurement.model_validate(measurement), traversal)

    def _checkpoints(self, job_id: str) -> list[str]:
        return [info.key for info in self._objects.list(keys.pretrain_prefix(job_id))]

    def _keep(self, job_id: str, step: int, data: bytes) -> None:
        self._objects.put(keys.pretrain_checkpoint(job_id, step), data)
        for key in self._checkpoints(job_id)[:-_CHECKPOINTS_KEPT]:
            self._objects.delete(key)

    async def _announce(self, job: Job) -> None:
        try:
            await self._cache.publish(CHANGED_CHANNEL, "base_published")
        except Unavailable:
            log.info("announcement_lost")  # the edges poll as well
        await self._forget(job)

    async def _forget(self, job: Job) -> None:
        await forget_below(self._objects, keys.pretrain_prefix(job.id))
