"""Stored replies for Idempotency-Key, written in the transaction that did the work."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import IdempotencyRow
from heddle_infra.database.walls import platform_scope

RETENTION = timedelta(hours=24)


@dataclass(frozen=True)
class StoredReply:
    """A reply sent before: `fingerprint` of the request's body, status, and the sealed body."""

    fingerprint: str
    status: int
    sealed_body: bytes


async def lock(session: AsyncSession, scope: str, key: str) -> bool:
    """Take the key for this transaction; False while another request with it is in flight."""
    taken = await session.scalar(
        text("select pg_try_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{scope}\n{key}"}
    )
    return bool(taken)


async def recall(session: AsyncSession, scope: str, key: str) -> StoredReply | None:
    """Return the reply stored under the key within the last 24 hours, or None."""
    row = await session.scalar(
        select(IdempotencyRow).where(
            IdempotencyRow.scope == scope,
            IdempotencyRow.key == key,
            IdempotencyRow.created_at > func.now() - RETENTION,
        )
    )
    return StoredReply(row.fingerprint, row.status, row.sealed_body) if row else None


async def remember(session: AsyncSession, scope: str, key: str, reply: StoredReply) -> None:
    """Store a reply, and forget those past their time."""
    async with platform_scope(session):  # a tenant that never comes back leaves replies, too
        await session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at <= func.now() - RETENTION))
    session.add(
        IdempotencyRow(
            scope=scope,
            key=key,
            fingerprint=reply.fingerprint,
            status=reply.status,
            sealed_body=reply.sealed_body,
        )
    )
    await session.flush()
