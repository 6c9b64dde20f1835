"""Keys as an edge holds them: every secret that is valid now, and those that only a suspension holds back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import ApiKeyRow, TenantRow


@dataclass(frozen=True)
class ServedKey:
    """A valid key; `expires_at` is when this secret of it ends, be it by the key's expiry or by its rotation."""

    key_id: str
    tenant_id: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None


async def served(session: AsyncSession) -> tuple[dict[str, ServedKey], frozenset[str]]:
    """Return valid keys by the SHA-256 of their secrets, and the hashes of suspended tenants' keys."""
    rows = await session.execute(
        select(ApiKeyRow, TenantRow.status)
        .outerjoin(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
        .where(ApiKeyRow.revoked_at.is_(None), or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > func.now()))
    )
    valid: dict[str, ServedKey] = {}
    suspended: set[str] = set()
    for row, status in rows.all():
        for secret_hash, ends_at in _secrets(row):
            if row.tenant_id is None or status == "active":
                valid[secret_hash] = ServedKey(row.id, row.tenant_id, tuple(row.scopes), ends_at)
            else:
                suspended.add(secret_hash)
    return valid, frozenset(suspended)


def _secrets(row: ApiKeyRow) -> list[tuple[str, datetime | None]]:
    secrets: list[tuple[str, datetime | None]] = [(row.secret_hash, row.expires_at)]
    if row.previous_hash is not None and row.previous_ends_at is not None:
        ends_at = min(row.previous_ends_at, row.expires_at or row.previous_ends_at)
        if ends_at > datetime.now(UTC):
            secrets.append((row.previous_hash, ends_at))
    return secrets
