"""Routes of the audit trail: `/v1/audit_events`, and the ends of its chains."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from heddle_api.auth import Caller, Principal
from heddle_api.control.audit import service
from heddle_api.control.audit.service import AuditView, ChainView
from heddle_api.control.context import CurrentControl
from heddle_api.control.page import AskedPage, Page

router = APIRouter(prefix="/v1", tags=["audit"])


async def _reader(caller: Caller) -> Principal:
    service.check_reader(caller)
    return caller


ReaderKey = Annotated[Principal, Depends(_reader)]
OfTenant = Annotated[
    str | None,
    Query(max_length=40, pattern=r"^[a-z0-9_]+$", description="For operators: one tenant's. A tenant gets its own."),
]
OfAction = Annotated[
    str | None, Query(max_length=100, pattern=r"^[a-z0-9_]+$", description="Only of this kind, such as `rotate_key`.")
]


@router.get("/audit_events", summary="List audit events")
async def list_audit_events(
    caller: ReaderKey,
    control: CurrentControl,
    turn: AskedPage,
    tenant_id: OfTenant = None,
    action: OfAction = None,
) -> Page[AuditView]:
    """List who did what, newest first: a tenant its own chain, an operator all; every event covers the one before."""
    async with service.readable(control, caller) as session:
        return await service.list_events(session, caller, turn, tenant_id, action)


@router.get("/audit_chains", summary="List the ends of audit chains")
async def list_audit_chains(
    caller: ReaderKey, control: CurrentControl, turn: AskedPage, tenant_id: OfTenant = None
) -> Page[ChainView]:
    """List where chains end; an end that was written down elsewhere shows later if anything before it was changed."""
    async with service.readable(control, caller) as session:
        return await service.list_chains(session, caller, turn, tenant_id)
