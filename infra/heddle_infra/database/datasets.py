"""Labelled sets: registered at once, validated by a job, ready or rejected with a report."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import outbox
from heddle_infra.database.arrays import among
from heddle_infra.database.models import DatasetRow, JobRow, UploadRow
from heddle_infra.database.paging import page
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.ids import is_id, new_id
from heddle_platform.records import Dataset


async def create(
    session: AsyncSession,
    tenant_id: str,
    *,
    name: str,
    factor_set_id: str,
    factor_set_version: int,
    upload_id: str,
) -> Dataset:
    """Add a labelled set in status `validating`."""
    row = DatasetRow(
        id=new_id("ds"),
        tenant_id=tenant_id,
        name=name,
        factor_set_id=factor_set_id,
        factor_set_version=factor_set_version,
        upload_id=upload_id,
        status="validating",
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return Dataset.model_validate(row)


async def resolve(session: AsyncSession, tenant_id: str, reference: str, *, lock: bool = False) -> Dataset:
    """Find a labelled set of the tenant by id, or the newest not rejected one of that name.

    Args:
        session: open session.
        tenant_id: owner.
        reference: id or name.
        lock: hold the row until the transaction ends, so that a validation cannot end in between.

    Raises:
        NotFound: code `unknown_dataset`.
    """
    query = select(DatasetRow).where(DatasetRow.tenant_id == tenant_id)
    if is_id(reference, "ds"):
        query = query.where(DatasetRow.id == reference)
    else:
        query = query.where(DatasetRow.name == reference, DatasetRow.status != "rejected")
    query = query.order_by(DatasetRow.id.desc()).limit(1)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(
            f"there is no labelled set {reference[:80]!r}; upload one with POST /v1/datasets",
            code="unknown_dataset",
            param="dataset",
        )
    return Dataset.model_validate(row)


async def list_datasets(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[Dataset], bool]:
    """Return one page of the tenant's labelled sets, newest first, and whether there are more."""
    query = select(DatasetRow).where(DatasetRow.tenant_id == tenant_id)
    rows, more = await page(session, query, DatasetRow.id, limit=limit, after=after)
    return [Dataset.model_validate(row) for row in rows], more


async def finish_validation(
    session: AsyncSession,
    tenant_id: str,
    dataset_id: str,
    *,
    report: dict[str, Any],
    digest: str | None = None,
    images: int | None = None,
) -> None:
    """Write the outcome of a validation: ready if there is a digest, else rejected."""
    status = "ready" if digest is not None else "rejected"
    finished = await session.execute(
        update(DatasetRow)
        .where(DatasetRow.id == dataset_id, DatasetRow.tenant_id == tenant_id, DatasetRow.status == "validating")
        .values(status=status, digest=digest, images=images, report=report)
        .returning(DatasetRow.name)
    )
    for name in finished.scalars():
        told = {"id": dataset_id, "name": name, "status": status, "images": images}
        told["fault_count"] = report.get("fault_count")
        await outbox.emit(session, tenant_id, "dataset.ready" if digest is not None else "dataset.rejected", told)


async def labelled_rows(session: AsyncSession, dataset_ids: Collection[str]) -> dict[str, int]:
    """Return how many rows of each validated set are labelled."""
    query = select(DatasetRow.id, DatasetRow.report["labelled"].as_integer()).where(among(DatasetRow.id, dataset_ids))
    return {dataset_id: labelled or 0 for dataset_id, labelled in (await session.execute(query)).all()}


async def digest_in_use(session: AsyncSession, tenant_id: str, digest: str) -> bool:
    """Tell whether some labelled set of the tenant has these images, or will: equal sets share their objects."""
    found = await session.scalar(
        select(DatasetRow.id)
        .join(UploadRow, UploadRow.id == DatasetRow.upload_id)
        .where(DatasetRow.tenant_id == tenant_id)
        .where(or_(DatasetRow.digest == digest, (DatasetRow.status == "validating") & (UploadRow.sha256 == digest)))
        .limit(1)
    )
    return found is not None


async def remove(session: AsyncSession, tenant_id: str, dataset_id: str) -> Dataset:
    """Delete a labelled set that no job uses.

    Raises:
        NotFound: code `unknown_dataset`.
        Conflict: codes `dataset_in_use`, `erasure_open` (an erasure is about to shorten the tenant's sets).
    """
    dataset = await resolve(session, tenant_id, dataset_id, lock=True)
    users = await session.scalar(
        select(JobRow.id).where(JobRow.dataset_id == dataset.id, JobRow.type != "validate").limit(1)
    )
    if users is not None or dataset.status == "validating":
        raise Conflict(
            f"labelled set {dataset.id} is used by job {users}"
            if users
            else f"labelled set {dataset.id} is validating",
            code="dataset_in_use",
        )
    erasure = await session.scalar(
        select(JobRow.id)
        .where(JobRow.tenant_id == tenant_id, JobRow.type == "erase", JobRow.finished_at.is_(None))
        .limit(1)
    )
    if erasure is not None:
        raise Conflict(
            f"erasure {erasure} is not done yet; delete labelled set {dataset.id} afterwards", code="erasure_open"
        )
    await session.execute(delete(JobRow).where(JobRow.dataset_id == dataset.id))
    await session.execute(delete(DatasetRow).where(DatasetRow.id == dataset.id))
    return dataset
