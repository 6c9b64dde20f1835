"""The `fit` job: a labelled set becomes an adapter version, its files stored before its row is written."""

import asyncio
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, datasets, factor_sets, jobs
from heddle_infra.database.adapters import NewVersion
from heddle_infra.database.engine import Database
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_platform import keys
from heddle_platform.errors import Conflict, Unavailable
from heddle_platform.latents import pack_latents
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.records import Dataset, GateVerdict, Job, JobError, JobStatus
from heddle_platform.settings import LimitSettings
from heddle_workers.base_source import BaseSource
from heddle_workers.clock import Clock
from heddle_workers.cluster import Cluster
from heddle_workers.fitted import ADAPTER_FILE, Fitted
from heddle_workers.production import against_production
from heddle_workers.progress import Report
from heddle_workers.store import base_source, presign, put_addressed, put_first, set_source
from heddle_workers.tasks import EncodeRequest, FitRequest, SetSource, heddle_encode, heddle_fit
from heddle_workers.together import together
from heddle_workers.work import Ending

# Share of a job's progress that is behind it once all is encoded; fitting and scoring take the rest.
_ENCODED: Final = 0.3
_LEAST_SLICE: Final = 256  # images; fewer are encoded faster than a second worker fetches them

_STATUS: Final[dict[GateVerdict, JobStatus]] = {
    "pass": "succeeded",
    "needs_approval": "awaiting_approval",
    "fail": "failed",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class _Material:
    dataset: Dataset
    digest: str
    images: int
    factor_set: dict[str, Any]
    source: SetSource
    base: BaseSource
    latents_key: str


class FitWork:
    """Fits adapters.

    Spec of the job: {adapter, factor_set_id, factor_set_version, dataset_id, base_id, base_digest, base_name}.
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
        """Encode what is not encoded, fit, score, gate, export, store; see `Work.run`."""
        clock = Clock()
        material = await self._material(job)
        if await asyncio.to_thread(self._objects.head, material.latents_key) is None:
            with clock.timed("encoding_seconds"):
                latents_NL = await self._encode(material, report)
                await put_first(self._objects, material.latents_key, pack_latents(latents_NL))
        report("fitting", _ENCODED)
        [latents_url] = await presign(self._objects, [material.latents_key])
        request = FitRequest(
            material.source, material.base, latents_url, material.factor_set, self._limits, self._cluster.threads
        )
        with clock.timed("fitting_seconds"):
            fitted = await self._cluster.run(
                heddle_fit, request, lambda stage, share: report(stage, _ENCODED + (1 - _ENCODED) * share)
            )
        fitted = await against_production(self._database, job.tenant, job.spec["adapter"], fitted)
        with clock.timed("storing_seconds"):
            files = await self._store(job.tenant, fitted)
        log.info("adapter_fitted", verdict=fitted.verdict, digest=fitted.digest, **clock.seconds, **fitted.seconds)
        return self._finished(job, fitted, files)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""

        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status="failed", error=error)

        return Ending(record, "failed")

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""

        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status="cancelled")

        return Ending(record, "cancelled")

    async def _material(self, job: Job) -> _Material:
        spec, tenant_id = job.spec, job.tenant
        async with self._database.transaction() as session:
            dataset = await datasets.resolve(session, tenant_id, spec["dataset_id"])
            factors = await factor_sets.resolve(session, tenant_id, spec["factor_set_id"], spec["factor_set_version"])
        if dataset.digest is None or dataset.images is None:
            raise Conflict(
                f"labelled set {dataset.id} is {dataset.status}; only a set that is ready can be fitted",
                code="dataset_not_ready",
                param="dataset",
            )
        return _Material(
            dataset,
            dataset.digest,
            dataset.images,
            factors.document,
            await set_source(self._objects, tenant_id, dataset.digest),
            await base_source(self._objects, spec["base_name"], spec["base_digest"]),
            keys.latents(tenant_id, dataset.digest, spec["base_digest"]),
        )

    async def _encode(self, material: _Material, report: Report) -> NDArray[np.float32]:
        slices = max(1, min(self._cluster.slots, math.ceil(material.images / _LEAST_SLICE)))
        bounds = [material.images * index // slices for index in range(slices + 1)]
        shares = [0.0] * slices

        def reporter(index: int) -> Report:
            def told(_stage: str, share: float) -> None:
                shares[index] = share
                report("encoding", _ENCODED * sum(shares) / slices)

            return told

        parts = await together(
            self._cluster.run(
                heddle_encode,
                EncodeRequest(material.source, material.base, start, stop, self._limits, self._cluster.threads),
                reporter(index),
                gpus=self._cluster.encode_gpus,
            )
            for index, (start, stop) in enumerate(pairwise(bounds))
        )
        return np.concatenate(parts)

    async def _store(self, tenant_id: str, fitted: Fitted) -> dict[str, str]:
        async def store(file: str, data: bytes) -> tuple[str, str]:
            key = keys.adapter_file(tenant_id, fitted.digest, file)
            # the adapter is what its key says; cards and pages of equal adapters were drawn by the first of them
            put = put_addressed if file == ADAPTER_FILE else put_first
            return file, await put(self._objects, key, data)

        return dict(await together(store(file, data) for file, data in fitted.files.items()))

    def _finished(self, job: Job, fitted: Fitted, files: dict[str, str]) -> Ending:
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

        async def record(session: AsyncSession) -> None:
            version = await adapters.add_version(session, job.tenant, job.id, new)
            url = f"/v1/adapters/{version.adapter_id}/versions/{version.version}/card"
            result = {
                "adapter": new.adapter_name,
                "adapter_id": version.adapter_id,
                "version": version.version,
                "verdict": fitted.verdict,
                "reasons": fitted.gate["reasons"],
                "card": {**fitted.card, "url": url},
            }
            await jobs.close(session, job.id, status=status, result=result, error=error)

        return Ending(record, status, self._announce)

    async def _announce(self) -> None:
        try:
            await self._cache.publish(CHANGED_CHANNEL, "version")
        except Unavailable:
            log.info("announcement_lost")  # the edges poll as well
