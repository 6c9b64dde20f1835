"""A child process that cannot outlive its supervisor, and the leftovers of one that died badly."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from heddle_infra.local.service import Service
from heddle_infra.local.state import ServiceRecord

_SET_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG
_SET_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER
_LEFTOVER_GRACE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02


class Child:
    """A running process of a service."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process) -> None:
        self.service = service
        self.pid = process.pid
        self.started_at = time.time()
        self._process = process

    async def wait(self) -> str:
        """Wait for its end and return how it ended, in words."""
        return exit_in_words(await self._process.wait())

    async def stop(self) -> None:
        """Ask it to end, wait, kill it if it does not; returns when it is gone."""
        if self._process.returncode is None:
            self._send(self.service.stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), self.service.stop_seconds)
            except TimeoutError:
                self.kill()
                await self._process.wait()

    def kill(self) -> None:
        """Kill it without asking."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


async def start_child(service: Service, log: Path) -> Child:
    """Start a service's process in a session of its own, writing to `log`.

    A session of its own keeps Ctrl-C in a terminal from reaching it before the supervisor decides. The
    death signal belongs to the starting *thread*: call this on the main thread's event loop.

    Raises:
        OSError: the program cannot be run.
    """
    options: dict[str, object] = {}
    if service.user is not None:
        options = {"user": service.user.uid, "group": service.user.gid, "extra_groups": []}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *service.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(service.environment),
            cwd=service.folder or "/",
            start_new_session=True,
            preexec_fn=_tied_to_this_process(service.death_signal),
            **options,  # type: ignore[arg-type]
        )
    if service.group_niceness:
        _step_back(process.pid, service.group_niceness)
    return Child(service, process)


def adopt_orphans() -> None:
    """Have the kernel give us the grandchildren whose parent died, so that they can be ended and reaped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(ended_before: set[int]) -> set[int]:
    """Collect the exit status of adopted processes, which nobody waits for.

    Args:
        ended_before: what the last call returned. Only what had ended then is reaped: children of our own
            are waited for at once, and must not have their status taken from under that.

    Returns:
        Pids of processes that have ended and were not reaped yet.
    """
    ended = {process.pid for process in psutil.Process().children() if _is_zombie(process)}
    for pid in ended & ended_before:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return ended - ended_before


def leftovers(record: ServiceRecord) -> list[psutil.Process]:
    """Find what a dead process left running, itself included if it is not dead after all.

    Ray's processes all stay in the session of the one we started. PostgreSQL's each make their own, and
    are known by their program and working folder, the data folder.
    """
    if record.pid is None or record.started_at is None:
        return []
    # the number may belong to a stranger by now, whose session is none of our business
    session = record.pid if not psutil.pid_exists(record.pid) or is_alive(record.pid, record.started_at) else None
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or _is_zombie(process):
                continue
            kin = process.name() == record.program and process.cwd() == record.folder
            if kin or os.getsid(process.pid) == session:
                found.append(process)
    return found


async def end_all(processes: list[psutil.Process]) -> None:
    """Ask processes to end, kill those that stay, wait until all are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)  # psutil sees to it that the pid is still the same process
        await _gone(processes, _LEFTOVER_GRACE_SECONDS)


def kill_now(processes: list[psutil.Process]) -> None:
    """Kill processes without asking and wait until they are gone; for use outside an event loop."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=_LEFTOVER_GRACE_SECONDS)


def is_alive(pid: int, started_at: float) -> bool:
    """Tell whether this very process still runs: same pid, same start, not a zombie.

    Args:
        pid: process id, possibly used again by another process since.
        started_at: seconds since the epoch; two seconds of difference are forgiven, for the kernel counts
            from boot and the clock may have been set since.
    """
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_at) < 2.0 and not _is_zombie(process)
    except psutil.Error:
        return False


def still_runs(process: psutil.Process) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return process.is_running() and not _is_zombie(process)
    except psutil.Error:
        return False


def exit_in_words(code: int) -> str:
    """Return e.g. `exited with code 1` or `killed by SIGKILL`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _tied_to_this_process(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None  # elsewhere a killed supervisor's children are found and ended at the next start
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        # runs after the change of user, which would clear the setting
        prctl(_SET_DEATH_SIGNAL, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor died before the setting took hold

    return tie


def _step_back(pid: int, niceness: int) -> None:
    with contextlib.suppress(OSError):  # another system, or a kernel that does not group processes by session
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


async def _gone(processes: list[psutil.Process], seconds: float) -> None:
    for _ in range(round(seconds / _POLL_SECONDS)):  # none of these is our child, so there is nothing to wait on
        if not any(map(still_runs, processes)):
            return
        await asyncio.sleep(_POLL_SECONDS)


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
