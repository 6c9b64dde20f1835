"""The inventory: which objects rows name, and which rows contradict themselves; what the store is held to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import exports
from heddle_infra.database.edge_models import EditBatchRow
from heddle_infra.database.jobs import OPERATOR_TYPES
from heddle_infra.database.models import AdapterVersionRow, BaseRow, DatasetRow, JobRow, TenantRow, UploadRow
from heddle_platform import keys
from heddle_platform.base.bundle import FILES, MANIFEST

_RUNNING = ("running", "scoring")
_OPEN = ("validating", "queued", *_RUNNING)

# Each finds jobs whose rows say something that cannot be. A fit that ended well has one version, unless an erasure
# emptied or replaced it, which leaves the version's row; so a missing row is a lost result.
_CONTRADICTIONS: Mapping[str, tuple[str, str]] = {
    "recorded_twice": (
        """
        select jobs.id, jobs.tenant_id from jobs join job_events on job_events.job_id = jobs.id
        where job_events.type in ('succeeded', 'awaiting_approval', 'failed', 'cancelled')
        group by jobs.id, jobs.tenant_id
        having count(*) filter (where job_events.type in ('awaiting_approval', 'failed', 'cancelled')) > 1
            or count(*) filter (where job_events.type = 'succeeded') > 1
        union
        select job_id, tenant_id from adapter_versions where replaces is null
        group by job_id, tenant_id having count(*) > 1
        """,
        "its end was recorded more than once",
    ),
    "result_missing": (
        """
        select id, tenant_id from jobs where type = 'fit' and status in ('succeeded', 'awaiting_approval')
        and not exists (select 1 from adapter_versions where adapter_versions.job_id = jobs.id)
        """,
        "it ended well, and there is no version of it",
    ),
    "lease_expired": (
        """
        select id, tenant_id from jobs where status in ('running', 'scoring')
        and lease_expires_at < now() - make_interval(secs => :lease_grace)
        """,
        "its lease ran out and no dispatcher takes it over; see whether one runs",
    ),
    "waiting_in_vain": (
        """
        select jobs.id, jobs.tenant_id from jobs join datasets on datasets.id = jobs.dataset_id
        where jobs.status = 'validating' and jobs.type in ('fit', 'refit', 'evaluate')
        and datasets.status <> 'validating'
        union
        select datasets.id, datasets.tenant_id from datasets where status = 'validating' and not exists (
            select 1 from jobs where jobs.dataset_id = datasets.id and jobs.type = 'validate'
            and jobs.status in ('queued', 'running', 'scoring'))
        """,
        "it waits for a validation that is over",
    ),
}


@dataclass(frozen=True)
class Named:
    """What the rows of one owner say of the store.

    Attributes:
        needed: key -> the row that points at it; without the object that row is broken.
        digests: folder -> the digests, of batches of edits and exports the ids, that may stand in it.
        uploads: keys of uploaded bytes that are still wanted.
        multiparts: ids of multipart uploads that may still be sent to.
        working_since: since when the owner has jobs that may be writing; None: it has none.
        running: whether one of them is leased now.
    """

    needed: Mapping[str, str]
    digests: Mapping[str, frozenset[str]]
    uploads: frozenset[str]
    multiparts: frozenset[str]
    working_since: datetime | None
    running: bool

    def names(self, tenant_id: str, key: str) -> bool:
        """Tell whether a row of the tenant stands for this object."""
        place = keys.addressed(tenant_id, key)
        if place is None:
            return key in self.uploads
        adapter = keys.evaluated(key)
        return place[1] in self.digests[place[0]] and (adapter is None or adapter in self.digests["adapters"])


async def tenant_ids(session: AsyncSession) -> list[str]:
    """Return all tenants, oldest first."""
    return list((await session.scalars(select(TenantRow.id).order_by(TenantRow.id))).all())


async def of_tenant(session: AsyncSession, tenant_id: str) -> Named:
    """Return what the rows of a tenant name; nothing if there is no such tenant."""
    needed: dict[str, str] = {}
    sets: set[str] = set()
    adapters: set[str] = set()
    for row in await session.execute(
        select(DatasetRow.id, DatasetRow.digest).where(
            DatasetRow.tenant_id == tenant_id, DatasetRow.digest.is_not(None)
        )
    ):
        sets.add(row.digest)
        for key in (keys.dataset_manifest(tenant_id, row.digest), keys.dataset_images(tenant_id, row.digest)):
            needed[key] = f"labelled set {row.id}"
    for row in await session.execute(
        select(
            AdapterVersionRow.adapter_id, AdapterVersionRow.version, AdapterVersionRow.digest, AdapterVersionRow.files
        ).where(AdapterVersionRow.tenant_id == tenant_id, AdapterVersionRow.status != "erased")
    ):
        adapters.add(row.digest)
        for file in row.files:
            needed[keys.adapter_file(tenant_id, row.digest, file)] = f"version {row.version} of {row.adapter_id}"
    uploads, multiparts = await _uploads(session, tenant_id, needed)
    since, running = (
        await session.execute(
            select(func.min(JobRow.started_at), func.coalesce(func.bool_or(JobRow.status.in_(_RUNNING)), False)).where(
                or_(JobRow.tenant_id == tenant_id, JobRow.type == "rollout"),  # which writes for all tenants
                JobRow.status.in_(_OPEN),
            )
        )
    ).one()
    batches = await session.scalars(select(EditBatchRow.id).where(EditBatchRow.tenant_id == tenant_id))
    digests = {
        "datasets": frozenset(sets),
        "latents": frozenset(sets),
        "adapters": frozenset(adapters),
        "edit_batches": frozenset(batches.all()),
        "exports": frozenset(await exports.kept(session, tenant_id)),
    }
    return Named(needed, digests, uploads, multiparts, since, bool(running))


async def _uploads(
    session: AsyncSession, tenant_id: str, needed: dict[str, str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return keys of uploads that may be there and ids of multiparts that may be open; note those that must be."""
    wanted: set[str] = set()
    multiparts: set[str] = set()
    rows = await session.execute(
        select(UploadRow.id, UploadRow.status, UploadRow.multipart_id, UploadRow.expires_at > func.now(), DatasetRow.id)
        .outerjoin(DatasetRow, DatasetRow.upload_id == UploadRow.id)
        .where(
            UploadRow.tenant_id == tenant_id,
            or_(DatasetRow.id.is_(None), DatasetRow.status == "validating"),
        )
    )
    for upload_id, status, multipart_id, fresh, dataset_id in rows:
        key = keys.upload(tenant_id, upload_id)
        if dataset_id is not None:
            needed[key] = f"labelled set {dataset_id}, which waits for its validation"
        if dataset_id is not None or fresh or status != "open":
            wanted.add(key)
        if status == "open" and fresh:
            multiparts.add(multipart_id)
    return frozenset(wanted), frozenset(multiparts)


