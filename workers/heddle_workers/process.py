"""The dispatcher's process: joins Ray, works until told to stop, and begins anew when Ray is gone.

A Ray driver cannot be detached from a dead cluster: calls block for a minute, then Ray ends the process. So when Ray
stops answering, leases are given back and the process replaces itself by a fresh one that waits for Ray to return.
"""

import asyncio
import os
import secrets
import signal
import socket
from enum import Enum
from typing import Final

import structlog

from heddle_infra.database import queue
from heddle_infra.signing import Signer
from heddle_infra.wiring import Ports
from heddle_platform.errors import HeddleError, Unavailable
from heddle_platform.ports import Cache
from heddle_platform.records import JobType
from heddle_platform.settings import RaySettings
from heddle_platform.settled import settle
from heddle_workers.cluster import Cluster
from heddle_workers.dispatch import Dispatcher
from heddle_workers.drift_job import DriftCheckWork
from heddle_workers.erasure_job import ErasureWork
from heddle_workers.evaluate_job import EvaluateWork
from heddle_workers.export_job import ExportWork
from heddle_workers.fit_job import FitWork
from heddle_workers.leftovers import forget_decided_uploads
from heddle_workers.pretrain_job import PretrainWork
from heddle_workers.refit_job import RefitWork
from heddle_workers.rewrite import Rewriter
from heddle_workers.rollout_job import RolloutWork
from heddle_workers.sweep_job import SweepWork
from heddle_workers.validation_job import ValidationWork
from heddle_workers.watch import keep_noting, keep_reconciling
from heddle_workers.work import Work

_WATCH_SECONDS: Final = 1.0
_MISSES: Final = 2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 5.0
_POLLS_MISSED: Final = 2  # of an edge, before what it may still be serving is deleted

log = structlog.get_logger()


class Verdict(Enum):
    """Why the process ended."""

    STOPPED = "stopped"
    RAY_LOST = "ray_lost"


async def serve(ports: Ports, ray_settings: RaySettings) -> Verdict:
    """Run a dispatcher until SIGTERM or SIGINT, or until Ray is gone.

    Args:
        ports: the outside world; closed at the end.
        ray_settings: the cluster.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cluster = Cluster(ray_settings)
    try:
        if verdict := await _join(cluster, stop):
            return verdict
        return await _work(ports, cluster, stop)
    finally:
        await ports.close()


async def _join(cluster: Cluster, stop: asyncio.Event) -> Verdict | None:
    """Join the cluster; return why that came to nothing, or None."""
    pause = 0.2
    while not stop.is_set():
        try:
            await cluster.connect()
            await cluster.warm()
        except Unavailable as error:
            log.warning("ray_unreachable", detail=str(error), retry_after_seconds=pause)
            await _pause(stop, pause)
            if cluster.joined and not await cluster.attached():
                return Verdict.STOPPED if stop.is_set() else Verdict.RAY_LOST
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            log.info("ray_joined", cpus=cluster.cpus, task_cpus=cluster.task_cpus)
            return None
    return Verdict.STOPPED


async def _work(ports: Ports, cluster: Cluster, stop: asyncio.Event) -> Verdict:
    settings = ports.settings
    fits = FitWork(
        ports.database,
        ports.objects,
        ports.cache,
        cluster,
        settings.limits,
        chunk_fits=settings.dispatch.chunk_fits,
        chunk_rows=settings.dispatch.chunk_rows,
    )
    works: dict[JobType, Work] = {
        "validate": ValidationWork(ports.database, ports.objects, cluster, settings.limits, settings.quotas),
        "fit": fits,
        "refit": RefitWork(ports.database, fits),
        "evaluate": EvaluateWork(ports.database, ports.objects, cluster, settings.limits),
        "export": ExportWork(ports.database, ports.objects, cluster, settings.limits),
        "drift_check": DriftCheckWork(ports.database, cluster),
        "pretrain": PretrainWork(ports.database, ports.objects, ports.cache, cluster, settings.tracking),
        "sweep": SweepWork(ports.database, ports.objects, cluster),
        "rollout": RolloutWork(ports.database, ports.objects, ports.cache, cluster, settings.limits),
        "erase": ErasureWork(
            ports.database,
            ports.objects,
            ports.cache,
            Rewriter(ports.database, ports.objects, cluster, settings.limits),
            Signer(settings.security.secret_key),
            settle_seconds=_POLLS_MISSED * settings.service.edge_poll_seconds,
        ),
    }
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    dispatcher = Dispatcher(ports.database, works, settings.dispatch, owner=owner)
    lost = asyncio.Event()
    watching = asyncio.create_task(_watch(cluster, lost, stop))
    aside = (
        watching,
        asyncio.create_task(_tidy(ports)),
        asyncio.create_task(_heed_calls(ports.cache, dispatcher)),
        asyncio.create_task(keep_noting(ports, cluster, owner, lambda: dispatcher.held)),
        asyncio.create_task(keep_reconciling(ports)),
    )
    settle()
    log.info("dispatcher_ready", owner=owner)
    try:
        await dispatcher.run(stop)
    finally:
        for task in aside:
            task.cancel()
        await asyncio.gather(*aside, return_exceptions=True)
    if lost.is_set():
        return Verdict.RAY_LOST
    async with asyncio.timeout(_LEAVE_SECONDS):
        await cluster.close()
    return Verdict.STOPPED


async def _watch(cluster: Cluster, lost: asyncio.Event, stop: asyncio.Event) -> None:
    misses = 0
    while misses < _MISSES:
        await asyncio.sleep(_WATCH_SECONDS)
        misses = 0 if await cluster.attached() else misses + 1
    log.warning("ray_lost")
    lost.set()
    stop.set()


async def _heed_calls(cache: Cache, dispatcher: Dispatcher) -> None:
    async for _ in cache.subscribe(queue.CALL_CHANNEL):
        dispatcher.call()


async def _tidy(ports: Ports) -> None:
    try:
        await forget_decided_uploads(ports.database, ports.objects)
    except HeddleError as error:
        log.warning("leftovers_not_forgotten", detail=str(error))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
