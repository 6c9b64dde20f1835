"""Free ports on loopback, remembered so that a stack's addresses survive down and up."""

import json
import random
import socket
from pathlib import Path
from typing import Final

from heddle_infra.local.config import StackFailed
from heddle_infra.local.credentials import write_private

LOOPBACK: Final = "127.0.0.1"
# above Ray's own worker ports (10002-19999), below what the kernel hands out to clients (32768 up)
PORT_RANGE: Final = range(20_000, 32_000)
RAY_WORKER_PORTS: Final = 64

_NAMES: Final = (
    "control",
    "edge",
    "s3",
    "s3_grpc",
    "master",
    "master_grpc",
    "volume",
    "volume_grpc",
    "filer",
    "filer_grpc",
    "admin",
    "admin_grpc",
    "gcs",
    "object_manager",
    "node_manager",
    "ray_client",
    "agent_http",
    "agent_grpc",
    "runtime_env_agent",
    "metrics_export",
    "dashboard",
    "dashboard_metrics",
    "ray_workers",  # the first of RAY_WORKER_PORTS in a row
)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def claim_ports(remembered: Path) -> dict[str, int]:
    """Choose a port per name: the remembered one where it is still free, else a new one; remember all.

    Args:
        remembered: JSON file of an earlier call, or where to write it.

    Returns:
        Ports by name; `ray_workers` begins a block of `RAY_WORKER_PORTS`.

    Raises:
        StackFailed: no port of the range is free.
    """
    before = read_ports(remembered)
    # a random start keeps two stacks that come up at once out of each other's way
    shuffled = random.sample(PORT_RANGE[:-RAY_WORKER_PORTS], len(PORT_RANGE) - RAY_WORKER_PORTS)
    candidates = iter(shuffled)
    taken: set[int] = set()
    chosen: dict[str, int] = {}
    for name in sorted(_NAMES, key=lambda name: -_width(name)):
        port = before.get(name)
        while port is None or not _fits(port, _width(name), taken):
            port = next(candidates, None)
            if port is None:
                raise StackFailed(
                    f"no free port between {PORT_RANGE.start} and {PORT_RANGE.stop - 1} on {LOOPBACK}; "
                    "stop what listens there"
                )
        chosen[name] = port
        taken.update(range(port, port + _width(name)))
    if chosen != before:
        write_private(remembered, json.dumps(chosen, indent=2, sort_keys=True))
    return chosen


def _width(name: str) -> int:
    return RAY_WORKER_PORTS if name == "ray_workers" else 1


def _fits(port: int, width: int, taken: set[int]) -> bool:
    block = range(port, port + width)
    return taken.isdisjoint(block) and all(map(is_free, block))


def read_ports(remembered: Path) -> dict[str, int]:
    """Return the ports chosen before; empty if there are none."""
    try:
        found = json.loads(remembered.read_text())
    except (OSError, ValueError):
        return {}
    return {name: port for name, port in found.items() if name in _NAMES and isinstance(port, int)}
