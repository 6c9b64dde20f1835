"""Routes of reconciliations, for operators: `/v1/admin/reconciliations`."""

from fastapi import APIRouter, Response

from heddle_api.control.context import CurrentControl, Operator
from heddle_api.control.once import OncePost
from heddle_api.control.reconciliations import service
from heddle_api.control.reconciliations.service import AskedReconciliation, NewReconciliation, ReconciliationsView

router = APIRouter(prefix="/v1/admin/reconciliations", tags=["cluster"])


@router.post("", status_code=202, response_model=AskedReconciliation, summary="Reconcile now")
async def ask_reconciliation(body: NewReconciliation, operator: Operator, post: OncePost) -> Response:
    """Have a dispatcher hold rows and objects against each other now; what it finds is read with GET.

    It runs by itself every fifteen minutes, too. What is younger than the grace (an hour) is never judged.
    """
    return await post.once(operator, lambda session: service.ask(session, body))


@router.get("", summary="Read the last reconciliation")
async def get_reconciliations(operator: Operator, control: CurrentControl) -> ReconciliationsView:
    """Read what the last run found, and the wish that waits for a dispatcher."""
    async with control.platform_transaction(operator) as session:
        return await service.read(session)
