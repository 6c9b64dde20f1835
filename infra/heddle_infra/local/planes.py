"""Our own processes as children: control plane, edge plane, dispatcher; they know the stack by `HEDDLE_*` alone."""

from collections.abc import Mapping
from typing import Final

from heddle_infra.local.config import StackConfig, StackPaths
from heddle_infra.local.environment import application_environment
from heddle_infra.local.ports import LOOPBACK
from heddle_infra.local.service import NotReady, Service, http_answers

_DRAIN_SECONDS: Final = 3
_PLANES: Final = {"control": "heddle_api.control.app:create_app", "edge": "heddle_api.edge.app:create_app"}
_DISPATCHER_READY: Final = b'"dispatcher_ready"'


def plane_service(name: str, config: StackConfig, port: int, settings: Mapping[str, str]) -> Service:
    """Describe a plane under uvicorn.

    Args:
        name: "control" or "edge".
        config: of the stack.
        port: on loopback.
        settings: the `HEDDLE_*` variables of this process.
    """
    command = (
        config.python,
        "-m",
        "uvicorn",
        _PLANES[name],
        "--factory",
        f"--host={LOOPBACK}",
        f"--port={port}",
        "--no-access-log",
        f"--timeout-graceful-shutdown={_DRAIN_SECONDS}",  # an event stream would hold it open for ever
    )
    return Service(
        name=name,
        address=f"http://{LOOPBACK}:{port}",
        command=command,
        environment=application_environment(settings),
        ready=lambda: http_answers(port, "/healthz"),
        needs=("postgres",),
        ready_seconds=60.0,
        stop_seconds=_DRAIN_SECONDS + 3,
    )


def dispatcher_service(
    config: StackConfig, paths: StackPaths, settings: Mapping[str, str], ray_variables: Mapping[str, str]
) -> Service:
    """Describe the dispatcher: it listens nowhere, so its readiness is an event in its log.

    Args:
        config, paths: of the stack.
        settings: the `HEDDLE_*` variables of this process.
        ray_variables: with which it joins the cluster.
    """
    log = paths.log("dispatcher")
    start = [0]

    async def prepare() -> None:
        start[0] = log.stat().st_size if log.exists() else 0

    async def ready() -> None:
        with log.open("rb") as file:
            file.seek(start[0])
            if _DISPATCHER_READY not in file.read():
                raise NotReady("not connected to Ray yet")

    return Service(
        name="dispatcher",
        address="",
        command=(config.python, "-m", "heddle_workers"),
        environment={**application_environment(settings), **ray_variables},
        prepare=prepare,
        ready=ready,
        needs=("postgres",),  # it waits for Ray itself, and its imports take as long as Ray's start
        ready_seconds=120.0,
    )
