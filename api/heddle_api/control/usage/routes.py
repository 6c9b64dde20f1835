"""Routes of usage: `/v1/usage` for the tenant itself, `/v1/admin/tenants/{id}/usage` for operators."""

from fastapi import APIRouter

from heddle_api.control.context import CurrentControl, Operator, WatchKey
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.usage import service
from heddle_api.control.usage.service import AskedSpan, UsageView

router = APIRouter(prefix="/v1", tags=["usage"])


@router.get("/usage", summary="List your usage by the hour")
async def list_usage(tenant: WatchKey, control: CurrentControl, turn: AskedPage, span: AskedSpan) -> Page[UsageView]:
    """List what was counted of your tenant, hour by hour, newest first; the last seconds may still be missing."""
    async with control.transaction(tenant) as session:
        return await service.list_hours(session, tenant.tenant, turn, span)


@router.get("/admin/tenants/{tenant_id}/usage", summary="List a tenant's usage by the hour")
async def list_tenant_usage(
    tenant_id: str, operator: Operator, control: CurrentControl, turn: AskedPage, span: AskedSpan
) -> Page[UsageView]:
    """List what was counted of a tenant, of a deleted one too; an id that was never a tenant's has no hours."""
    async with control.platform_transaction(operator) as session:
        return await service.list_hours(session, tenant_id, turn, span)
