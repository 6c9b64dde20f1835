"""Routes of the cluster, for operators: `/v1/admin/cluster`."""

from fastapi import APIRouter

from heddle_api.control.cluster import service
from heddle_api.control.cluster.service import ClusterView
from heddle_api.control.context import CurrentControl, Operator

router = APIRouter(prefix="/v1/admin/cluster", tags=["cluster"])


@router.get("", summary="Read the cluster")
async def get_cluster(operator: Operator, control: CurrentControl) -> ClusterView:
    """Read where jobs run, what waits and how fast it goes.

    Nodes are as the dispatcher that spoke last saw them; `nodes_age_seconds` says how long ago that was.
    """
    async with control.platform_transaction(operator) as session:
        return await service.read(session)
