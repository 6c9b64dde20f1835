"""Tenants and their API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.edge_models import DriftHourRow
from heddle_infra.database.models import (
    AdapterRow,
    ApiKeyRow,
    DatasetRow,
    IdempotencyRow,
    JobRow,
    TenantRow,
    UploadRow,
)
from heddle_infra.database.paging import page
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.ids import new_id
from heddle_platform.records import ApiKey, Scope, Tenant


async def create_tenant(session: AsyncSession, name: str) -> Tenant:
    """Add a tenant; names need not be unique, ids are."""
    row = TenantRow(id=new_id("ten"), name=name)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return Tenant.model_validate(row)


async def get_tenant(session: AsyncSession, tenant_id: str) -> Tenant:
    """Return a tenant.

    Raises:
        NotFound: code `not_found`.
    """
    row = await session.get(TenantRow, tenant_id)
    if row is None:
        raise NotFound(f"there is no tenant {tenant_id[:60]!r}")
    return Tenant.model_validate(row)


async def list_tenants(session: AsyncSession, *, limit: int, after: str | None) -> tuple[list[Tenant], bool]:
    """Return one page of tenants, newest first, and whether there are more."""
    rows, more = await page(session, select(TenantRow), TenantRow.id, limit=limit, after=after)
    return [Tenant.model_validate(row) for row in rows], more


async def set_tenant_status(session: AsyncSession, tenant_id: str, status: str) -> Tenant:
    """Suspend a tenant or make it active again.

    Raises:
        NotFound: code `not_found`.
    """
    await session.execute(update(TenantRow).where(TenantRow.id == tenant_id).values(status=status))
    session.expire_all()
    return await get_tenant(session, tenant_id)


async def rename_tenant(session: AsyncSession, tenant_id: str, name: str) -> Tenant:
    """Give a tenant another name.

    Raises:
        NotFound: code `not_found`.
    """
    await session.execute(update(TenantRow).where(TenantRow.id == tenant_id).values(name=name))
    session.expire_all()
    return await get_tenant(session, tenant_id)


async def raise_epoch(session: AsyncSession, tenant_id: str) -> int:
    """Forget all that is cached and summed of a tenant's images, and return the new epoch.

    No key of an earlier epoch is ever asked for again, and what is on its way to the drift monitor is not added.
    """
    raised = await session.scalar(
        update(TenantRow).where(TenantRow.id == tenant_id).values(epoch=TenantRow.epoch + 1).returning(TenantRow.epoch)
    )
    await session.execute(delete(DriftHourRow).where(DriftHourRow.tenant_id == tenant_id))
    return int(raised or 0)


async def remove_tenant(session: AsyncSession, tenant_id: str) -> Tenant:
    """Delete a suspended tenant and all its rows; its objects are the caller's to delete.

    Raises:
        NotFound: code `not_found`.
        Conflict: codes `tenant_active`, `tenant_busy` (a job of it is running).
    """
    row = await session.get(TenantRow, tenant_id, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no tenant {tenant_id[:60]!r}")
    if row.status == "active":
        raise Conflict(f"tenant {tenant_id} is active; suspend it before you delete it", code="tenant_active")
    running = await session.scalar(
        select(func.count()).where(JobRow.tenant_id == tenant_id, JobRow.status.in_(("running", "scoring")))
    )
    if running:
        raise Conflict(
            f"tenant {tenant_id} has {running} running job(s), there must be 0; wait or cancel them",
            code="tenant_busy",
        )
    tenant = Tenant.model_validate(row)
    # children first: versions hold jobs and sets, jobs hold sets, sets hold uploads
    for table in (AdapterRow, JobRow, DatasetRow, UploadRow):
        await session.execute(delete(table).where(table.tenant_id == tenant_id))
    await session.execute(
        delete(IdempotencyRow).where(IdempotencyRow.scope.startswith(f"{tenant_id} ", autoescape=True))
    )
    await session.execute(delete(TenantRow).where(TenantRow.id == tenant_id))
    return tenant


async def create_key(
    session: AsyncSession,
    *,
    tenant_id: str | None,
    name: str,
    scopes: Sequence[Scope],
    secret_hash: str,
    expires_at: datetime | None = None,
    key_id: str | None = None,
) -> ApiKey:
    """Add an API key by the hash of its secret; `tenant_id` None makes it an operator's.

    `key_id` is given where the key's text was made of it.
    """
    row = ApiKeyRow(
        id=key_id or new_id("key"),
        tenant_id=tenant_id,
        name=name,
        scopes=list(scopes),
        secret_hash=secret_hash,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return ApiKey.model_validate(row)


async def ensure_admin_key(session: AsyncSession, secret_hash: str) -> None:
    """Make sure the operator's first key exists; several processes may call this at once.

    A secret that was rotated away is not brought back while it is known.
    """
    if await session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.previous_hash == secret_hash)) is not None:
        return
    await session.execute(
        insert(ApiKeyRow)
        .values(id=new_id("key"), tenant_id=None, name="admin", scopes=["admin"], secret_hash=secret_hash)
        .on_conflict_do_nothing(index_elements=[ApiKeyRow.secret_hash])
    )


def has_secret(secret_hash: str) -> ColumnElement[bool]:
    """Return the condition that a key's secret has this hash, the one before its rotation included."""
    before = and_(ApiKeyRow.previous_hash == secret_hash, ApiKeyRow.previous_ends_at > func.now())
    return or_(ApiKeyRow.secret_hash == secret_hash, before)


