"""Routes of fits that are answered at once: `/v1/fits`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header

from heddle_api.auth import Principal
from heddle_api.control.bulk import BulkRoute
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.fits import service
from heddle_api.control.fits.service import PreviewRequest, PreviewView

router = APIRouter(prefix="/v1/fits", tags=["fits"], route_class=BulkRoute)
JobsKey = Annotated[Principal, Depends(tenant_with("jobs"))]


@router.post("/preview", summary="Preview a fit")
async def preview_fit(
    body: PreviewRequest,
    tenant: JobsKey,
    control: CurrentControl,
    _: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="Taken and not looked at: nothing is stored, not even the answer."),
    ] = None,
) -> PreviewView:
    """Say what a fit would be worth now and which images to label next; answered at once, nothing is stored.

    The labels are those of a labelled set that has been encoded by the base (any fit of it does that), or come inline
    with latents. Out-of-fold accuracies, accuracy at growing numbers of labels, and the images most worth labelling,
    each with a reason.
    """
    return await service.preview(control, tenant.tenant, body)
