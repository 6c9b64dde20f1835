"""Routes of drift: `/v1/drift`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from heddle_adapters.drift_report import DriftView
from heddle_api.auth import Principal
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.drift import service
from heddle_api.control.page import AskedPage, Page
from heddle_api.openapi.problems import response
from heddle_platform.drift import MOST_HOURS, USUAL_HOURS

router = APIRouter(prefix="/v1/drift", tags=["drift"])
ReaderKey = Annotated[Principal, Depends(tenant_with("adapters", "approve"))]
Watched = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        description="Only this adapter, by id or name; with `@` and a version or an alias behind it, that version.",
        examples=["avatars@3"],
    ),
]
Window = Annotated[int, Query(ge=1, le=MOST_HOURS, description="How many hours to look back.")]


@router.get("", responses={404: response(404)}, summary="List drift")
async def list_drift(
    tenant: ReaderKey,
    control: CurrentControl,
    turn: AskedPage,
    adapter: Watched = None,
    window_hours: Window = USUAL_HOURS,
) -> Page[DriftView]:
    """Tell for each version in production whether the images it edits still look like those it was fitted on.

    Newest adapter first. The last seconds may still be missing.
    """
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn, adapter=adapter, window_hours=window_hours)
