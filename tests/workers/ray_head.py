"""A Ray head for tests: one process tree on loopback with a token, gone when the tests are."""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from heddle_platform.settings import RaySettings

from .polling import until

_PR_SET_PDEATHSIG = 1
_READY_SECONDS = 90


def loopback_environment() -> dict[str, str]:
    """Return what makes Ray keep to loopback; must be set before `import ray` as well as for its processes."""
    return {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


def beyond_loopback() -> dict[str, str]:
    """Return what lets machines join, and be joined; over `loopback_environment`."""
    return {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}


@dataclass(frozen=True)
class RayHead:
    """A running head."""

    address: str
    process: subprocess.Popen[bytes]

    @property
    def settings(self) -> RaySettings:
        return RaySettings(ray_address=self.address)

    def tasks(self, name: str) -> list[psutil.Process]:
        """Return the worker processes that run a task of this name right now."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.cmdline()[:1] and f"ray::{name}" in child.cmdline()[0]:
                    found.append(child)
        return found

    async def until_running(self, name: str) -> psutil.Process:
        """Wait until a task of this name runs, and return its process."""
        return (await until(lambda: self.tasks(name)))[0]


@contextlib.contextmanager
def ray_head(cpus: int = 2, port: int | None = None, *, for_others: bool = False) -> Iterator[RayHead]:
    """Start a head, on a free port unless one is given, and stop it at the end.

    Args:
        cpus: how many it has.
        port: of its store.
        for_others: further machines may join, so that it listens beyond loopback; the token is all that keeps it.
    """
    folder = Path(tempfile.mkdtemp(prefix="hr-"))  # short: Ray puts unix sockets below it
    port = port or free_port()
    command = [
        str(Path(sys.executable).with_name("ray")),
        *("start", "--head", "--block", f"--port={port}", f"--num-cpus={cpus}", "--include-dashboard=false"),
        *("--object-store-memory=200000000", f"--temp-dir={folder / 'r'}", "--disable-usage-stats", "--no-monitor"),
        "--include-log-monitor=false",
    ]
    environment = {**os.environ, **loopback_environment(), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    environment |= beyond_loopback() if for_others else {}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, preexec_fn=_die_with_parent, start_new_session=True
        )
    try:
        _until_listening(port, process, folder / "log")
        host = _own_address() if for_others else "127.0.0.1"
        yield RayHead(f"{host}:{port}", process)
    finally:
        end_tree(process)
        shutil.rmtree(folder, ignore_errors=True)


def end_tree(process: subprocess.Popen[bytes], *, patience_seconds: float = 20.0) -> None:
    """End a process and all below it: asked first, then killed; 0 seconds of patience are a crash."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    if patience_seconds:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_seconds)
    process.kill()
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
    process.wait()


def keep_ray_to_loopback() -> None:
    """Set what makes this process's own Ray keep to loopback and show a token, unless it is set already."""
    os.environ.update(loopback_environment())
    if "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(24)


def _until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        if b"Ray runtime started" in log.read_bytes():
            return
        time.sleep(0.1)
    raise TimeoutError(log.read_text(errors="replace")[-2000:])


def _own_address() -> str:
    """Return the address that other machines reach this one at, as Ray finds it: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("8.8.8.8", 80))
        return str(asked.getsockname()[0])


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
