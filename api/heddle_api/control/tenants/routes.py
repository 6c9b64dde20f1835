"""Routes of tenants, for operators: `/v1/admin/tenants`."""

from fastapi import APIRouter, Response

from heddle_api.control.context import CurrentControl, Operator
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.tenants import service
from heddle_api.control.tenants.service import CreatedTenant, NewTenant, TenantChange, TenantView
from heddle_api.control.trail import AskedTrail
from heddle_infra.database import tenants

router = APIRouter(prefix="/v1/admin/tenants", tags=["tenants"])


@router.post("", status_code=201, response_model=CreatedTenant, summary="Create a tenant")
async def create_tenant(body: NewTenant, operator: Operator, post: OncePost) -> Response:
    """Create a tenant and its first API key, which is shown in this reply only."""
    return await post.once(operator, lambda session: service.create(session, body))


@router.get("", summary="List tenants")
async def list_tenants(operator: Operator, control: CurrentControl, turn: AskedPage) -> Page[TenantView]:
    """List tenants, newest first."""
    async with control.platform_transaction(operator) as session:
        return await service.list_all(session, turn)


@router.get("/{tenant_id}", summary="Read a tenant")
async def get_tenant(tenant_id: str, operator: Operator, control: CurrentControl) -> TenantView:
    """Read one tenant."""
    async with control.platform_transaction(operator) as session:
        return service.view(await tenants.get_tenant(session, tenant_id))


@router.patch("/{tenant_id}", summary="Change a tenant")
async def change_tenant(
    tenant_id: str, body: TenantChange, operator: Operator, control: CurrentControl, trail: AskedTrail
) -> TenantView:
    """Rename, suspend or reactivate a tenant.

    A suspended tenant's keys answer 403 `tenant_suspended` on both planes, and its jobs, batches of edits and webhook
    deliveries wait, until it is active again.
    """
    async with control.platform_transaction(operator) as session:
        before = service.view(await tenants.get_tenant(session, tenant_id))
        changed = await service.change(session, tenant_id, body)
        await trail.note(session, operator, tenant_id=tenant_id, target=tenant_id, before=before, after=changed)
    await control.announce("tenant_changed")
    return changed


@router.delete("/{tenant_id}", status_code=204, summary="Delete a tenant")
async def delete_tenant(tenant_id: str, operator: Operator, control: CurrentControl, trail: AskedTrail) -> None:
    """Delete a suspended tenant with its sets, jobs and adapters, rows and objects; this cannot be undone.

    What was counted of it and its audit trail stay, for the last invoice and for whoever asks later.
    """
    await service.remove(control, operator, trail, tenant_id)
