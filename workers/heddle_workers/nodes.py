"""The nodes of a Ray cluster, asked of its head by a client of our own.

A driver's own client aborts the process when the head at its address is another than the one it joined (Ray 2.60,
"WrongClusterID"), and waits a minute for a head that is away. This one knows no cluster, and fails at once.
"""

from typing import Any, Final

from ray._raylet import GcsClient  # type: ignore[attr-defined]  # it is compiled

_SECONDS: Final = 2.0
_ALIVE: Final = 0  # GcsNodeInfo.GcsNodeState


def is_alive(address: str, node_id: bytes) -> bool:
    """Tell whether the cluster whose head is at `address` has this node, and it lives.

    Raises:
        RayError: the head does not answer.
    """
    nodes = GcsClient(address=address).get_all_node_info(timeout=_SECONDS)
    return any(node.node_id == node_id and node.state == _ALIVE for node in nodes.values())


def view_of(address: str) -> dict[str, Any]:
    """Return what a cluster is made of now: nodes with their resources, and what of these is free.

    Raises:
        RayError: the head does not answer.
    """
    client = GcsClient(address=address)
    usage = client.get_all_resource_usage(timeout=_SECONDS).resource_usage_data.batch
    free = {one.node_id: dict(one.resources_available) for one in usage}
    nodes = [
        {
            "id": node.node_id.hex()[:12],
            "address": node.node_manager_address,
            "alive": node.state == _ALIVE,
            "cpus": float(node.resources_total.get("CPU", 0)),
            "gpus": float(node.resources_total.get("GPU", 0)),
            "free_cpus": float(free.get(node.node_id, {}).get("CPU", 0)),
            "free_gpus": float(free.get(node.node_id, {}).get("GPU", 0)),
            "memory_bytes": int(node.resources_total.get("memory", 0)),
        }
        for node in client.get_all_node_info(timeout=_SECONDS).values()
    ]
    alive = [node for node in nodes if node["alive"]]
    sums = {name: sum(node[name] for node in alive) for name in ("cpus", "gpus", "free_cpus", "free_gpus")}
    return {"reachable": True, **sums, "nodes": nodes}
