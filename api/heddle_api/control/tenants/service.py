"""Tenants: created with their first key, suspended, renamed, deleted with everything they own."""

import asyncio
import contextlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import mint_key
from heddle_api.control.context import Control, Operator
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.trail import Trail
from heddle_api.control.wire import Asked, DisplayName
from heddle_infra.database import tenants
from heddle_infra.database.walls import platform_scope
from heddle_platform import keys
from heddle_platform.errors import InvalidInput, Unavailable
from heddle_platform.ids import new_id
from heddle_platform.ports import ObjectStore
from heddle_platform.records import TENANT_SCOPES, Tenant

Status = Literal["active", "suspended"]


class NewTenant(Asked):
    """A customer to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Acme Avatars"}]})
    name: DisplayName = Field(description="For people; need not be unique.")


class TenantChange(Asked):
    """What to change of a tenant; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "suspended"}], "minProperties": 1})
    name: DisplayName | None = None
    status: Status | None = Field(None, description="A suspended tenant's keys stop working, its jobs wait.")


class TenantView(BaseModel):
    """A tenant as operators see it."""

    id: str
    name: str
    status: Status
    created_at: datetime


class CreatedTenant(TenantView):
    """A new tenant with its first key, which is shown this once."""

    api_key: str = Field(description="Carries all scopes of a tenant; store it now, it cannot be read again.")


def view(tenant: Tenant) -> TenantView:
    """Return what operators see of a tenant."""
    return TenantView.model_validate(tenant, from_attributes=True)


async def create(session: AsyncSession, wanted: NewTenant) -> Reply:
    """Add a tenant and its first key, which has all tenant scopes."""
    key_id = new_id("key")
    minted = mint_key(key_id)
    async with platform_scope(session):
        tenant = await tenants.create_tenant(session, wanted.name)
        await tenants.create_key(
            session, tenant_id=tenant.id, name="first", scopes=TENANT_SCOPES, secret_hash=minted.hash, key_id=key_id
        )
    body = CreatedTenant(**view(tenant).model_dump(), api_key=minted.plaintext)
    headers = {"Location": f"/v1/admin/tenants/{tenant.id}", "Cache-Control": "no-store"}
    return Reply(body, 201, headers, announce="tenant_created", tenant_id=tenant.id)


async def list_all(session: AsyncSession, turn: Turn) -> Page[TenantView]:
    """Return one page of tenants."""
    found, more = await tenants.list_tenants(session, limit=turn.limit, after=turn.after_id("ten"))
    return page_of([view(tenant) for tenant in found], more, lambda tenant: tenant.id)


async def change(session: AsyncSession, tenant_id: str, wanted: TenantChange) -> TenantView:
    """Rename, suspend or reactivate a tenant.

    Raises:
        InvalidInput: code `nothing_to_change`.
        NotFound: there is no such tenant.
    """
    if wanted.name is None and wanted.status is None:
        raise InvalidInput("nothing is to be changed; send name, status or both", code="nothing_to_change")
    tenant = await tenants.get_tenant(session, tenant_id)
    if wanted.name is not None:
        tenant = await tenants.rename_tenant(session, tenant_id, wanted.name)
    if wanted.status is not None:
        tenant = await tenants.set_tenant_status(session, tenant_id, wanted.status)
    return view(tenant)


async def remove(control: Control, operator: Operator, trail: Trail, tenant_id: str) -> None:
    """Delete a suspended tenant: its rows first, so that nothing points at an object that is gone.

    Addresses that were signed for its uploads lead nowhere afterwards. What is cached of it goes, too; with the cache
    away it is out of reach, and its time runs out.
    """
    async with control.platform_transaction(operator) as session:
        before = view(await tenants.remove_tenant(session, tenant_id))
        await trail.note(session, operator, tenant_id=tenant_id, target=tenant_id, before=before)
    await asyncio.to_thread(_delete_objects, control.objects, keys.tenant_prefix(tenant_id))
    await control.announce("tenant_deleted")
    with contextlib.suppress(Unavailable):
        await control.ports.cache.forget(keys.cache_prefix(tenant_id))


def _delete_objects(objects: ObjectStore, prefix: str) -> None:
    for upload in list(objects.open_multiparts(prefix)):
        objects.abort_multipart(upload.key, upload.multipart_id)
    for info in list(objects.list(prefix)):
        objects.delete(info.key)
