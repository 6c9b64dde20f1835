"""The `validate` job: an upload becomes a labelled set that is ready, or is rejected with a report and forgotten."""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, factor_sets, jobs, quotas, uploads
from heddle_infra.database.engine import Database
from heddle_platform import keys
from heddle_platform.errors import HeddleError, NotFound, Unavailable
from heddle_platform.ports import ObjectStore
from heddle_platform.quota import Counted
from heddle_platform.records import Job, JobError, JobStatus
from heddle_platform.settings import LimitSettings, QuotaSettings
from heddle_workers.cluster import Cluster
from heddle_workers.progress import Report
from heddle_workers.scratch import scratch_archive
from heddle_workers.store import presign, put_first
from heddle_workers.tasks import ValidateRequest, heddle_validate
from heddle_workers.validate import Announced, Validation
from heddle_workers.work import Ending

_GROWTH: Final = 2  # a Parquet file may be compressed better than the zip it becomes
_SLACK_BYTES: Final = 64 * 1024**2

log = structlog.get_logger()


class ValidationWork:
    """Validates uploads.

    Spec of the job: {dataset_id, upload_id, factor_set_id, factor_set_version}.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        cluster: Cluster,
        limits: LimitSettings,
        allowances: QuotaSettings | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster
        self._limits = limits
        self._allowances = allowances or QuotaSettings()

    async def run(self, job: Job, report: Report) -> Ending:
        """Check the upload; see `Work.run`."""
        spec = job.spec
        async with self._database.transaction(job.tenant) as session:
            upload = await uploads.get(session, job.tenant, spec["upload_id"])
            factors = await factor_sets.resolve(session, job.tenant, spec["factor_set_id"], spec["factor_set_version"])
        key = keys.upload(job.tenant, upload.id)
        before = await asyncio.to_thread(self._objects.head, key)
        if before is None:
            raise NotFound(
                "the uploaded bytes are not in the store any more; upload the set again", code="upload_missing"
            )
        [url] = await presign(self._objects, [key])
        announced = Announced(upload.bytes, upload.sha256)
        async with scratch_archive(
            self._objects,
            keys.upload(job.tenant, f"{upload.id}.plain"),
            most_bytes=_GROWTH * upload.bytes + _SLACK_BYTES,
            part_bytes=self._limits.upload_part_bytes,
        ) as scratch:
            request = ValidateRequest(url, announced, factors.document, scratch.urls, scratch.part_bytes, self._limits)
            found = await self._cluster.run(heddle_validate, request, report, cpus=1.0)
            if found.manifest is None:
                return self._rejected(job, found.report)
            refused = await self._refused(job, found)
            if refused is not None:
                error = JobError(code=refused.code, message=refused.message, param=refused.param)
                return self._ended(job, _one_fault(error), "failed", error)
            report("storing", 1.0)
            await put_first(self._objects, keys.dataset_manifest(job.tenant, found.digest), found.manifest)
            target = keys.dataset_images(job.tenant, found.digest)
            if found.parts:
                await scratch.move(found.parts, target)
            else:
                await self._keep_images(key, before.version, target)
        return self._ready(job, found)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Reject the set for want of a validation; see `Work.give_up`."""
        return self._ended(job, _one_fault(error), "failed", error)

    def cancel(self, job: Job) -> Ending:
        """Reject the set; see `Work.cancel`."""
        error = JobError(code="cancelled", message="the validation was cancelled; register the set again")
        return self._ended(job, _one_fault(error), "cancelled", error)

    async def _refused(self, job: Job, found: Validation) -> HeddleError | None:
        # two sets of a tenant that end at the same moment may both pass; the next one does not
        more: dict[Counted, int] = {"images": found.images, "labelled_rows": int(found.report.get("labelled", 0))}
        async with self._database.transaction(job.tenant_id) as session:
            return await quotas.refused(session, job.tenant, self._allowances, more)

    async def _keep_images(self, source: str, version: str, target: str) -> None:
        def copy() -> None:
            if self._objects.head(target) is not None:
                return
            now = self._objects.head(source)
            if now is None or now.version != version:
                raise Unavailable("the upload changed while it was validated; it will be validated again")
            self._objects.copy(source, target)

        await asyncio.to_thread(copy)

    def _ready(self, job: Job, found: Validation) -> Ending:
        dataset_id = str(job.spec["dataset_id"])

        async def record(session: AsyncSession) -> None:
            await datasets.finish_validation(
                session, job.tenant, dataset_id, report=found.report, digest=found.digest, images=found.images
            )
            await jobs.release_waiting(session, dataset_id, error=None)
            await jobs.close(
                session, job.id, status="succeeded", result={"dataset": dataset_id, "images": found.images}
            )

        return Ending(record, "succeeded", lambda: self._forget_upload(job))

    def _rejected(self, job: Job, report: dict[str, Any]) -> Ending:
        first = report["errors"][0]
        place = f"row {first['row']}, " if "row" in first else ""
        place += f"column {first['column']!r}: " if "column" in first else ""
        message = f"the labelled set has {report['fault_count']} fault(s); the first: {place}{first['detail']}"
        error = JobError(code="dataset_rejected", message=message, param=first.get("column"))
        return self._ended(job, report, "failed", error)

    def _ended(self, job: Job, report: dict[str, Any], status: JobStatus, error: JobError) -> Ending:
        dataset_id = str(job.spec["dataset_id"])

        async def record(session: AsyncSession) -> None:
            await datasets.finish_validation(session, job.tenant, dataset_id, report=report)
            await jobs.release_waiting(session, dataset_id, error=error)
            await jobs.close(session, job.id, status=status, error=error)
            await self._delete_upload(job)  # before the commit: what is seen as rejected is stored nowhere

        return Ending(record, status)

    async def _delete_upload(self, job: Job) -> None:
        await asyncio.to_thread(self._objects.delete, keys.upload(job.tenant, job.spec["upload_id"]))

    async def _forget_upload(self, job: Job) -> None:
        try:
            await self._delete_upload(job)
        except HeddleError as error:
            log.warning("upload_not_deleted", code=error.code, upload_id=job.spec["upload_id"])


def _one_fault(error: JobError) -> dict[str, Any]:
    fault = {"pointer": "", "code": error.code, "detail": error.message}
    return {"valid": False, "fault_count": 1, "errors": [fault], "warnings": []}
