"""Routes of quotas: `/v1/admin/tenants/{id}/quota` for operators, `/v1/quota` for the tenant itself."""

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import CurrentControl, Operator, WatchKey
from heddle_api.control.once import answer, note
from heddle_api.control.precondition import AskedMatch, etag
from heddle_api.control.quotas import service
from heddle_api.control.quotas.service import NewQuota, QuotaView
from heddle_api.control.trail import AskedTrail

router = APIRouter(prefix="/v1", tags=["quotas"])


@router.get("/quota", summary="Read your quota")
async def get_own_quota(tenant: WatchKey, control: CurrentControl, response: Response) -> QuotaView:
    """Read what your tenant may have and do at once, and how much of it is used now."""
    async with control.transaction(tenant) as session:
        return await _read(session, control, tenant.tenant, response)


@router.get("/admin/tenants/{tenant_id}/quota", summary="Read a tenant's quota")
async def get_quota(tenant_id: str, operator: Operator, control: CurrentControl, response: Response) -> QuotaView:
    """Read a tenant's limits and what is used of them; its ETag is what If-Match needs to change them."""
    async with control.platform_transaction(operator) as session:
        return await _read(session, control, tenant_id, response)


@router.put("/admin/tenants/{tenant_id}/quota", response_model=QuotaView, summary="Set a tenant's quota")
async def put_quota(
    tenant_id: str, body: NewQuota, operator: Operator, control: CurrentControl, match: AskedMatch, trail: AskedTrail
) -> Response:
    """Set a tenant's limits, all of them: what is left out is the platform's default. Needs If-Match.

    Limits below what is used take nothing away: they refuse more.
    """
    async with control.platform_transaction(operator) as session:
        reply = await service.put(session, control.settings.quotas, tenant_id, body, match)
        await note(trail, session, operator, reply)
    await control.announce("quota_changed")
    return answer(reply)


async def _read(session: AsyncSession, control: CurrentControl, tenant_id: str, response: Response) -> QuotaView:
    view, stored = await service.read(session, control.settings.quotas, tenant_id)
    response.headers["ETag"] = etag(stored.revision)
    return view
