"""The `erase` job: images leave labelled sets, latents, adapters and the store, and a certificate says so.

The order is what makes a crash harmless. First everything without the images is written beside what is there, which
goes on serving. Then one fenced transaction points every row at it, withdraws the versions that knew the images and
raises the tenant's epoch: from then on nothing erased is served, and the erasure is owed. Then what no row names is
deleted, and only when the store holds none of it is the request done and the certificate signed.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import drift_checks, erasures, exports, jobs, queue, tenants
from heddle_infra.database.engine import Database
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_infra.signing import Signer
from heddle_platform import keys
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.records import AdapterVersion, Job, JobError
from heddle_workers.progress import Report
from heddle_workers.rewrite import Replaced, Rewriter, Rewritten
from heddle_workers.sweep import sweep
from heddle_workers.work import Ending

CERTIFICATE_KIND: Final = "heddle.erasure.v1"
_OWED_RETRY_SECONDS: Final = 30.0
_REWRITTEN: Final = 0.9  # share of the job that is behind once rows are rewritten

log = structlog.get_logger()


class ErasureWork:
    """Erases images.

    Spec of the job: {images: [SHA-256], key_id, dataset_id, items, reason}; the last three are for people.

    Args:
        database, objects, cache: the stores.
        rewriter: makes anew what knows the images.
        signer: of certificates.
        settle_seconds: how long an edge that missed the announcement may go on with what it holds.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        cache: Cache,
        rewriter: Rewriter,
        signer: Signer,
        *,
        settle_seconds: float,
    ) -> None:
        self._database = database
        self._objects = objects
        self._cache = cache
        self._rewriter = rewriter
        self._signer = signer
        self._settle_seconds = settle_seconds

    async def run(self, job: Job, report: Report) -> Ending:
        """Rewrite, switch, delete; see `Work.run`. Taken up after a kill it goes on where the rows say it stands."""
        found = job.result if job.result is not None else await self._switch(job, await self._rewrite(job, report))
        report("deleting", _REWRITTEN)
        await self._announce()
        await asyncio.sleep(self._settle_seconds)
        deleted = await sweep(self._database, self._objects, job.tenant)
        found = {**found, "cache_entries": await self._forget_cached(job.tenant)}
        log.info("images_erased", **found["erased"], objects=sum(deleted.values()), cached=found["cache_entries"])
        return self._ended(job, found)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail, unless rows were rewritten already: then it is tried again until it is done; see `Work.give_up`."""

        async def record(session: AsyncSession) -> None:
            if await erasures.owed(session, job.id):
                why = f"{error.code}: {error.message}"
                await queue.give_back(session, job.id, job.attempt, after_seconds=_OWED_RETRY_SECONDS, why=why)
            else:
                await jobs.close(session, job.id, status="failed", error=error)

        return Ending(record, "failed")

    def cancel(self, job: Job) -> Ending:
        """Stop before anything was rewritten; see `Work.cancel`."""
        return self.give_up(job, JobError(code="cancelled", message="the erasure was cancelled; ask for it again"))

    async def _rewrite(self, job: Job, report: Report) -> list[Rewritten]:
        touched = await self._rewriter.touched(job)
        rewritten = []
        for index, one in enumerate(touched):

            def told(stage: str, share: float, index: int = index) -> None:
                report(stage, _REWRITTEN * (index + share) / len(touched))

            rewritten.append(await self._rewriter.rewrite(job, one, told))
        return rewritten

    async def _switch(self, job: Job, rewritten: Sequence[Rewritten]) -> dict[str, Any]:
        async with self._database.transaction(job.tenant) as session:
            await queue.fence(session, job.id, job.attempt)
            made = []
            for one in rewritten:
                await erasures.shorten(session, job.tenant, one.shortened.sets)
                for replaced in one.replaced:
                    new = await erasures.replace(session, job, replaced.replacement)
                    made.append(_adapter_document(replaced, new, one.touched.removed))
            shortened = {each.dataset_id for one in rewritten for each in one.shortened.sets}
            gone = {
                (replaced.replacement.adapter_id, version)
                for one in rewritten
                for replaced in one.replaced
                for version in replaced.replacement.gone
            }
            await erasures.forget_evaluations(session, job, shortened, gone)
            await exports.forget(session, job, gone)
            await drift_checks.forget(session, job)
            epoch = await tenants.raise_epoch(session, job.tenant)
            found = _found(rewritten, made, epoch)
            await erasures.note(session, job.id, found)
        log.info("rows_rewritten", labelled_sets=len(found["labelled_sets"]), replaced=len(made))
        return found

    def _ended(self, job: Job, found: dict[str, Any]) -> Ending:
        document = {
            "kind": CERTIFICATE_KIND,
            "request": job.id,
            "tenant": job.tenant,
            "requested_at": job.created_at.isoformat(timespec="seconds"),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "images": sorted(job.spec["images"]),
            **found,
        }
        result = {**found, "certificate": self._signer.sign(document).model_dump(mode="json")}

        async def record(session: AsyncSession) -> None:
            await jobs.close(session, job.id, status="succeeded", result=result)

        return Ending(record, "succeeded")

    async def _forget_cached(self, tenant_id: str) -> int | None:
        try:
            return await self._cache.forget(keys.cache_prefix(tenant_id))
        except Unavailable:
            return None  # out of reach by the new epoch, and its time runs out; an outage must not hold the tenant up

    async def _announce(self) -> None:
        try:
            await self._cache.publish(CHANGED_CHANNEL, "erased")
        except Unavailable:
            log.info("announcement_lost")  # the edges poll as well


def _adapter_document(replaced: Replaced, new: AdapterVersion | None, removed: int) -> dict[str, Any]:
    check = (replaced.certificate or {}).get("check", {})
    return {
        "adapter": replaced.adapter,
        "adapter_id": replaced.replacement.adapter_id,
        "versions": list(replaced.replacement.gone),
        "replaced_by": new.version if new else None,
        "status": new.status if new else None,
        "verdict": new.verdict if new else None,
        "before": replaced.before,
        "after": new.digest if new else None,
        "rows_removed": removed,
        "difference": check.get("difference"),
        "tolerance": check.get("tolerance"),
        "withdrawn": replaced.refused,
        "unlearning": replaced.certificate,
    }


def _found(rewritten: Sequence[Rewritten], made: list[dict[str, Any]], epoch: int) -> dict[str, Any]:
    sets = [
        {
            "dataset": after.dataset_id,
            "before": {"digest": one.touched.digest, "images": len(one.touched.manifest.all)},
            "after": {"digest": after.digest, "images": after.images},
        }
        for one in rewritten
        for after in one.shortened.sets
    ]
    labelled = sum(len(one.touched.manifest.rows) - len(one.shortened.manifest.rows) for one in rewritten)
    return {
        "erased": {
            "images": sum(one.touched.removed for one in rewritten),
            "labelled_rows": labelled,
            "latents": sum(one.shortened.latents for one in rewritten),
            "labelled_sets": len(sets),
            "adapter_versions": sum(len(one["versions"]) for one in made),
        },
        "labelled_sets": sets,
        "adapters": made,
        "cache_epoch": epoch,
    }
