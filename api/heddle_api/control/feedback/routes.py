"""Routes of feedback: `/v1/feedback`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from heddle_api.auth import Principal
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.feedback import service
from heddle_api.control.feedback.service import FeedbackView, NewFeedback
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
# whoever may edit may also say what became of it: a slider's page has one key
FeedbackKey = Annotated[Principal, Depends(tenant_with("feedback", "edits"))]
ReaderKey = Annotated[Principal, Depends(tenant_with("feedback", "adapters", "approve"))]


@router.post("", status_code=201, response_model=FeedbackView, summary="Report what became of an edit")
async def create_feedback(body: NewFeedback, tenant: FeedbackKey, control: CurrentControl, post: OncePost) -> Response:
    """Say whether an edit was kept, and at which values its person ended; the last report on an edit counts.

    201 for the first report on an edit, 200 for those after it.
    """
    return await post.once(tenant, lambda session: service.create(session, control, tenant, body))


@router.get("", summary="List feedback")
async def list_feedback(
    tenant: ReaderKey,
    control: CurrentControl,
    turn: AskedPage,
    adapter: Annotated[str | None, Query(max_length=200, description="Only of edits by this adapter, by name.")] = None,
    kept: Annotated[bool | None, Query(description="Only of edits that were kept, or were not.")] = None,
) -> Page[FeedbackView]:
    """List what became of edits, newest edit first."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn, adapter=adapter, kept=kept)
