"""Batches of edits: leased by an edge, which moves `done` on in fenced steps; whoever takes over goes on from there."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.edge_models import EditBatchRow
from heddle_infra.database.models import TenantRow
from heddle_infra.database.paging import page
from heddle_platform.edit_records import EditBatch
from heddle_platform.errors import NotFound, RateLimited

OPEN_AT_ONCE = 4  # of one tenant
_OPEN = ("queued", "running")


async def create(session: AsyncSession, values: dict[str, Any], *, ttl_seconds: int) -> EditBatch:
    """Queue a batch whose images are in the object store already.

    Raises:
        RateLimited: code `too_many_batches`.
    """
    opened = await session.scalar(
        select(func.count()).where(EditBatchRow.tenant_id == values["tenant_id"], EditBatchRow.status.in_(_OPEN))
    )
    if (opened or 0) >= OPEN_AT_ONCE:
        raise RateLimited(
            f"{opened} batches of yours are under way, at most {OPEN_AT_ONCE} may be; wait for one or delete it",
            code="too_many_batches",
        )
    expires_at = func.now() + timedelta(seconds=ttl_seconds)
    row = EditBatchRow(**values, status="queued", expires_at=expires_at)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return EditBatch.model_validate(row)


async def get(session: AsyncSession, tenant_id: str, batch_id: str, *, epoch: int) -> EditBatch:
    """Return a batch of the tenant, unless it is of an epoch that an erasure has ended.

    Raises:
        NotFound: code `unknown_batch`.
    """
    row = await session.scalar(
        select(EditBatchRow).where(
            EditBatchRow.id == batch_id, EditBatchRow.tenant_id == tenant_id, EditBatchRow.epoch == epoch
        )
    )
    if row is None:
        raise NotFound(
            f"there is no edit batch {batch_id[:60]!r}, or it is kept no longer", code="unknown_batch", param="batch"
        )
    return EditBatch.model_validate(row)


async def list_batches(
    session: AsyncSession, tenant_id: str, *, epoch: int, limit: int, after: str | None
) -> tuple[list[EditBatch], bool]:
    """Return one page of the tenant's batches, newest first, and whether there are more."""
    query = select(EditBatchRow).where(EditBatchRow.tenant_id == tenant_id, EditBatchRow.epoch == epoch)
    rows, more = await page(session, query, EditBatchRow.id, limit=limit, after=after)
    return [EditBatch.model_validate(row) for row in rows], more


async def claim(session: AsyncSession, *, lease_seconds: float) -> EditBatch | None:
    """Lease the oldest batch that nobody works on, one of each tenant at a time; None: there is none.

    Those of a suspended tenant wait until it is resumed.
    """
    active = select(TenantRow.id).where(TenantRow.status == "active")
    other = select(EditBatchRow.tenant_id).where(
        EditBatchRow.status == "running", EditBatchRow.lease_expires_at > func.now()
    )
    row = await session.scalar(
        select(EditBatchRow)
        .where(
            EditBatchRow.status.in_(_OPEN),
            EditBatchRow.expires_at > func.now(),
            or_(EditBatchRow.lease_expires_at.is_(None), EditBatchRow.lease_expires_at < func.now()),
            EditBatchRow.tenant_id.in_(active),
            EditBatchRow.tenant_id.not_in(other),
        )
        .order_by(EditBatchRow.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.status = "running"
    row.attempt += 1
    row.lease_expires_at = func.now() + timedelta(seconds=lease_seconds)
    await session.flush()
    await session.refresh(row)
    return EditBatch.model_validate(row)


async def advance(
    session: AsyncSession, batch: EditBatch, results: list[dict[str, Any]], *, lease_seconds: float
) -> EditBatch | None:
    """Note the results of the next items and hold the lease on; None: it is somebody else's, cancelled or gone."""
    row = await session.scalar(
        select(EditBatchRow)
        .where(EditBatchRow.id == batch.id, EditBatchRow.attempt == batch.attempt, EditBatchRow.status == "running")
        .with_for_update()
    )
    if row is None:
        return None
    row.results = [*row.results, *results]
    row.done = len(row.results)
    row.failed += sum(result["status"] == "failed" for result in results)
    row.lease_expires_at = func.now() + timedelta(seconds=lease_seconds)
    if row.done >= row.items:
        row.status, row.finished_at, row.lease_expires_at = "done", func.now(), None
    await session.flush()
    await session.refresh(row)
    return EditBatch.model_validate(row)


async def remove(session: AsyncSession, tenant_id: str, batch_id: str) -> None:
    """Delete a batch; who works on it notices at its next step. The objects are the caller's to delete."""
    await session.execute(delete(EditBatchRow).where(EditBatchRow.id == batch_id, EditBatchRow.tenant_id == tenant_id))


async def stop(session: AsyncSession, batch: EditBatch, *, pause_seconds: float) -> None:
    """Let go of a batch whose tenant is not served in its epoch.

    If an erasure has begun a new epoch it is over, and expires at once. Else the tenant is suspended, or was resumed a
    moment ago: it goes on later where it was.

    Args:
        session: open session.
        batch: as it is held; of a lease that another has taken over nothing is changed.
        pause_seconds: how long nobody takes it.
    """
    epoch = await session.scalar(select(TenantRow.epoch).where(TenantRow.id == batch.tenant_id))
    values: dict[str, Any] = {"status": "queued", "lease_expires_at": func.now() + timedelta(seconds=pause_seconds)}
    if epoch != batch.epoch:
        values = {
            "status": "cancelled",
            "finished_at": func.now(),
            "expires_at": func.now(),
            "lease_expires_at": None,
        }
    await session.execute(
        update(EditBatchRow)
        .where(EditBatchRow.id == batch.id, EditBatchRow.attempt == batch.attempt, EditBatchRow.status == "running")
        .values(**values)
    )


async def expired(session: AsyncSession, *, limit: int) -> list[EditBatch]:
    """Return batches that are kept no longer."""
    rows = await session.scalars(select(EditBatchRow).where(EditBatchRow.expires_at <= func.now()).limit(limit))
    return [EditBatch.model_validate(row) for row in rows.all()]
