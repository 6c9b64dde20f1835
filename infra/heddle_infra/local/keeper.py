"""Keeps one service alive: starts it, waits until it is ready, starts it again when it dies."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
import structlog

from heddle_infra.local.child import Child, end_all, leftovers, start_child
from heddle_infra.local.config import StackFailed
from heddle_infra.local.logs import last_lines
from heddle_infra.local.service import NotReady, Service
from heddle_infra.local.state import ServiceRecord, ServiceState
from heddle_platform.errors import HeddleError

_log = structlog.get_logger(__name__)

_FIRST_BACKOFF_SECONDS: Final = 0.2
_LONGEST_BACKOFF_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 0.05
_FIRST_START_ATTEMPTS: Final = 3
_ALIVE_SECONDS: Final = 1.0
_ALIVE_MISSES: Final = 5


class _Ended(Exception):
    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Keeper:
    """One service and whatever process it has at the moment.

    Attributes:
        service: what is kept.
        ready: set while it does its work.
        record: its state for the world.
    """

    def __init__(
        self, service: Service, log: Path, ready: Mapping[str, asyncio.Event], changed: Callable[["Keeper"], None]
    ) -> None:
        """Make a keeper that has not started anything yet.

        Args:
            service: what to keep.
            log: file for the process's output.
            ready: the events of all services of the stack, this one's among them.
            changed: called after every change of `record`.
        """
        self.service = service
        self.ready = ready[service.name]
        self.record = ServiceRecord(
            name=service.name,
            state="waiting",
            address=service.address,
            folder=str(service.folder) if service.folder else None,
            program=service.program,
        )
        self._needed = [ready[name] for name in service.needs if name in ready]
        self._file = log
        self._changed = changed
        self._child: Child | None = None
        self._starting: asyncio.Future[Child] | None = None
        self._was_ready = False
        self._backoff_seconds = _FIRST_BACKOFF_SECONDS

    async def keep(self) -> None:
        """Run until cancelled.

        Raises:
            StackFailed: it never became ready, in several attempts.
        """
        failures = 0
        while True:
            for event in self._needed:
                await event.wait()
            began = time.monotonic()
            try:
                await self._run_once()
            except _Ended as ended:
                how = ended.how
            await self._clear_up(how)
            failures += 1
            if not self._was_ready and (failures >= _FIRST_START_ATTEMPTS or self.service.external):
                raise StackFailed(self._failure(how))
            if time.monotonic() - began > _STEADY_SECONDS:
                self._backoff_seconds = _FIRST_BACKOFF_SECONDS
            await asyncio.sleep(self._backoff_seconds)
            self._backoff_seconds = min(2 * self._backoff_seconds, _LONGEST_BACKOFF_SECONDS)
            self._update("starting", restarts=self.record.restarts + 1)

    async def stop(self) -> None:
        """End the process and whatever it left; call after `keep` was cancelled."""
        self.ready.clear()
        if self._child is None and self._starting is not None:
            with contextlib.suppress(OSError):  # cancelled while it was being started
                self._child = await self._starting
        if self._child is not None:
            self._update("stopping")
            await self._child.stop()
            await end_all(leftovers(self.record))
            self._child = None
        if not self.service.external:
            self._update("stopped", pid=None)

    def kill(self) -> None:
        """Kill the process now, whatever it is doing."""
        if self._child is not None:
            self._child.kill()

    async def _run_once(self) -> None:
        """Start the process and stay until it ends; always raises `_Ended`."""
        service = self.service
        if service.external:
            await self._wait_ready(asyncio.get_running_loop().create_future())
            self._became_ready("external", 0.0)
            await asyncio.Event().wait()
        began = time.monotonic()
        try:
            if service.prepare is not None:
                await service.prepare()
            self._starting = asyncio.ensure_future(start_child(service, self._file))
            self._child = await asyncio.shield(self._starting)
        except (OSError, HeddleError) as error:
            raise _Ended(f"cannot be run: {error}") from error
        self._starting = None
        self._update("starting", pid=self._child.pid, started_at=_creation(self._child))
        _log.info("process_started", process=service.name, pid=self._child.pid)
        ended = asyncio.ensure_future(self._child.wait())
        try:
            await self._wait_ready(ended)
            self._became_ready("ready", time.monotonic() - began)
            raise _Ended(await self._stay(ended))
        finally:
            ended.cancel()

    async def _wait_ready(self, ended: asyncio.Future[str]) -> None:
        why = "no answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.service.ready_seconds):
                # nothing is ready at once, and the first probes import their drivers: let all processes start before
                while not (await asyncio.wait([ended], timeout=_PROBE_SECONDS))[0]:
                    try:
                        return await self.service.ready()
                    except StackFailed:
                        raise  # waiting will not help
                    except (NotReady, OSError, HeddleError) as error:
                        why = str(error)
        if ended.done():
            raise _Ended(ended.result())
        raise _Ended(f"was not ready within {self.service.ready_seconds:.0f} s ({why})")

    async def _stay(self, ended: asyncio.Future[str]) -> str:
        """Return how the process ended; one that lives but does not work any more is as good as ended."""
        misses = 0
        while self.service.alive is not None and not (await asyncio.wait([ended], timeout=_ALIVE_SECONDS))[0]:
            try:
                async with asyncio.timeout(_ALIVE_SECONDS):
                    await self.service.alive()
                misses = 0
            except (NotReady, OSError, HeddleError, TimeoutError) as error:
                misses += 1
                if misses >= _ALIVE_MISSES:
                    self.kill()
                    return f"did its work no more ({str(error) or type(error).__name__})"
        return await ended

    def _became_ready(self, state: ServiceState, seconds: float) -> None:
        self._was_ready = True
        self.ready.set()
        self._update(state)
        _log.info("process_ready", process=self.service.name, pid=self.record.pid, seconds=round(seconds, 2))

    async def _clear_up(self, how: str) -> None:
        self.ready.clear()
        pid = self.record.pid
        if self._child is not None:
            await self._child.stop()
            await end_all(leftovers(self.record))
            self._child = None
        self._update("crashed", pid=None, last_exit=how)
        _log.error(
            "process_died",
            process=self.service.name,
            pid=pid,
            how=how,
            restarts=self.record.restarts,
            next_start_in_seconds=self._backoff_seconds,
        )

    def _update(self, state: ServiceState, **changes: object) -> None:
        self.record = self.record.model_copy(update={"state": state, **changes})
        self._changed(self)

    def _failure(self, how: str) -> str:
        if self.service.external:
            return f"{self.service.name} at {self.service.address} {how}; check its settings variable and the server"
        return (
            f"{self.service.name} did not start: it {how}. Its log, {self._file}, ends with:\n{last_lines(self._file)}"
        )


def _creation(child: Child) -> float:
    try:
        return psutil.Process(child.pid).create_time()
    except psutil.Error:  # gone already; its end is noticed next
        return child.started_at
