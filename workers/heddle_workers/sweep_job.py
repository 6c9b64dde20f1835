"""The `sweep` job: a plan becomes a chosen recipe and a report, through as many workers and restarts as it takes.

What a sweep knows is its folder, and what is in the folder is kept in the store: files by their digest, then the list
of them, under the lease's fence. Whoever takes the job over begins with that folder and repeats nothing that has ended.
"""

import asyncio
import json
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs, queue
from heddle_infra.database.engine import Database
from heddle_platform import keys
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Job, JobError, JobStatus
from heddle_workers.cluster import Cluster
from heddle_workers.note import note_event
from heddle_workers.pretrained import Noted
from heddle_workers.progress import Report
from heddle_workers.store import forget_below, presign, put_addressed, unbroken
from heddle_workers.sweep_task import heddle_sweep
from heddle_workers.swept import FolderChanged, SweepRequest, Swept
from heddle_workers.work import Ending, closed

_DRIVER_CPUS: Final = 0.0  # it only waits

log = structlog.get_logger()


class SweepWork:
    """Sweeps over recipes.

    Spec of the job: {plan}.
    """

    def __init__(self, database: Database, objects: ObjectStore, cluster: Cluster) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster

    async def run(self, job: Job, report: Report) -> Ending:
        """Sweep from where the last attempt was, then store what was found; see `Work.run`."""
        kept = _KeptFolder(self._database, self._objects, job)
        files = await kept.found()
        if files:
            log.info("sweep_resumed", files=len(files))

        async def told(message: Any) -> None:
            match message:
                case FolderChanged():
                    await unbroken(kept.keep(message))
                case Noted(kind, data):
                    await note_event(self._database, job, kind, data)

        request = SweepRequest(job.spec["plan"], files, self._cluster.pretrain_cpus)
        swept = await self._cluster.run(heddle_sweep, request, report, cpus=_DRIVER_CPUS, told=told)
        for kind, data in (("html", swept.report), ("json", swept.document)):
            await put_addressed(self._objects, keys.sweep_report(job.id, sha256_hex(data), kind), data)
        log.info("sweep_ended", chosen=swept.chosen, why=swept.why)
        return self._ended(job, swept)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error, lambda: self._forget(job))

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled", tidy=lambda: self._forget(job))

    def _ended(self, job: Job, swept: Swept) -> Ending:
        status: JobStatus = "succeeded" if swept.chosen else "failed"
        error = None if swept.chosen else JobError(code="no_setting_chosen", message=swept.why)
        files = {"html": sha256_hex(swept.report), "json": sha256_hex(swept.document)}
        result = {**swept.figures, "report": {"url": f"/v1/jobs/{job.id}/report", "sha256": files}}

        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status=status, result=result, error=error)

        return Ending(record, status, lambda: self._forget(job))

    async def _forget(self, job: Job) -> None:
        await forget_below(self._objects, keys.sweep_prefix(job.id))


class _KeptFolder:
    """A sweep's folder in the store, as one attempt reads and writes it.

    A file's key names the attempt that stored it, so that none deletes what a later one still needs.
    """

    def __init__(self, database: Database, objects: ObjectStore, job: Job) -> None:
        self._database = database
        self._objects = objects
        self._job = job
        self._keys: dict[str, str] = {}  # path -> key
        self._old_indices: list[str] = []

    async def found(self) -> dict[str, tuple[str, str]]:
        """Return path -> (address, SHA-256) of what the last attempt kept."""

        def read() -> None:
            listed = [info.key for info in self._objects.list(keys.sweep_prefix(self._job.id))]
            self._old_indices = [key for key in listed if key.endswith(".json")]
            if self._old_indices:
                self._keys = json.loads(self._objects.get(self._old_indices[-1]))

        await asyncio.to_thread(read)
        urls = await presign(self._objects, self._keys.values())
        return {path: (url, _digest(key)) for (path, key), url in zip(self._keys.items(), urls, strict=True)}

    async def keep(self, changed: FolderChanged) -> None:
        """Store what changed, then the list of all files, then delete what the list before alone named.

        Raises:
            LeaseLost: another attempt goes on from the list before.
        """
        job = self._job
        await asyncio.to_thread(self._put_files, changed)
        same = {path: key for path, key in self._keys.items() if changed.listing.get(path) == _digest(key)}
        new = {path: same.get(path) or self._key(sha256) for path, sha256 in changed.listing.items()}
        index = keys.sweep_index(job.id, job.attempt)
        async with self._database.transaction(job.tenant_id) as session:
            await queue.fence(session, job.id, job.attempt)
            await asyncio.to_thread(self._objects.put, index, canonical_json(new))
        gone = [*(set(self._keys.values()) - set(new.values())), *self._old_indices]
        self._keys, self._old_indices = new, []

        def delete() -> None:
            for key in gone:
                self._objects.delete(key)

        await asyncio.to_thread(delete)

    def _put_files(self, changed: FolderChanged) -> None:
        for sha256, data in changed.new.items():
            self._objects.put(self._key(sha256), data)

    def _key(self, sha256: str) -> str:
        return keys.sweep_file(self._job.id, self._job.attempt, sha256)


def _digest(key: str) -> str:
    return key.rpartition("-")[2]
