"""The head of a local Ray cluster as a child: every port named, everything on loopback, a token at the door."""

import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from heddle_infra.local.config import StackConfig, StackPaths
from heddle_infra.local.credentials import StackSecrets, write_private
from heddle_infra.local.environment import RAY_LOOPBACK, python_environment
from heddle_infra.local.ports import LOOPBACK, RAY_WORKER_PORTS
from heddle_infra.local.service import Service, port_answers

# of the session: where the kernel groups processes by session, a worker's own niceness ranks it among Ray's alone.
# At 10 a fit got a tenth of a core beside one busy program of the laptop's, and took minutes.
_GROUP_NICENESS: Final = 3
_PORT_FLAGS: Final = {
    "--port": "gcs",
    "--object-manager-port": "object_manager",
    "--node-manager-port": "node_manager",
    "--ray-client-server-port": "ray_client",
    "--dashboard-agent-listen-port": "agent_http",
    "--dashboard-agent-grpc-port": "agent_grpc",
    "--runtime-env-agent-port": "runtime_env_agent",
    "--metrics-export-port": "metrics_export",
    "--dashboard-port": "dashboard",
}


def ray_service(config: StackConfig, paths: StackPaths, ports: Mapping[str, int], secrets: StackSecrets) -> Service:
    """Describe `ray start --head --block`.

    Its workers inherit this environment, which therefore holds no setting and no credential of ours.
    """
    temporary = paths.run / "ray"
    first_worker_port = ports["ray_workers"]

    async def prepare() -> None:
        shutil.rmtree(temporary, ignore_errors=True)  # earlier sessions: logs and dead sockets
        temporary.mkdir(mode=0o700)
        write_private(token_file(paths), secrets.ray_token.get_secret_value())

    async def ready() -> None:
        await port_answers(ports["gcs"])
        await port_answers(ports["node_manager"])  # the raylet, which is started last

    return Service(
        name="ray",
        address=f"{LOOPBACK}:{ports['gcs']}",
        command=(
            config.python,
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
            "--include-dashboard=false",
            "--include-log-monitor=false",  # 46 MB to carry prints of workers to the driver; ours log to files
            "--no-monitor",  # the autoscaler, 50 MB, of no use to a single node
            "--log-color=false",
            "--log-style=record",
            f"--num-cpus={config.ray_cpus}",
            f"--object-store-memory={config.ray_object_store_bytes}",
            f"--temp-dir={temporary}",
            *(f"{flag}={ports[name]}" for flag, name in _PORT_FLAGS.items()),
            f"--min-worker-port={first_worker_port}",
            f"--max-worker-port={first_worker_port + RAY_WORKER_PORTS - 1}",
        ),
        environment={
            **python_environment(),
            **ray_client_environment(paths),
            "DASHBOARD_METRIC_PORT": str(ports["dashboard_metrics"]),
            # behind the planes, but not, as by default (15), behind everything else on a laptop
            "RAY_worker_niceness": "5",
            # at rest one worker stays warm; by default as many as there are cores do, at 200 to 300 MB each
            "RAY_num_workers_soft_limit": "1",
            "RAY_idle_worker_killing_time_threshold_ms": "30000",
            # else SIGTERM waits up to 30 s for running tasks, which a supervisor that is gone cannot
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        },
        prepare=prepare,
        ready=ready,
        alive=ready,  # a raylet that shuts down in good order, as when an agent of its dies, does not end the head
        ready_seconds=90.0,
        group_niceness=_GROUP_NICENESS,
        death_signal=signal.SIGTERM,  # it ends its own children, which SIGKILL would leave
    )


def ray_client_environment(paths: StackPaths) -> dict[str, str]:
    """Return the variables with which a driver joins this stack's Ray."""
    return {**RAY_LOOPBACK, "RAY_AUTH_TOKEN_PATH": str(token_file(paths))}


def token_file(paths: StackPaths) -> Path:
    """Return the file that holds Ray's token, mode 0600."""
    return paths.data / "ray.token"
