"""What runs, where, how it is and what memory it takes: read from outside, supervisor or not."""

import contextlib
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel

from heddle_infra.local.child import is_alive
from heddle_infra.local.config import stack_paths
from heddle_infra.local.state import Phase, ServiceRecord, ServiceState, StackRecord, is_locked, read_state


class ProcessStatus(BaseModel, frozen=True):
    """One process of a stack, together with those it started.

    Attributes:
        memory_bytes: proportional set size, summed over the process and its descendants: memory shared by
            several processes is divided between them, so that sums are honest.
        uptime_seconds: since its last start.
        processes: how many it is made of.
    """

    name: str
    state: ServiceState
    address: str
    pid: int | None
    restarts: int
    last_exit: str | None
    uptime_seconds: float | None
    memory_bytes: int
    processes: int


class StackStatus(BaseModel, frozen=True):
    """A stack as it is now.

    Attributes:
        phase: "absent" when no supervisor runs.
        failure: why the last start failed, if it did.
        memory_bytes: of everything, the supervisor included.
    """

    data_dir: str
    phase: Phase | Literal["absent"]
    failure: str | None
    processes: tuple[ProcessStatus, ...]
    memory_bytes: int

    @property
    def running(self) -> bool:
        """Whether there is a supervisor."""
        return self.phase in ("starting", "ready", "stopping")

    @property
    def ready(self) -> bool:
        """Whether every process does its work."""
        return self.phase == "ready" and all(part.state in ("ready", "external") for part in self.processes)


@dataclass(frozen=True)
class ListeningSocket:
    """A TCP or UDP socket that takes connections or datagrams."""

    program: str
    pid: int
    host: str
    port: int


def describe(data_dir: Path) -> StackStatus:
    """Look at the stack of a data folder; starts and changes nothing.

    Args:
        data_dir: need not exist.
    """
    paths = stack_paths(data_dir)
    record = read_state(paths.state)
    if record is None or not is_locked(paths.lock):
        failure = record.failure if record else None
        return StackStatus(data_dir=str(paths.data), phase="absent", failure=failure, processes=(), memory_bytes=0)
    parts = [_describe_service(service) for service in record.services]
    supervisor = _describe_supervisor(record)
    return StackStatus(
        data_dir=str(paths.data),
        phase=record.phase,
        failure=record.failure,
        processes=(*parts, supervisor),
        memory_bytes=sum(part.memory_bytes for part in (*parts, supervisor)),
    )


def stack_processes(data_dir: Path) -> list[psutil.Process]:
    """Return every process of a running stack, the supervisor first; empty if none runs."""
    record = read_state(stack_paths(data_dir).state)
    if record is None or not is_alive(record.supervisor_pid, record.supervisor_started_at):
        return []
    with contextlib.suppress(psutil.Error):
        supervisor = psutil.Process(record.supervisor_pid)
        return [supervisor, *supervisor.children(recursive=True)]
    return []


def listening_sockets(data_dir: Path) -> list[ListeningSocket]:
    """Return every internet socket on which a process of the stack listens.

    Unix sockets are left out: they are guarded by the mode of their folder.
    """
    found: list[ListeningSocket] = []
    for process in stack_processes(data_dir):
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections(kind="inet"):
                is_open = connection.status == psutil.CONN_LISTEN or (
                    connection.type == socket.SOCK_DGRAM and not connection.raddr
                )
                if is_open and connection.laddr:
                    found.append(
                        ListeningSocket(process.name(), process.pid, connection.laddr.ip, connection.laddr.port)
                    )
    return found


def _describe_service(service: ServiceRecord) -> ProcessStatus:
    tree: list[psutil.Process] = []
    alive = service.pid is not None and service.started_at is not None and is_alive(service.pid, service.started_at)
    if alive:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(service.pid)
            tree = [process, *process.children(recursive=True)]
    state = service.state
    if state in ("ready", "starting") and service.pid is not None and not alive:
        state = "crashed"  # the supervisor has not noticed yet
    return ProcessStatus(
        name=service.name,
        state=state,
        address=service.address,
        pid=service.pid if alive else None,
        restarts=service.restarts,
        last_exit=service.last_exit,
        uptime_seconds=round(time.time() - service.started_at, 1) if alive and service.started_at else None,
        memory_bytes=_memory(tree),
        processes=len(tree),
    )


def _describe_supervisor(record: StackRecord) -> ProcessStatus:
    alive = is_alive(record.supervisor_pid, record.supervisor_started_at)
    return ProcessStatus(
        name="supervisor",
        state="ready" if alive else "crashed",
        address="",
        pid=record.supervisor_pid if alive else None,
        restarts=0,
        last_exit=None,
        uptime_seconds=round(time.time() - record.supervisor_started_at, 1) if alive else None,
        memory_bytes=_memory([psutil.Process(record.supervisor_pid)]) if alive else 0,
        processes=int(alive),
    )


def _memory(processes: Iterable[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            used = process.memory_full_info()
            total += getattr(used, "pss", 0) or getattr(used, "uss", 0)  # only Linux knows the former
    return total
