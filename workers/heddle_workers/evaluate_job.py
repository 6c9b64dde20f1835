"""The `evaluate` job: a version that exists is scored on a labelled set. Nothing is made, nothing served changes."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, datasets, jobs, usage
from heddle_infra.database.engine import Database
from heddle_infra.database.referred import refuse_erased
from heddle_platform import keys
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import NotFound
from heddle_platform.ports import ObjectStore
from heddle_platform.records import AdapterVersion, Job, JobError
from heddle_platform.settings import LimitSettings
from heddle_platform.usage import Slot, hour_of
from heddle_workers.cluster import Cluster
from heddle_workers.evaluate_task import EvaluateRequest, heddle_evaluate
from heddle_workers.fitted import ADAPTER_FILE
from heddle_workers.material import encode_missing, material_for
from heddle_workers.progress import Report
from heddle_workers.store import presign, put_addressed
from heddle_workers.work import Ending, closed

_ENCODED: Final = 0.7  # of the job's progress, once all is encoded
_SCORE_CPUS: Final = 1.0
_IN_FULL: Final = ("confusion", "protocol")  # what only the stored document holds

log = structlog.get_logger()


class EvaluateWork:
    """Scores versions.

    Spec of the job: {adapter, adapter_id, version, factor_set_id, factor_set_version, dataset_id, base_id, base_digest,
    base_name}.
    """

    def __init__(self, database: Database, objects: ObjectStore, cluster: Cluster, limits: LimitSettings) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster
        self._limits = limits

    async def run(self, job: Job, report: Report) -> Ending:
        """Encode what is not encoded, score, store; see `Work.run`."""
        version, fitted_on = await self._version(job)
        material = await material_for(self._database, self._objects, job)
        encoded = await encode_missing(
            self._objects, self._cluster, self._limits, material, lambda stage, share: report(stage, _ENCODED * share)
        )
        names = [material.latents_key, keys.adapter_file(job.tenant, version.digest, ADAPTER_FILE)]
        if fitted_on is not None:
            names.append(keys.dataset_manifest(job.tenant, fitted_on))
        latents, adapter, *known = await presign(self._objects, names)
        request = EvaluateRequest(
            adapter, version.card, material.source.manifest_url, latents, known[0] if known else None
        )
        found = await self._cluster.run(
            heddle_evaluate,
            request,
            lambda stage, share: report(stage, _ENCODED + (1 - _ENCODED) * share),
            cpus=_SCORE_CPUS,
        )
        spec = job.spec
        document = {
            "adapter": spec["adapter"],
            "adapter_id": spec["adapter_id"],
            "version": spec["version"],
            "dataset": spec["dataset_id"],
            **found,
        }
        data = canonical_json(document)
        sha256 = sha256_hex(data)
        await put_addressed(
            self._objects, keys.evaluation(job.tenant, material.source.digest, version.digest, sha256), data
        )
        place = {"url": f"/v1/jobs/{job.id}/evaluation", "sha256": sha256, "set": material.source.digest}
        result = {**_short(document), "evaluation": {**place, "adapter": version.digest}}
        log.info("version_evaluated", version=version.version, scored=found["scored"], encoded=encoded)
        return _ended(job, result, encoded)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error)

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled")

    async def _version(self, job: Job) -> tuple[AdapterVersion, str | None]:
        """Return the version, and the digest of the set that it was fitted on, if that is known."""
        async with self._database.transaction(job.tenant) as session:
            adapter = await adapters.resolve(session, job.tenant, job.spec["adapter_id"])
            version = await adapters.version(session, job.tenant, adapter.id, job.spec["version"])
            refuse_erased(adapter, version)
            try:
                fitted_on = (await datasets.resolve(session, job.tenant, version.dataset_id)).digest
            except NotFound:
                fitted_on = None
        return version, fitted_on


def _ended(job: Job, result: dict[str, Any], encoded: int) -> Ending:
    async def record(session: AsyncSession) -> None:
        await jobs.close(session, job.id, status="succeeded", result=result)
        hour = hour_of(datetime.now(UTC))
        counted = Counter({Slot(job.tenant, hour, "jobs"): 1, Slot(job.tenant, hour, "images_encoded"): encoded})
        await usage.add(session, +counted)

    return Ending(record, "succeeded")


def _short(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the job tells of a document."""
    told = {name: value for name, value in document.items() if name not in _IN_FULL}
    factors = [{name: part for name, part in one.items() if name not in _IN_FULL} for one in document["factors"]]
    return {**told, "factors": factors}
