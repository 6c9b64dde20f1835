"""Erasures: jobs of their own kind, what an erased image touches, and the step after which no row names it any more.

A job's result is noted in that step already: from then on the erasure is owed, and is tried until it is done.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import alias_moves, jobs, outbox, versions
from heddle_infra.database.adapters import SERVABLE
from heddle_infra.database.alias_moves import Cause
from heddle_infra.database.models import AdapterRow, AdapterVersionRow, AliasRow, ApprovalRow, DatasetRow, JobRow
from heddle_infra.database.paging import page
from heddle_infra.database.versions import STATUS_OF_VERDICT, NewVersion
from heddle_platform.errors import NotFound
from heddle_platform.ids import new_id
from heddle_platform.records import AdapterVersion, Alias, Dataset, GateVerdict, Job, VersionStatus


@dataclass(frozen=True)
class ShorterSet:
    """A labelled set without the erased images, its objects being in the store already under `digest`."""

    dataset_id: str
    digest: str
    images: int
    report: dict[str, Any]


@dataclass(frozen=True)
class Replacement:
    """Versions of one adapter that go, fitted alike, and the one that takes their place; None: nothing can."""

    adapter_id: str
    gone: tuple[int, ...]
    new: NewVersion | None


async def create(session: AsyncSession, tenant_id: str, spec: dict[str, Any]) -> Job:
    """Queue an erasure; `spec` holds at least {images: [SHA-256]} and {key_id}, of who asked for it."""
    return await jobs.create(session, tenant_id, job_type="erase", spec=spec, dataset_id=None, job_id=new_id("era"))


async def get(session: AsyncSession, tenant_id: str, erasure_id: str) -> Job:
    """Return an erasure of the tenant.

    Raises:
        NotFound: code `unknown_erasure`.
    """
    row = await session.scalar(
        select(JobRow).where(JobRow.id == erasure_id, JobRow.tenant_id == tenant_id, JobRow.type == "erase")
    )
    if row is None:
        raise NotFound(f"there is no erasure request {erasure_id[:60]!r}", code="unknown_erasure")
    return Job.model_validate(row)


async def list_erasures(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[Job], bool]:
    """Return one page of the tenant's erasures, newest first, and whether there are more."""
    query = select(JobRow).where(JobRow.tenant_id == tenant_id, JobRow.type == "erase")
    rows, more = await page(session, query, JobRow.id, limit=limit, after=after)
    return [Job.model_validate(row) for row in rows], more


async def ready_sets(session: AsyncSession, tenant_id: str) -> list[Dataset]:
    """Return all labelled sets of the tenant that have images."""
    rows = await session.scalars(
        select(DatasetRow).where(DatasetRow.tenant_id == tenant_id, DatasetRow.digest.is_not(None))
    )
    return [Dataset.model_validate(row) for row in rows.all()]


async def versions_of(session: AsyncSession, tenant_id: str, dataset_ids: Collection[str]) -> list[AdapterVersion]:
    """Return the versions fitted on these labelled sets, oldest first."""
    rows = await session.scalars(
        select(AdapterVersionRow)
        .where(
            AdapterVersionRow.tenant_id == tenant_id,
            AdapterVersionRow.dataset_id.in_(dataset_ids),
            AdapterVersionRow.status != "erased",
        )
        .order_by(AdapterVersionRow.adapter_id, AdapterVersionRow.version)
    )
    return [AdapterVersion.model_validate(row) for row in rows.all()]


async def digests_named(session: AsyncSession, tenant_id: str) -> tuple[set[str], set[str]]:
    """Return the digests of image sets and of adapters that rows of the tenant name."""
    sets = await session.scalars(select(DatasetRow.digest).where(DatasetRow.tenant_id == tenant_id))
    versions = await session.scalars(
        select(AdapterVersionRow.digest).where(
            AdapterVersionRow.tenant_id == tenant_id, AdapterVersionRow.status != "erased"
        )
    )
    return {digest for digest in sets.all() if digest is not None}, set(versions.all())


async def decided_uploads(session: AsyncSession, tenant_id: str) -> list[str]:
    """Return ids of the uploads that labelled sets were made of or refused for."""
    found = await session.scalars(
        select(DatasetRow.upload_id).where(DatasetRow.tenant_id == tenant_id, DatasetRow.status != "validating")
    )
    return list(found.all())


async def shorten(session: AsyncSession, tenant_id: str, shorter: Sequence[ShorterSet]) -> None:
    """Point labelled sets at their images without the erased ones."""
    for one in shorter:
        await session.execute(
            update(DatasetRow)
            .where(DatasetRow.id == one.dataset_id, DatasetRow.tenant_id == tenant_id)
            .values(digest=one.digest, images=one.images, report=one.report)
        )


