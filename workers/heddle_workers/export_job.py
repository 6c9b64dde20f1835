"""The `export` job: files of versions, made anew from their matrices and checked, in one archive for the tenant."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import exports, jobs, usage
from heddle_infra.database.engine import Database
from heddle_infra.database.exports import Exported
from heddle_platform import keys
from heddle_platform.errors import HeddleError
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Job, JobError
from heddle_platform.settings import LimitSettings
from heddle_platform.usage import Slot, hour_of
from heddle_workers.cluster import Cluster
from heddle_workers.export_task import Archived, ExportRequest, VersionSource, heddle_export
from heddle_workers.fitted import ADAPTER_FILE
from heddle_workers.progress import Report
from heddle_workers.scratch import scratch_archive
from heddle_workers.store import base_source, presign
from heddle_workers.work import Ending, closed

_EXPORT_CPUS: Final = 1.0
_ROOM_BYTES: Final = 256 * 1024**2  # of one version beside its base: matrices and graphs of the largest adapters

log = structlog.get_logger()


class ExportWork:
    """Exports versions.

    Spec of the job: {versions: [{adapter, adapter_id, version}], formats}.
    """

    def __init__(self, database: Database, objects: ObjectStore, cluster: Cluster, limits: LimitSettings) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster
        self._limits = limits

    async def run(self, job: Job, report: Report) -> Ending:
        """Make, check and store; see `Work.run`."""
        # resolved again: what was erased since it was queued is refused, and a version's number is never used twice
        references = [f"{one['adapter']}@{one['version']}" for one in job.spec["versions"]]
        async with self._database.transaction(job.tenant) as session:
            versions = await exports.resolve(session, job.tenant, references)
        async with scratch_archive(
            self._objects,
            keys.upload(job.tenant, f"{job.id}.export"),
            most_bytes=await self._most_bytes(versions),
            part_bytes=self._limits.upload_part_bytes,
        ) as scratch:
            sources = await self._sources(job, versions)
            request = ExportRequest(sources, tuple(job.spec["formats"]), scratch.urls, scratch.part_bytes)
            found = await self._cluster.run(heddle_export, request, report, cpus=_EXPORT_CPUS)
            await scratch.move(found.parts, keys.export(job.tenant, job.id, found.sha256))
        log.info("versions_exported", versions=len(versions), bytes=found.size)
        return self._ended(job, _result(job, found))

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error, lambda: self._delete(job.tenant, [job.id]))

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled", tidy=lambda: self._delete(job.tenant, [job.id]))

    async def _sources(self, job: Job, versions: Sequence[Exported]) -> tuple[VersionSource, ...]:
        places = [keys.adapter_file(job.tenant, one.version.digest, ADAPTER_FILE) for one in versions]
        bases = {one.base.digest: await base_source(self._objects, one.base.name, one.base.digest) for one in versions}
        return tuple(
            VersionSource(one.adapter.name, one.version.version, one.version.digest, url, bases[one.base.digest])
            for one, url in zip(versions, await presign(self._objects, places), strict=True)
        )

    async def _most_bytes(self, versions: Sequence[Exported]) -> int:
        def sizes() -> dict[str, int]:
            found = {}
            for one in {one.base.digest: one.base for one in versions}.values():
                listed = self._objects.list(keys.base_folder(one.name, one.digest))
                found[one.digest] = sum(info.size for info in listed)
            return found

        of_base = await asyncio.to_thread(sizes)
        return sum(of_base[one.base.digest] + _ROOM_BYTES for one in versions)

    def _ended(self, job: Job, result: dict[str, Any]) -> Ending:
        retired: list[str] = []

        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status="succeeded", result=result)
            retired[:] = await exports.retire(session, job.tenant)
            await usage.add(session, Counter({Slot(job.tenant, hour_of(datetime.now(UTC)), "jobs"): 1}))

        return Ending(record, "succeeded", lambda: self._delete(job.tenant, retired))

    async def _delete(self, tenant_id: str, job_ids: Sequence[str]) -> None:
        def delete() -> None:
            for job_id in job_ids:
                for info in list(self._objects.list(keys.export_prefix(tenant_id, job_id))):
                    self._objects.delete(info.key)

        try:
            await asyncio.to_thread(delete)
        except HeddleError as error:
            log.warning("archives_not_deleted", code=error.code)  # the reconciler finds them


def _result(job: Job, found: Archived) -> dict[str, Any]:
    versions = [{**asked, **made} for asked, made in zip(job.spec["versions"], found.versions, strict=True)]
    [first, *others] = versions
    named = {} if others else {name: first[name] for name in ("adapter", "adapter_id", "version")}
    name = f"{first['adapter']}-{first['version']}" if named else f"export-{job.id}"
    archive = {
        "url": f"/v1/jobs/{job.id}/export",
        "filename": f"{name}.zip",
        "bytes": found.size,
        "sha256": found.sha256,
    }
    return {**named, "archive": archive, "versions": versions}
