"""The `fit` job: a labelled set becomes an adapter version, its files stored before its row is written."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import fit_outcomes
from heddle_infra.database.engine import Database
from heddle_infra.database.fit_outcomes import FitOutcome
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_infra.database.versions import NewVersion
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.records import GateVerdict, Job, JobError, JobStatus
from heddle_platform.settings import LimitSettings
from heddle_workers.batcher import Batcher
from heddle_workers.chunk_task import NotEncoded
from heddle_workers.chunks import Chunks
from heddle_workers.clock import Clock
from heddle_workers.cluster import Cluster
from heddle_workers.fitted import Fitted
from heddle_workers.material import encode_missing, material_for
from heddle_workers.production import Production
from heddle_workers.progress import Report
from heddle_workers.room import is_small
from heddle_workers.store import presign, put_all_fitted, put_fitted
from heddle_workers.tasks import FitRequest, heddle_fit
from heddle_workers.work import Ending, closed, nothing_to_tidy

# Share of a job's progress that is behind it once all is encoded; fitting and scoring take the rest.
_ENCODED: Final = 0.3

_STORED_TOGETHER: Final = 50

_STATUS: Final[dict[GateVerdict, JobStatus]] = {
    "pass": "succeeded",
    "needs_approval": "awaiting_approval",
    "fail": "failed",
}

log = structlog.get_logger()


class FitWork:
    """Fits adapters.

    Spec of the job: {adapter, factor_set_id, factor_set_version, dataset_id, base_id, base_digest, base_name}, and
    `card: "brief"` where the fit goes in a chunk.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        cache: Cache,
        cluster: Cluster,
        limits: LimitSettings,
        *,
        chunk_fits: int = 50,
        chunk_rows: int = 20_000,
    ) -> None:
        self._database = database
        self._objects = objects
        self._cache = cache
        self._cluster = cluster
        self._limits = limits
        self._production = Production(database)
        # what one message of a chunk told is stored, and then written, together
        self._storing = Batcher[tuple[str, Fitted], dict[str, str]](partial(put_all_fitted, objects), _STORED_TOGETHER)
        self._chunks = Chunks(database, objects, cluster, most=chunk_fits, most_rows=chunk_rows)

    async def run(self, job: Job, report: Report) -> Ending:
        """Encode what is not encoded, fit, score, gate, export, store; see `Work.run`."""
        if job.spec.get("card") == "brief":
            return await self._run_small(job, report)
        clock = Clock()
        material = await material_for(self._database, self._objects, job)
        with clock.timed("encoding_seconds"):
            encoded = await encode_missing(
                self._objects,
                self._cluster,
                self._limits,
                material,
                lambda stage, share: report(stage, _ENCODED * share),
            )
        report("fitting", _ENCODED)
        [latents_url] = await presign(self._objects, [material.latents_key])
        request = FitRequest(
            material.source, material.base, latents_url, material.factor_set, self._limits, self._cluster.threads
        )
        with clock.timed("fitting_seconds"):
            fitted = await self._cluster.run(
                heddle_fit, request, lambda stage, share: report(stage, _ENCODED + (1 - _ENCODED) * share)
            )
        fitted = await self._production.held_against(job.tenant, job.spec["adapter"], fitted)
        with clock.timed("storing_seconds"):
            files = await put_fitted(self._objects, job.tenant, fitted)
        log.info("adapter_fitted", verdict=fitted.verdict, digest=fitted.digest, **clock.seconds, **fitted.seconds)
        return self._finished(job, fitted, files, encoded, clock)

    def gather(self, jobs: Sequence[Job]) -> None:
        """Put small fits into chunks; see `Gathering`."""
        self._chunks.gather([job for job in jobs if is_small(job)])

    async def _run_small(self, job: Job, report: Report) -> Ending:
        encoded, clock = 0, Clock()
        try:
            fitted = await self._chunks.fit(job)
        except NotEncoded:
            # the first fit of a set: encoded by itself, and then a chunk of one
            material = await material_for(self._database, self._objects, job)
            with clock.timed("encoding_seconds"):
                encoded = await encode_missing(
                    self._objects,
                    self._cluster,
                    self._limits,
                    material,
                    lambda stage, share: report(stage, _ENCODED * share),
                )
            fitted = await self._chunks.fit(job)
        fitted = await self._production.held_against(job.tenant, job.spec["adapter"], fitted)
        files = await self._storing.ask((job.tenant, fitted))
        log.info("adapter_fitted", verdict=fitted.verdict, digest=fitted.digest, **fitted.seconds)
        return self._finished(job, fitted, files, encoded, clock)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error)

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled")

    def _finished(self, job: Job, fitted: Fitted, files: dict[str, str], encoded: int, clock: Clock) -> Ending:
        status = _STATUS[fitted.verdict]
        new = NewVersion(
            adapter_name=job.spec["adapter"],
            digest=fitted.digest,
            base_id=job.spec["base_id"],
            base_digest=job.spec["base_digest"],
            factor_set_id=job.spec["factor_set_id"],
            factor_set_version=job.spec["factor_set_version"],
            dataset_id=job.spec["dataset_id"],
            verdict=fitted.verdict,
            gate=fitted.gate,
            card=fitted.card,
            files=files,
        )
        error = None
        if fitted.verdict == "fail":
            error = JobError(code="gate_failed", message=str(fitted.gate["reasons"][0]))

        outcome = FitOutcome(job.tenant, job.id, new, status, error, encoded, _encoding(encoded, clock))
        # what did not pass is served nowhere before a person approves of it
        return ending_of(outcome, self._announce if fitted.verdict == "pass" else nothing_to_tidy)

    async def _announce(self) -> None:
        try:
            await self._cache.publish(CHANGED_CHANNEL, "version")
        except Unavailable:
            log.info("announcement_lost")  # the edges poll as well


def ending_of(outcome: FitOutcome, tidy: Callable[[], Awaitable[None]]) -> Ending:
    """Return the ending of a job that fitted a version."""

    async def record(session: AsyncSession) -> None:
        await fit_outcomes.record(session, [outcome])

    return Ending(record, outcome.status, tidy, outcome)


def _encoding(images: int, clock: Clock) -> dict[str, float] | None:
    """Return how fast the set was encoded, waiting and fetching included; None where its latents were there."""
    seconds = clock.seconds.get("encoding_seconds", 0.0)
    if not images or not seconds:
        return None
    return {"images": images, "seconds": seconds, "images_per_second": round(images / seconds, 1)}
