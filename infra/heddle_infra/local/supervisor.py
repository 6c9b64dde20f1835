"""Runs a stack: starts everything at once, keeps it running, stops it in order and leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import psutil
import structlog

from heddle_infra.local.child import adopt_orphans, end_all, leftovers, reap_orphans
from heddle_infra.local.config import StackBusy, StackConfig, StackPaths, stack_paths
from heddle_infra.local.credentials import load_or_make_secrets
from heddle_infra.local.info import StackInfo, keep_settings, stack_info
from heddle_infra.local.keeper import Keeper
from heddle_infra.local.logs import trim_logs
from heddle_infra.local.plan import Plan, plan_stack
from heddle_infra.local.ports import claim_ports
from heddle_infra.local.state import Phase, ServiceRecord, StackRecord, held_lock, read_state, write_state

OnReady = Callable[[StackInfo], Awaitable[None]]
OnProgress = Callable[[ServiceRecord], None]

_log = structlog.get_logger(__name__)

# each step is stopped together and before the next: first who asks, then who answers
_STOP_ORDER: Final = (("control", "edge"), ("dispatcher",), ("ray", "cache", "objects"), ("postgres",))
_LOCK_ATTEMPTS: Final = 20
_HOUSEKEEPING_SECONDS: Final = 5.0
_CANCEL_AGAIN_SECONDS: Final = 0.5


async def run_stack(
    config: StackConfig, *, on_ready: OnReady | None = None, on_progress: OnProgress | None = None
) -> None:
    """Run a stack in this process until SIGINT, SIGTERM or SIGHUP; call it on the main thread.

    Args:
        config: what and where.
        on_ready: awaited once every service is ready; if it raises, the stack is stopped.
        on_progress: told of every change of a service.

    Raises:
        StackBusy: a supervisor for this data folder runs already.
        StackFailed: a service did not start; everything has been stopped again.
    """
    paths = stack_paths(config.data_dir)
    paths.make()
    async with _sole_supervisor(paths):
        await end_stale(paths)
        secrets = load_or_make_secrets(paths.secrets)
        plan = plan_stack(config, paths, claim_ports(paths.ports), secrets)
        keep_settings(paths, plan.settings)
        adopt_orphans()
        await Supervisor(paths, plan, on_progress).run(on_ready)


async def end_stale(paths: StackPaths) -> None:
    """End what a supervisor that was killed left running, and forget its state."""
    record = read_state(paths.state)
    if record is None:
        return
    found = [process for service in record.services for process in leftovers(service)]
    if found:
        _log.warning("stale_processes_found", pids=[process.pid for process in found])
        await end_all(found)
    paths.state.unlink(missing_ok=True)


class Supervisor:
    """The keepers of one stack, and its phase."""

    def __init__(self, paths: StackPaths, plan: Plan, on_progress: OnProgress | None) -> None:
        """Make a supervisor that has started nothing.

        Args:
            paths: of the stack; the caller holds its lock.
            plan: what to run.
            on_progress: told of every change of a service.
        """
        self._paths = paths
        self._plan = plan
        self._on_progress = on_progress
        self._phase: Phase = "starting"
        self._failure: str | None = None
        self._ready = {service.name: asyncio.Event() for service in plan.services}
        self._stop = asyncio.Event()
        self._started_at = psutil.Process().create_time()
        self._keepers = {
            service.name: Keeper(service, paths.log(service.name), self._ready, self._changed)
            for service in plan.services
        }

    async def run(self, on_ready: OnReady | None) -> None:
        """Start, keep, and stop when told to; see `run_stack`."""
        # Ray takes longest, so it goes first; tasks begin in the order in which they are made
        in_order = sorted(self._keepers.values(), key=lambda keeper: keeper.service.name != "ray")
        keeping = {asyncio.create_task(keeper.keep(), name=keeper.service.name) for keeper in in_order}
        tidying = asyncio.create_task(self._tidy())
        with self._stopped_by_signals():
            try:
                self._enter("starting")
                if await self._unless_stopped(self._all_ready(), keeping):
                    if on_ready is not None:
                        await self._unless_stopped(on_ready(self._info()), keeping)
                    self._enter("ready")
                    await self._unless_stopped(asyncio.Event().wait(), keeping)
            except BaseException as error:
                self._failure = str(error) or type(error).__name__
                raise
            finally:
                tidying.cancel()
                self._enter("stopping")
                await self._end(keeping)
                if self._failure is None:
                    self._paths.state.unlink(missing_ok=True)
                else:
                    self._enter("failed")  # stays, for `heddle status` to tell why
                _log.info("stack_stopped", failure=self._failure)

    async def _all_ready(self) -> None:
        for event in self._ready.values():
            await event.wait()

    async def _unless_stopped(self, step: Awaitable[object], keeping: set[asyncio.Task[None]]) -> bool:
        """Await a step; give it up when told to stop (False) or when a keeper gives up (raises what it raised)."""
        doing, stopping = asyncio.ensure_future(step), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([doing, stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
            for task in keeping:
                if task.done():
                    task.result()
            if doing.done():
                doing.result()
            return doing.done() and not self._stop.is_set()
        finally:
            doing.cancel()
            stopping.cancel()

    async def _end(self, keeping: set[asyncio.Task[None]]) -> None:
        left = set(keeping)
        while left:
            for task in left:  # again and again: a library that a probe uses may swallow a cancellation
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS)
        await asyncio.gather(*keeping, return_exceptions=True)
        for step in _STOP_ORDER:
            await asyncio.gather(*(self._keepers[name].stop() for name in step if name in self._keepers))

    def _changed(self, keeper: Keeper) -> None:
        self._write()
        if self._on_progress is not None:
            self._on_progress(keeper.record)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._write()
        _log.info("stack_phase", phase=phase)

    def _write(self) -> None:
        record = StackRecord(
            supervisor_pid=os.getpid(),
            supervisor_started_at=self._started_at,
            phase=self._phase,
            failure=self._failure,
            services=tuple(keeper.record for keeper in self._keepers.values()),
        )
        try:
            write_state(self._paths.state, record)
        except OSError as error:  # a full disk must not take the stack down
            _log.error("state_not_written", error=str(error))

    def _info(self) -> StackInfo:
        return stack_info(self._paths, self._plan.settings, os.getpid())

    async def _tidy(self) -> None:
        ended: set[int] = set()
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            ended = reap_orphans(ended)
            try:
                await asyncio.to_thread(trim_logs, self._paths.logs)
            except OSError as error:
                _log.error("logs_not_trimmed", error=str(error))

    @contextlib.contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """The first signal stops in order, the second kills what is still there."""

        def told() -> None:
            if self._stop.is_set():
                for keeper in self._keepers.values():
                    keeper.kill()
            self._stop.set()

        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, told)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _sole_supervisor(paths: StackPaths) -> AsyncIterator[None]:
    for _ in range(_LOCK_ATTEMPTS):  # somebody who only looks may hold the lock for a moment
        with held_lock(paths.lock) as ours:
            if ours:
                yield
                return
        await asyncio.sleep(0.1)
    raise StackBusy(f"a stack on {paths.data} is running already; see `heddle status --data-dir {paths.data}`")
