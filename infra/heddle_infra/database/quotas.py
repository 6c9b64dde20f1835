"""Quotas of tenants: what an operator set, what is used of it, and who may have more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import TextClause, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.accounts import TenantQuotaRow
from heddle_infra.database.models import TenantRow
from heddle_platform.errors import HeddleError, NotFound, PreconditionFailed
from heddle_platform.quota import LIMITS, Counted, Quota, default_quota, refusal
from heddle_platform.rate import Rate
from heddle_platform.settings import QuotaSettings

_COUNTS: Final[Mapping[str, str]] = {
    "images": "select coalesce(sum(images), 0) from datasets where tenant_id = :tenant and status = 'ready'",
    "labelled_rows": (
        "select coalesce(sum((report->>'labelled')::bigint), 0) from datasets "
        "where tenant_id = :tenant and status = 'ready'"
    ),
    # what is announced counts at once: two uploads that fit one by one must not both be let in
    "bytes": """
        select coalesce(sum(uploads.bytes), 0) from uploads left join datasets on datasets.upload_id = uploads.id
        where uploads.tenant_id = :tenant and (uploads.status = 'complete'
            or (uploads.status = 'open' and uploads.expires_at > now()) or datasets.status in ('validating', 'ready'))
    """,
    "adapters": """
        select count(*) from (
            select name from adapters where tenant_id = :tenant
            union select spec->>'adapter' from jobs where tenant_id = :tenant and type = 'fit'
                and status in ('validating', 'queued', 'running', 'scoring')) as names
    """,
    "queued_jobs": (
        "select count(*) from jobs where tenant_id = :tenant and status in ('validating', 'queued') "
        "and type <> 'erase'"  # an erasure is a right and takes nobody's place
    ),
    "running_jobs": "select count(*) from jobs where tenant_id = :tenant and status in ('running', 'scoring')",
}
_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended('heddle quota ' || :tenant, 0))"
_KNOWN_ADAPTER: Final = """
    exists (select 1 from adapters where tenant_id = :tenant and name = cast(:name as text))
        or exists (select 1 from jobs where tenant_id = :tenant and type = 'fit'
            and spec->>'adapter' = cast(:name as text)
            and status in ('validating', 'queued', 'running', 'scoring'))
"""


@dataclass(frozen=True)
class StoredQuota:
    """What was set for a tenant: limits by name, None where the platform's default holds; revision 0: nothing."""

    values: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0

    def over(self, settings: QuotaSettings) -> Quota:
        """Return all limits, the defaults filled in."""
        own = {name: value for name, value in self.values.items() if value is not None}
        return default_quota(settings).model_copy(update=own)


async def get(session: AsyncSession, tenant_id: str) -> StoredQuota:
    """Return what was set for a tenant."""
    row = await session.get(TenantQuotaRow, tenant_id, populate_existing=True)
    return _stored(row) if row is not None else StoredQuota()


async def put(
    session: AsyncSession, tenant_id: str, values: Mapping[str, Any], *, if_match: int | None
) -> tuple[StoredQuota, StoredQuota]:
    """Set a tenant's limits, all of them: one that is left out is the platform's default again.

    Args:
        session: open session.
        tenant_id: the tenant.
        values: limits by name.
        if_match: revision the caller saw, 0 where nothing was set; None: whichever.

    Returns:
        What was set before, and what is set now.

    Raises:
        NotFound: there is no such tenant.
        PreconditionFailed: the quota changed since.
    """
    # the tenant's row orders writers, the first of whom finds no quota to lock
    locked = await session.scalar(select(TenantRow.id).where(TenantRow.id == tenant_id).with_for_update(key_share=True))
    if locked is None:
        raise NotFound(f"there is no tenant {tenant_id[:60]!r}")
    row = await session.get(TenantQuotaRow, tenant_id, populate_existing=True)
    before = _stored(row) if row is not None else StoredQuota()
    if if_match is not None and if_match != before.revision:
        raise PreconditionFailed(f"the quota is at revision {before.revision}, If-Match says {if_match}; read it again")
    if row is None:
        row = TenantQuotaRow(tenant_id=tenant_id, revision=0)
        session.add(row)
    for name in LIMITS:
        setattr(row, name, values.get(name))
    if row.weight is None:
        row.weight = 1.0
    row.revision += 1
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    return before, _stored(row)


