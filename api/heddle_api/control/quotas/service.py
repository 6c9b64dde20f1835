"""Quotas: read with what is used of them, set whole under a condition."""

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.once import Reply
from heddle_api.control.precondition import IfMatch, etag
from heddle_api.control.wire import Asked
from heddle_infra.database import quotas, tenants
from heddle_infra.database.quotas import StoredQuota
from heddle_platform.errors import PreconditionRequired
from heddle_platform.quota import Quota, default_quota
from heddle_platform.settings import QuotaSettings

_MOST = 2**53 - 1  # what every JSON reader keeps exact
_MOST_SMALL = 2**31 - 1


class NewQuota(Asked):
    """A tenant's limits, all of them: one that is left out or null is the platform's default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"requests_per_second": 50, "burst": 100, "bytes": 10_000_000_000, "weight": 2}]
        },
    )
    requests_per_second: float | None = Field(
        None, ge=0.01, le=100_000, description="Requests a second, for each plane by itself, over all its replicas."
    )
    burst: int | None = Field(None, ge=1, le=1_000_000, description="Requests at once after a pause.")
    images: int | None = Field(None, ge=0, le=_MOST, description="Images in all labelled sets together.")
    bytes: int | None = Field(None, ge=0, le=_MOST, description="Bytes of uploads and labelled sets together.")
    labelled_rows: int | None = Field(None, ge=0, le=_MOST, description="Labelled rows in all sets together.")
    adapters: int | None = Field(None, ge=0, le=_MOST_SMALL, description="Adapters; versions are not counted.")
    running_jobs: int | None = Field(None, ge=0, le=_MOST_SMALL, description="Jobs that run at once; others wait.")
    queued_jobs: int | None = Field(None, ge=0, le=_MOST_SMALL, description="Jobs that wait; more answer 429.")
    weight: float | None = Field(
        None, gt=0, le=1_000, description="Share of the queue against other tenants, whose default is 1."
    )


class Limits(BaseModel):
    """What holds: a tenant's own limits, and the platform's defaults for the rest."""

    requests_per_second: float
    burst: int
    images: int
    bytes: int
    labelled_rows: int
    adapters: int
    running_jobs: int | None = Field(description="Null: as many as there is room for.")
    queued_jobs: int
    weight: float


class Used(BaseModel):
    """What a tenant has at the moment."""

    images: int
    bytes: int
    labelled_rows: int
    adapters: int
    running_jobs: int
    queued_jobs: int


class QuotaView(BaseModel):
    """A tenant's quota and how much of it is used."""

    tenant_id: str
    limits: Limits
    own: list[str] = Field(description="Names of the limits that were set for this tenant.")
    used: Used


async def read(session: AsyncSession, settings: QuotaSettings, tenant_id: str) -> tuple[QuotaView, StoredQuota]:
    """Return a tenant's quota.

    Raises:
        NotFound: there is no such tenant.
    """
    await tenants.get_tenant(session, tenant_id)
    stored = await quotas.get(session, tenant_id)
    return await _view(session, settings, tenant_id, stored), stored


async def put(
    session: AsyncSession, settings: QuotaSettings, tenant_id: str, wanted: NewQuota, match: IfMatch
) -> Reply:
    """Set a tenant's limits, all of them.

    Raises:
        NotFound: there is no such tenant.
        PreconditionRequired: no If-Match was sent.
        PreconditionFailed: the quota is not what If-Match says.
    """
    if match.absent:
        await tenants.get_tenant(session, tenant_id)
        revision = (await quotas.get(session, tenant_id)).revision
        raise PreconditionRequired(
            f'a quota is changed under a condition; send If-Match: "{revision}", the ETag you read it with'
        )
    before, after = await quotas.put(session, tenant_id, wanted.model_dump(), if_match=match.revision)
    view = await _view(session, settings, tenant_id, after)
    return Reply(
        view,
        200,
        {"ETag": etag(after.revision)},
        announce="quota_changed",
        target=tenant_id,
        tenant_id=tenant_id,
        before=_limits(before.over(settings)),
    )


async def _view(session: AsyncSession, settings: QuotaSettings, tenant_id: str, stored: StoredQuota) -> QuotaView:
    defaults = default_quota(settings)
    # the weight of a row is never null; one that equals the default is nobody's wish
    own = [
        name
        for name, value in stored.values.items()
        if value is not None and not (name == "weight" and value == defaults.weight)
    ]
    return QuotaView(
        tenant_id=tenant_id,
        limits=_limits(stored.over(settings)),
        own=own,
        used=Used(**await quotas.used(session, tenant_id)),
    )


def _limits(quota: Quota) -> Limits:
    return Limits.model_validate(quota, from_attributes=True)