async def replace(session: AsyncSession, job: Job, replacement: Replacement) -> AdapterVersion | None:
    """Put a version in the place of others and empty their rows; aliases follow in the same transaction.

    An erasure must not become an outage: what was served, the new version serves, and an approval is carried over in
    the name of who asked for the erasure. Where nothing can take the place, the aliases go.

    Args:
        session: open session; the caller holds the job's fence in it.
        job: the erasure.
        replacement: what takes whose place.
    """
    adapter_id, gone = replacement.adapter_id, replacement.gone
    await session.execute(select(AdapterRow.id).where(AdapterRow.id == adapter_id).with_for_update())
    old = (
        await session.scalars(
            select(AdapterVersionRow)
            .where(AdapterVersionRow.adapter_id == adapter_id, AdapterVersionRow.version.in_(gone))
            .with_for_update()
        )
    ).all()
    new = None
    if replacement.new is not None:
        status = _status({row.status for row in old}, replacement.new.verdict)
        new = await versions.add_version(
            session, job.tenant, job.id, replacement.new, replaces=min(gone), status=status
        )
        if status == "approved":
            session.add(_carried_approval(job, new, gone))
    number = new.version if new else None
    for row in old:
        row.status, row.gate, row.card, row.files, row.replaced_by = "erased", {}, {}, {}, number
        await _forget_result(session, job, row)
    cause = Cause("erased", job.spec["key_id"], f"erasure {job.id}")
    await _move_aliases(session, adapter_id, gone, number, cause)
    await session.flush()
    return new


async def forget_evaluations(
    session: AsyncSession, job: Job, dataset_ids: Collection[str], gone: Collection[tuple[str, int]]
) -> None:
    """Take out of evaluations what erased images had a say in: those on these sets, or of these erased versions.

    Args:
        session: open session; the caller holds the job's fence in it.
        job: the erasure.
        dataset_ids: sets that images left.
        gone: (adapter id, version).
    """
    told = JobRow.spec
    versions = tuple_(told["adapter_id"].astext, told["version"].as_integer()).in_(list(gone))
    rows = await session.scalars(
        select(JobRow)
        .where(JobRow.tenant_id == job.tenant_id, JobRow.type == "evaluate", JobRow.result.is_not(None))
        .where(or_(JobRow.dataset_id.in_(dataset_ids), versions))
        .with_for_update()
    )
    for row in rows.all():
        kept = {name: (row.result or {}).get(name) for name in ("adapter", "adapter_id", "version", "dataset")}
        row.result = {**kept, "erased_by": job.id}
    await session.flush()


async def note(session: AsyncSession, job_id: str, result: dict[str, Any]) -> None:
    """Write down what the rows no longer name; from now on the erasure is owed its last step."""
    await session.execute(update(JobRow).where(JobRow.id == job_id).values(result=result))
    await jobs.add_event(session, job_id, "rows_rewritten", {"status": "running"})


async def owed(session: AsyncSession, job_id: str) -> bool:
    """Tell whether the rows were rewritten already."""
    return await session.scalar(select(JobRow.result).where(JobRow.id == job_id)) is not None


def _status(old: set[str], verdict: GateVerdict) -> VersionStatus:
    if old & set(SERVABLE):
        return "passed" if verdict == "pass" else "approved"
    return "rejected" if old == {"rejected"} else STATUS_OF_VERDICT[verdict]


def _carried_approval(job: Job, new: AdapterVersion, gone: tuple[int, ...]) -> ApprovalRow:
    return ApprovalRow(
        adapter_id=new.adapter_id,
        version=new.version,
        tenant_id=job.tenant_id,
        decision="approve",
        comment=f"carried over from version {max(gone)} by erasure {job.id}",
        key_id=job.spec["key_id"],
    )


async def _forget_result(session: AsyncSession, job: Job, row: AdapterVersionRow) -> None:
    """Take the card out of the job that made the version; a fit that waited for approval waits no more."""
    made = await session.get(JobRow, row.job_id, with_for_update=True)
    if made is None or made.type not in ("fit", "refit"):
        return
    kept = {name: value for name, value in (made.result or {}).items() if name not in ("card", "reasons")}
    made.result = {**kept, "erased_by": job.id, "replaced_by": row.replaced_by}
    if made.status == "awaiting_approval":
        await jobs.close(session, made.id, status="succeeded")


async def _move_aliases(
    session: AsyncSession, adapter_id: str, gone: tuple[int, ...], number: int | None, cause: Cause
) -> None:
    rows = await session.scalars(select(AliasRow).where(AliasRow.adapter_id == adapter_id).with_for_update())
    for alias in rows.all():
        before = alias.version
        if alias.version in gone:
            if number is None:
                await alias_moves.note(
                    session, alias.tenant_id, Alias.model_validate(alias), cause, before=before, gone=True
                )
                await session.execute(
                    delete(AliasRow).where(AliasRow.adapter_id == adapter_id, AliasRow.alias == alias.alias)
                )
                continue
            alias.version = number
            alias.revision += 1
            alias.updated_at = func.now()
        if alias.previous_version in gone:
            alias.previous_version = number
        if alias.previous_version == alias.version:
            alias.previous_version = None
        if alias.canary_version in gone or alias.canary_version == alias.version:
            alias.canary_version = alias.canary_weight = None  # a trial of what is no more is over
        if alias.shadow_version in gone or alias.shadow_version == alias.version:
            alias.shadow_version = None
        if alias.version == number:
            await session.flush()
            await session.refresh(alias)
            if before != number:
                await alias_moves.note(session, alias.tenant_id, Alias.model_validate(alias), cause, before=before)
            await outbox.alias_moved(session, alias.tenant_id, Alias.model_validate(alias))
