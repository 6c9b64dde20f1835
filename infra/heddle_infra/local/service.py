"""One process of the stack as data: how to start it, how to tell that it is ready, how to stop it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from heddle_infra.local.ports import LOOPBACK

Step = Callable[[], Awaitable[None]]


class NotReady(Exception):
    """A probe's answer while a process is still starting; it is asked again."""


@dataclass(frozen=True)
class OsUser:
    """Whom a process runs as where it refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Service:
    """One process.

    Attributes:
        name: as `heddle status` shows it and its log file is called.
        address: where it can be reached.
        command: argument list; empty for a server that runs elsewhere and is only checked.
        environment: all of it, nothing is inherited.
        ready: returns once the process does its work; raises `NotReady`, `OSError` or a `HeddleError`
            while it does not yet.
        alive: asked again and again once it is ready, where its process may live on without doing its work; raises as
            `ready` does. Several refusals in a row end the process, so that it is started anew.
        needs: names of services that must be ready before this one starts.
        prepare: run before every start.
        user: None for our own.
        folder: working folder; a leftover of the process is known by it, too.
        ready_seconds: from start to ready, at most.
        stop_signal: asks it to end, within `stop_seconds`, before it is killed.
        death_signal: what the kernel sends it when the supervisor is gone.
        group_niceness: how far its session stands behind others where the kernel groups processes by session.
    """

    name: str
    address: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Step
    alive: Step | None = None
    needs: tuple[str, ...] = ()
    prepare: Step | None = None
    user: OsUser | None = None
    folder: Path | None = None
    ready_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    group_niceness: int = 0

    @property
    def external(self) -> bool:
        """Whether it runs elsewhere."""
        return not self.command

    @property
    def program(self) -> str | None:
        """File name of its program."""
        return Path(self.command[0]).name if self.command else None


async def port_answers(port: int, host: str = LOOPBACK) -> None:
    """Raise OSError unless something accepts connections there."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def http_answers(port: int, path: str) -> None:
    """Ask for a path; no client library, no proxies.

    Raises:
        OSError: nothing listens.
        NotReady: the answer is not 200.
    """
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status = (await reader.readline()).split()
    finally:
        writer.close()
    if len(status) < 2 or status[1] != b"200":
        raise NotReady(f"{path} answered {b' '.join(status).decode(errors='replace') or 'nothing'}")
