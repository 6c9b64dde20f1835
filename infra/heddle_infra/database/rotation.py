"""Rotation: a key gets a new secret, and the old one goes on for a while so that programs can change over."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import tenants
from heddle_infra.database.models import ApiKeyRow
from heddle_platform.errors import Conflict
from heddle_platform.records import ApiKey


async def rotate(
    session: AsyncSession, tenant_id: str | None, key_id: str, *, secret_hash: str, overlap_seconds: int
) -> ApiKey:
    """Give a key a new secret.

    At most two secrets are valid at once: one that an earlier rotation left valid ends now.

    Args:
        session: open session.
        tenant_id: owner; None: the operators.
        key_id: the key.
        secret_hash: of the new secret.
        overlap_seconds: how long the old one goes on; 0 ends it at once.

    Raises:
        NotFound: code `not_found`.
        Conflict: code `key_not_valid`: it is revoked or expired.
    """
    await tenants.get_key(session, tenant_id, key_id)
    row = (await session.scalars(select(ApiKeyRow).where(ApiKeyRow.id == key_id).with_for_update())).one()
    await session.refresh(row)
    now = datetime.now(UTC)
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        state = "revoked" if row.revoked_at is not None else "expired"
        raise Conflict(f"API key {key_id} is {state}; make a new one instead of rotating it", code="key_not_valid")
    await session.execute(
        update(ApiKeyRow)
        .where(ApiKeyRow.id == key_id)
        .values(
            previous_hash=row.secret_hash if overlap_seconds else None,
            previous_ends_at=now + timedelta(seconds=overlap_seconds) if overlap_seconds else None,
            secret_hash=secret_hash,
            rotated_at=func.now(),
        )
    )
    session.expire_all()
    return await tenants.get_key(session, tenant_id, key_id)
