"""Every move of an alias, written down in the transaction that moves it: to which version, by whom and why."""

from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.edge_models import AliasMoveRow
from heddle_infra.database.models import ApiKeyRow
from heddle_infra.database.paging import page
from heddle_platform.records import Alias, AliasMove, MoveReason


@dataclass(frozen=True)
class Cause:
    """Why an alias moves, and who moves it.

    Attributes:
        reason: what kind of deed it is.
        key_id: the key that did it; None: the platform by itself.
        comment: what was said about it, or the rollout or erasure it belongs to.
    """

    reason: MoveReason = "moved"
    key_id: str | None = None
    comment: str = ""


UNSAID = Cause()


async def note(
    session: AsyncSession, tenant_id: str, alias: Alias, cause: Cause, *, before: int | None, gone: bool = False
) -> None:
    """Write down where an alias is now.

    Args:
        session: of the transaction that moved it.
        tenant_id: owner.
        alias: as it is now; as it was, where it is gone.
        cause: why, and by whom.
        before: the version it pointed at until now; None: it is new.
        gone: it names nothing any more.
    """
    session.add(
        AliasMoveRow(
            adapter_id=alias.adapter_id,
            alias=alias.alias,
            tenant_id=tenant_id,
            version=None if gone else alias.version,
            from_version=before,
            canary_version=None if gone else alias.canary_version,
            canary_weight=None if gone else alias.canary_weight,
            shadow_version=None if gone else alias.shadow_version,
            reason=cause.reason,
            key_id=cause.key_id,
            comment=cause.comment,
        )
    )
    await session.flush()


async def list_moves(
    session: AsyncSession, tenant_id: str, adapter_id: str, *, alias: str | None, limit: int, after: int | None
) -> tuple[list[AliasMove], bool]:
    """Return one page of the moves of an adapter's aliases, or of one of them, newest first; whether there are more."""
    query = select(AliasMoveRow).where(AliasMoveRow.tenant_id == tenant_id, AliasMoveRow.adapter_id == adapter_id)
    if alias is not None:
        query = query.where(AliasMoveRow.alias == alias)
    rows, more = await page(session, query, AliasMoveRow.id, limit=limit, after=after)
    own = and_(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.id.in_({row.key_id for row in rows}))
    found = await session.execute(select(ApiKeyRow.id, ApiKeyRow.name).where(own))
    names = {row.id: row.name for row in found}
    moves = [AliasMove.model_validate(row) for row in rows]
    return [move.model_copy(update={"key_name": names.get(move.key_id or "")}) for move in moves], more