async def of_bases(session: AsyncSession) -> dict[str, str]:
    """Return key -> row of every file that a published base consists of."""
    return {
        keys.base_file(row.name, row.digest, file): f"base {row.id}"
        for row in await session.execute(select(BaseRow.id, BaseRow.name, BaseRow.digest))
        for file in (*FILES, MANIFEST)
    }


async def of_operators(session: AsyncSession) -> tuple[set[str], set[str], set[str]]:
    """Return keys of operators' uploads, ids of their open multiparts, and prefixes below which their jobs' files lie:
    what those that are not over go on from, and what sweeps found."""
    uploads = await session.execute(
        select(UploadRow.id, UploadRow.multipart_id, UploadRow.status).where(UploadRow.tenant_id.is_(None))
    )
    found, multiparts = set[str](), set[str]()
    for row in uploads:
        found.add(keys.operator_upload(row.id))
        if row.status == "open":
            multiparts.add(row.multipart_id)
    going_on = await session.scalars(select(JobRow.id).where(JobRow.type.in_(OPERATOR_TYPES), JobRow.status.in_(_OPEN)))
    prefixes = {prefix(job_id) for job_id in going_on.all() for prefix in (keys.pretrain_prefix, keys.sweep_prefix)}
    sweeps = await session.scalars(select(JobRow.id).where(JobRow.type == "sweep"))
    return found, multiparts, prefixes | {keys.sweep_report_prefix(job_id) for job_id in sweeps.all()}


async def contradictions(
    session: AsyncSession, *, lease_grace_seconds: float
) -> Sequence[tuple[str, str | None, str, str]]:
    """Return what rows say of themselves that cannot be: kind, tenant, id of the row, a sentence."""
    found: list[tuple[str, str | None, str, str]] = []
    for kind, (query, sentence) in _CONTRADICTIONS.items():
        bound: dict[str, Any] = {"lease_grace": lease_grace_seconds} if ":lease_grace" in query else {}
        rows = await session.execute(text(query), bound)
        found += [(kind, tenant_id, row_id, sentence) for row_id, tenant_id in rows]
    return found
