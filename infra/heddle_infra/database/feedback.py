"""Feedback: one verdict per edit; a later report of the same edit takes the place of the earlier one."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.edge_models import FeedbackRow
from heddle_infra.database.paging import page
from heddle_platform.edit_records import Feedback


async def report(session: AsyncSession, values: dict[str, Any]) -> tuple[Feedback, bool]:
    """Note a verdict; the same one sent again changes nothing.

    Args:
        session: open session.
        values: columns of the row; `id` is the edit's own, `tenant_id` its owner.

    Returns:
        The verdict as it stands, and whether it is the first on this edit.
    """
    inserted = await session.scalar(
        insert(FeedbackRow).values(**values).on_conflict_do_nothing(index_elements=["id"]).returning(FeedbackRow.id)
    )
    row = await session.scalar(
        select(FeedbackRow)
        .where(FeedbackRow.id == values["id"], FeedbackRow.tenant_id == values["tenant_id"])
        .with_for_update()
    )
    if row is None:
        raise RuntimeError(f"edit {values['id']} has feedback of another tenant: edit ids were signed twice")
    if inserted is None and (row.kept, row.final) != (values["kept"], values["final"]):
        row.kept, row.final, row.key_id = values["kept"], values["final"], values["key_id"]
        row.updated_at = func.now()
        await session.flush()
        await session.refresh(row)
    return Feedback.model_validate(row), inserted is not None


async def list_feedback(
    session: AsyncSession,
    tenant_id: str,
    *,
    limit: int,
    after: str | None,
    adapter: str | None = None,
    kept: bool | None = None,
) -> tuple[list[Feedback], bool]:
    """Return one page of the tenant's verdicts, newest edit first, and whether there are more."""
    query = select(FeedbackRow).where(FeedbackRow.tenant_id == tenant_id)
    if adapter is not None:
        query = query.where(FeedbackRow.adapter_name == adapter)
    if kept is not None:
        query = query.where(FeedbackRow.kept.is_(kept))
    rows, more = await page(session, query, FeedbackRow.id, limit=limit, after=after)
    return [Feedback.model_validate(row) for row in rows], more