async def used(session: AsyncSession, tenant_id: str) -> dict[str, int]:
    """Count all that a quota counts."""
    counts = ", ".join(f"({query}) as {name}" for name, query in _COUNTS.items())
    found = (await session.execute(text(f"select {counts}"), {"tenant": tenant_id})).one()
    return {name: int(count) for name, count in found._mapping.items()}


async def refused(
    session: AsyncSession,
    tenant_id: str,
    settings: QuotaSettings,
    wanted: Mapping[Counted, int],
    *,
    adapter: str | None = None,
) -> HeddleError | None:
    """Return why a tenant may not have so much more, or None if it may.

    Until the transaction ends nobody else asks for the same tenant, so that two together cannot have what only one
    of them may.

    Args:
        session: open session.
        tenant_id: the tenant.
        settings: limits where the tenant has none of its own.
        wanted: how much more of what.
        adapter: name of one that a fit would make: one more, unless the tenant has it or will once its open fits end.
    """
    await session.execute(text(_ONE_AT_A_TIME), {"tenant": tenant_id})
    asked: tuple[Counted, ...] = (*wanted, "adapters") if adapter is not None else tuple(wanted)
    # a statement of its own, which sees what was committed while the lock was waited for
    found = (await session.execute(_asked(asked), {"tenant": tenant_id, "name": adapter})).one()._mapping
    quota = StoredQuota({name: found[f"own_{name}"] for name in LIMITS}).over(settings)
    more = wanted if adapter is None or found["known"] else {**wanted, "adapters": 1}
    for limit, count in more.items():
        error = refusal(limit, int(found[limit]), count, getattr(quota, limit))
        if error is not None:
            return error
    return None


@cache
def _asked(counted: tuple[Counted, ...]) -> TextClause:
    own = ", ".join(f"own.{name} as own_{name}" for name in LIMITS)
    counts = ", ".join(f"({_COUNTS[name]}) as {name}" for name in counted)
    return text(
        f"select {own}, {counts}, ({_KNOWN_ADAPTER}) as known "  # noqa: S608  no value is pasted in
        "from (values (1)) as one left join tenant_quotas as own on own.tenant_id = :tenant"
    )


async def reserve(
    session: AsyncSession,
    tenant_id: str,
    settings: QuotaSettings,
    wanted: Mapping[Counted, int],
    *,
    adapter: str | None = None,
) -> None:
    """Make sure that a tenant may have so much more; see `refused`.

    Raises:
        QuotaExceeded: code `quota_exceeded`, `param` the limit, both numbers in the sentence.
        RateLimited: the same for `queued_jobs`, which only take time.
    """
    error = await refused(session, tenant_id, settings, wanted, adapter=adapter)
    if error is not None:
        raise error


async def rate(session: AsyncSession, tenant_id: str, settings: QuotaSettings) -> Rate:
    """Return how fast a tenant's requests may come."""
    return (await get(session, tenant_id)).over(settings).rate


async def rates(session: AsyncSession) -> dict[str, tuple[float | None, int | None]]:
    """Return requests per second and burst of every tenant that something was set for."""
    rows = await session.execute(
        select(TenantQuotaRow.tenant_id, TenantQuotaRow.requests_per_second, TenantQuotaRow.burst)
    )
    return {tenant_id: (per_second, burst) for tenant_id, per_second, burst in rows.all()}


def _stored(row: TenantQuotaRow) -> StoredQuota:
    return StoredQuota({name: getattr(row, name) for name in LIMITS}, row.revision)
