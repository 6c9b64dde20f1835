"""Routes of rollouts, for operators: `/v1/bases/{base}/rollout` and `/v1/rollouts`."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from heddle_api.control.context import CurrentControl, Operator
from heddle_api.control.negotiate import choose
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.rollouts import service
from heddle_api.control.rollouts.page import PAGE_POLICY, report_page
from heddle_api.control.rollouts.service import NewRollout, ReportView, RolloutView

router = APIRouter(tags=["rollouts"])
_JSON, _HTML = "application/json", "text/html"
_REPORT: Final[dict[int | str, dict[str, object]]] = {200: {"content": {_HTML: {"schema": {"type": "string"}}}}}


@router.post("/v1/bases/{base}/rollout", status_code=202, response_model=RolloutView, summary="Roll a base out")
async def start_rollout(base: str, operator: Operator, post: OncePost, body: NewRollout | None = None) -> Response:
    """Bring every tenant's served adapters to a base.

    Each is fitted anew from its stored set (or, where the images are gone, carried over by a linear latent map and
    marked) and held against its predecessor on the same rows. What passes is moved, a canary share of the tenants
    first; what does not stays where it is and is served on its old base.
    """
    return await post.once(
        operator, lambda session: service.create(session, operator, base, body or NewRollout.model_validate({}))
    )


@router.get("/v1/rollouts", summary="List rollouts")
async def list_rollouts(operator: Operator, control: CurrentControl, turn: AskedPage) -> Page[RolloutView]:
    """List rollouts, newest first."""
    async with control.platform_transaction(operator) as session:
        return await service.list_all(session, turn)


@router.get("/v1/rollouts/{rollout}", summary="Read a rollout")
async def get_rollout(rollout: str, operator: Operator, control: CurrentControl) -> RolloutView:
    """Read a rollout: how far it is, and how many adapters are better, equal, worse."""
    async with control.platform_transaction(operator) as session:
        return await service.read(session, rollout)


@router.get("/v1/rollouts/{rollout}/report", response_model=ReportView, responses=_REPORT, summary="Read the report")
async def get_report(
    rollout: str, operator: Operator, control: CurrentControl, accept: Annotated[str | None, Header()] = None
) -> Response | ReportView:
    """Read what became of every adapter, with numbers and reasons: as JSON, or as a page by `Accept: text/html`."""
    media_type = choose(accept, (_JSON, _HTML))
    async with control.platform_transaction(operator) as session:
        found = await service.report(session, rollout)
    if media_type == _JSON:
        return found
    headers = {"Vary": "Accept", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": PAGE_POLICY}
    return Response(report_page(found), media_type=_HTML, headers=headers)


@router.post("/v1/rollouts/{rollout}/continue", response_model=RolloutView, summary="Go on after the canary")
async def continue_rollout(rollout: str, operator: Operator, post: OncePost) -> Response:
    """Move the rest of what passed; twice is once."""
    return await post.once(operator, lambda session: service.go_on(session, rollout))


@router.post("/v1/rollouts/{rollout}/rollback", response_model=RolloutView, summary="Roll back")
async def roll_back(rollout: str, operator: Operator, post: OncePost) -> Response:
    """Move every alias of the rollout back to exactly where it was, unless its tenant moved it since; twice is once."""
    return await post.once(operator, lambda session: service.roll_back(session, rollout))


@router.post("/v1/rollouts/{rollout}/cancel", response_model=RolloutView, summary="Cancel a rollout")
async def cancel_rollout(rollout: str, operator: Operator, post: OncePost) -> Response:
    """Stop a rollout that is still fitting; nothing was moved, and what was fitted stays as versions."""
    return await post.once(operator, lambda session: service.cancel(session, rollout))
