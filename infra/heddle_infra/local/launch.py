"""Starting a stack in the background, waiting for it, stopping it: what the command line and tests call."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from heddle_infra.local.child import is_alive, kill_now, leftovers, still_runs
from heddle_infra.local.config import StackBusy, StackConfig, StackFailed, StackPaths, stack_paths
from heddle_infra.local.info import StackInfo, stack_info, stack_settings
from heddle_infra.local.logs import last_lines
from heddle_infra.local.state import ServiceRecord, StackRecord, is_locked, read_state
from heddle_infra.local.supervisor import OnProgress

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_REMOVALS: Final = 20
_REMOVAL_SECONDS: Final = 0.1


def start_detached(
    config: StackConfig,
    *,
    on_progress: OnProgress | None = None,
    timeout_seconds: float = START_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> StackInfo:
    """Start a stack that outlives this process, or find the one that runs; return once it is ready.

    Args:
        config: what and where; of a stack that runs already only the data folder counts.
        on_progress: told of every change of a service while it starts.
        timeout_seconds: from now to ready, at most.
        environment: of the supervisor, where external servers are named; None takes this process's.

    Raises:
        StackFailed: a service did not start; nothing is left running.
        StackBusy: the stack is being stopped, or is not ready in time.
    """
    paths = stack_paths(config.data_dir)
    paths.make()
    started = None if is_locked(paths.lock) else _fork_supervisor(config, paths, environment)
    return _follow(paths, started, on_progress, timeout_seconds)


def stop(data_dir: Path, *, timeout_seconds: float = STOP_SECONDS) -> bool:
    """Stop the stack of a data folder and return when nothing of it runs any more.

    Args:
        data_dir: need not exist.
        timeout_seconds: after which the supervisor is killed, and the rest with it.

    Returns:
        Whether there was anything to stop.
    """
    paths = stack_paths(data_dir)
    record = read_state(paths.state)
    if record is None:
        return False
    was_running = is_alive(record.supervisor_pid, record.supervisor_started_at)
    if was_running:
        os.kill(record.supervisor_pid, signal.SIGTERM)
        _wait_for_end(record, timeout_seconds)
    # after a clean end there is nothing to find; after kill -9 of the supervisor there may be
    record = read_state(paths.state) or record
    left = [process for service in record.services for process in leftovers(service)]
    kill_now(left)
    paths.state.unlink(missing_ok=True)
    return was_running or bool(left)


def erase(data_dir: Path) -> None:
    """Stop the stack of a data folder and delete everything it ever kept, wherever it lies.

    Args:
        data_dir: deleted itself, with all that is in it.

    Raises:
        OSError: something in it cannot be deleted; it names the place.
    """
    stop(data_dir)
    paths = stack_paths(data_dir)
    pointer = paths.data / "postgres.path"
    if pointer.exists():
        shutil.rmtree(Path(pointer.read_text().strip()).parent, ignore_errors=True)
    for folder in (paths.run, paths.data):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete a folder, again where a process that is just ending wrote into it meanwhile."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_REMOVAL_SECONDS)
    shutil.rmtree(folder)  # now whatever stands in the way is told


def _fork_supervisor(
    config: StackConfig, paths: StackPaths, environment: Mapping[str, str] | None
) -> psutil.Process | None:
    command = [
        config.python,
        "-m",
        "heddle_infra.local",
        f"--data-dir={paths.data}",
        f"--services={','.join(config.services)}",
        f"--ray-cpus={config.ray_cpus}",
        f"--ray-object-store-bytes={config.ray_object_store_bytes}",
        f"--cache-bytes={config.cache_bytes}",
    ]
    with paths.log("supervisor").open("ab") as log:
        # ends at once: it forks the supervisor, which then is nobody's child but the system's
        starter = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env={**(os.environ if environment is None else environment), "PYTHONSAFEPATH": "1"},
            start_new_session=True,
            check=False,
        )
    try:
        return psutil.Process(int(starter.stdout))
    except (ValueError, psutil.NoSuchProcess):
        return None


def _follow(
    paths: StackPaths, started: psutil.Process | None, on_progress: OnProgress | None, timeout_seconds: float
) -> StackInfo:
    told: dict[str, ServiceRecord] = {}
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        alive = is_locked(paths.lock) or (started is not None and still_runs(started))
        record = read_state(paths.state)
        if record is not None and _is_current(record):
            for service in record.services:
                if on_progress is not None and told.get(service.name) != service:
                    on_progress(service)
                told[service.name] = service
            if record.phase == "ready":
                return stack_info(paths, stack_settings(paths.data), record.supervisor_pid)
            if record.phase == "stopping" and record.failure is None:
                raise StackBusy(f"the stack on {paths.data} is being stopped; try again in a moment")
        if not alive:
            raise StackFailed(_why(paths, read_state(paths.state)))
        time.sleep(_POLL_SECONDS)
    late = [service for service in told.values() if service.state not in ("ready", "external")]
    raise StackBusy(
        f"the stack on {paths.data} is not ready after {timeout_seconds:.0f} s: "
        f"{'; '.join(_so_far(service, paths) for service in late) or 'its supervisor says nothing'}"
    )


def _so_far(service: ServiceRecord, paths: StackPaths) -> str:
    ended = f" after it {service.last_exit}" if service.last_exit else ""
    return f"{service.name} is {service.state}{ended}, see {paths.log(service.name)}"


def _is_current(record: StackRecord) -> bool:
    return is_alive(record.supervisor_pid, record.supervisor_started_at)


def _why(paths: StackPaths, record: StackRecord | None) -> str:
    if record is not None and record.failure is not None:
        return record.failure
    log = paths.log("supervisor")
    return f"the stack's supervisor ended before it was ready. Its log, {log}, ends with:\n{last_lines(log)}"


def _wait_for_end(record: StackRecord, timeout_seconds: float) -> None:
    end = time.monotonic() + timeout_seconds
    while _is_current(record):
        if time.monotonic() > end:
            os.kill(record.supervisor_pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