async def is_suspended(session: AsyncSession, secret_hash: str) -> bool:
    """Tell whether a key would be valid if its tenant were not suspended."""
    found = await session.scalar(
        select(ApiKeyRow.id)
        .join(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
        .where(
            has_secret(secret_hash),
            ApiKeyRow.revoked_at.is_(None),
            or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > func.now()),
            TenantRow.status == "suspended",
        )
    )
    return found is not None


async def is_valid(session: AsyncSession, key_id: str, *, since: datetime) -> bool:
    """Whether a key that was valid still is: neither revoked nor expired, and its tenant active.

    Args:
        session: open session.
        key_id: the key.
        since: when it was used. The secret that was valid then must be so still: where the key was rotated meanwhile,
            the overlap must last.
    """
    overlaps = func.coalesce(ApiKeyRow.previous_ends_at > func.now(), False)
    found = await session.scalar(
        select(ApiKeyRow.id)
        .outerjoin(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
        .where(
            ApiKeyRow.id == key_id,
            or_(ApiKeyRow.rotated_at.is_(None), ApiKeyRow.rotated_at <= since, overlaps),
            *_valid(),
        )
    )
    return found is not None


async def database_time(session: AsyncSession) -> datetime:
    """Return the database's clock, at the beginning of the transaction."""
    return (await session.execute(select(func.now()))).scalar_one()


async def find_key(session: AsyncSession, secret_hash: str) -> tuple[ApiKey, Tenant | None] | None:
    """Return the valid key with this hash and its tenant, or None.

    A key is valid while it is neither revoked nor expired and its tenant is active; the secret that a rotated key
    had before is valid for its overlap.
    """
    found = (
        await session.execute(
            select(ApiKeyRow, TenantRow)
            .outerjoin(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
            .where(
                has_secret(secret_hash),
                *_valid(),
            )
        )
    ).first()
    if found is None:
        return None
    key, tenant = found
    return ApiKey.model_validate(key), Tenant.model_validate(tenant) if tenant else None


async def list_keys(
    session: AsyncSession, tenant_id: str | None, *, limit: int, after: str | None
) -> tuple[list[ApiKey], bool]:
    """Return one page of the tenant's keys (None: the operators'), newest first, and whether there are more."""
    query = select(ApiKeyRow).where(ApiKeyRow.tenant_id.is_not_distinct_from(tenant_id))
    rows, more = await page(session, query, ApiKeyRow.id, limit=limit, after=after)
    return [ApiKey.model_validate(row) for row in rows], more


async def get_key(session: AsyncSession, tenant_id: str | None, key_id: str) -> ApiKey:
    """Return one key of the tenant.

    Raises:
        NotFound: code `not_found`.
    """
    row = await session.scalar(
        select(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.tenant_id.is_not_distinct_from(tenant_id))
    )
    if row is None:
        raise NotFound(f"there is no API key {key_id[:60]!r}")
    return ApiKey.model_validate(row)


async def revoke_key(session: AsyncSession, tenant_id: str | None, key_id: str) -> ApiKey:
    """Make a key invalid from now on.

    Raises:
        NotFound: code `not_found`.
    """
    await get_key(session, tenant_id, key_id)
    await session.execute(
        update(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    session.expire_all()
    return await get_key(session, tenant_id, key_id)


def _valid() -> tuple[ColumnElement[bool], ...]:
    return (
        ApiKeyRow.revoked_at.is_(None),
        or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > func.now()),
        or_(ApiKeyRow.tenant_id.is_(None), TenantRow.status == "active"),
    )
