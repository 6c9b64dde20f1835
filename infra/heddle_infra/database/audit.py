"""The audit trail in the database: one event per deed, written in the deed's own transaction."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.accounts import AuditEventRow, AuditHeadRow
from heddle_infra.database.paging import page
from heddle_platform.audit import GENESIS, OPERATORS, Actor, AuditEvent, ChainHead, hash_of
from heddle_platform.ids import new_id

_END: Final = text("select sequence, hash from audit_heads where chain = :chain for update")
_COLUMNS: Final = tuple(AuditEvent.model_fields)
_ADD: Final = text(
    f"with added as (insert into audit_events ({', '.join(_COLUMNS)}) "  # noqa: S608  no value is pasted in
    f"values ({', '.join(f':{name}' for name in _COLUMNS)})) "
    "update audit_heads set sequence = :sequence, hash = :hash where chain = :chain"
)


async def record(
    session: AsyncSession,
    tenant_id: str | None,
    *,
    actor: Actor,
    key_id: str,
    action: str,
    target: str,
    request_id: str | None,
    before: str | None = None,
    after: str | None = None,
) -> AuditEvent:
    """Add an event to the end of a chain; call it last, for until the commit the chain takes no other.

    Args:
        session: the transaction that does the deed.
        tenant_id: whose chain; None: the operators'.
        actor: which kind of key did it.
        key_id: which key.
        action: snake_case name of the deed.
        target: what it was done to: an id, or a path.
        request_id: of the request.
        before: digest of what it was.
        after: digest of what it is.
    """
    chain = tenant_id or OPERATORS
    end = (await session.execute(_END, {"chain": chain})).first()
    if end is None:  # the first event of the chain, or of two the second
        await session.execute(
            insert(AuditHeadRow)
            .values(chain=chain, tenant_id=tenant_id, sequence=0, hash=GENESIS)
            .on_conflict_do_nothing(index_elements=[AuditHeadRow.chain])
        )
        end = (await session.execute(_END, {"chain": chain})).one()
    sequence, previous = end
    unsealed = AuditEvent(
        id=new_id("ev"),
        tenant_id=tenant_id,
        sequence=sequence + 1,
        actor=actor,
        key_id=key_id,
        action=action,
        target=target,
        request_id=request_id,
        before=before,
        after=after,
        created_at=datetime.now(UTC),
        previous_hash=previous,
        hash="",
    )
    event = unsealed.model_copy(update={"hash": hash_of(unsealed)})
    await session.execute(_ADD, {**event.model_dump(), "chain": chain})
    return event


async def list_events(
    session: AsyncSession,
    tenant_id: str | None,
    *,
    limit: int,
    after: str | None,
    everybody: bool = False,
    action: str | None = None,
) -> tuple[list[AuditEvent], bool]:
    """Return one page of a chain, newest first, and whether there are more; `everybody`: of all chains."""
    query = select(AuditEventRow)
    if not everybody:
        query = query.where(AuditEventRow.tenant_id.is_not_distinct_from(tenant_id))
    if action is not None:
        query = query.where(AuditEventRow.action == action)
    rows, more = await page(session, query, AuditEventRow.id, limit=limit, after=after)
    return [AuditEvent.model_validate(row) for row in rows], more


async def list_heads(
    session: AsyncSession, tenant_id: str | None, *, limit: int, after: str | None, everybody: bool = False
) -> tuple[list[ChainHead], bool]:
    """Return one page of the ends of chains, and whether there are more: the tenant's own, or everybody's."""
    query = select(AuditHeadRow)
    if not everybody:
        query = query.where(AuditHeadRow.tenant_id.is_not_distinct_from(tenant_id))
    rows, more = await page(session, query, AuditHeadRow.chain, limit=limit, after=after)
    return [ChainHead(row.chain, row.sequence, row.hash) for row in rows], more
