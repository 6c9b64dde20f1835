"""What an autoscaler and an alert need, as Prometheus gauges: read from the database every few seconds.

Every replica of the control plane exports the same numbers; take the maximum over them, not the sum.
"""

import asyncio
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from heddle_api.control.cluster import service
from heddle_api.control.cluster.service import ClusterView
from heddle_api.control.context import Control
from heddle_infra.database import load, platform_notes
from heddle_infra.database.platform_notes import PlatformNote
from heddle_platform.errors import Unavailable

_EVERY_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class ClusterGauges:
    """The gauges of one registry; `heddle_cluster_seen` is 0 while they cannot be brought up to date."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"heddle_{name}", words, labels, registry=registry)

        self._seen = gauge("cluster_seen", "1 while the numbers of queue and cluster are up to date.")
        self._queue = gauge("queue_jobs", "Open jobs.", "type", "status")
        self._wait = gauge("queue_oldest_wait_seconds", "How long the first job that could start has been waiting.")
        self._run = gauge("jobs_longest_run_seconds", "How long the oldest running job has been running.")
        self._running = gauge("jobs_running", "Jobs that run.")
        self._rate = gauge("jobs_per_second", "Jobs that ended, over the last five minutes.", "type", "outcome")
        self._dispatchers = gauge("dispatchers", "Dispatchers that spoke within the last seconds.")
        self._nodes = gauge("cluster_nodes", "Machines that run jobs.")
        self._cpus = gauge("cluster_cpus", "Processors of the cluster.")
        self._free_cpus = gauge("cluster_free_cpus", "Processors that no task holds.")
        self._gpus = gauge("cluster_gpus", "GPUs of the cluster.")
        self._free_gpus = gauge("cluster_free_gpus", "GPUs that no task holds.")
        self._findings = gauge("reconciler_findings", "What the last reconciliation found and left.", "kind")
        self._reconciled = gauge("reconciler_age_seconds", "How long ago the last reconciliation was.")

    async def keep(self, control: Control) -> None:
        """Bring the gauges up to date, until cancelled."""
        while True:
            try:
                async with control.ports.database.platform_transaction() as session:
                    found = await load.load(session)
                    notes = await platform_notes.read(session, platform_notes.DISPATCHER)
                    reconciled = await platform_notes.read(session, platform_notes.RECONCILIATION)
                self._show(service.view(found, notes), reconciled)
            except Unavailable as error:
                self._seen.set(0)
                _log.warning("cluster_not_seen", reason=error.message)
            except Exception as error:
                self._seen.set(0)
                _log.error("cluster_not_seen", exc_info=error)
            await asyncio.sleep(_EVERY_SECONDS)

    def _show(self, seen: ClusterView, reconciled: list[PlatformNote]) -> None:
        for labelled in (self._queue, self._rate, self._findings):
            labelled.clear()
        for depth in seen.queue:
            self._queue.labels(depth.type, depth.status).set(depth.jobs)
        for rate in seen.throughput:
            self._rate.labels(rate.type, "done").set(rate.done / seen.throughput_window_seconds)
            self._rate.labels(rate.type, "failed").set(rate.failed / seen.throughput_window_seconds)
        self._wait.set(seen.oldest_wait_seconds)
        self._run.set(seen.longest_run_seconds)
        self._running.set(seen.running)
        self._dispatchers.set(sum(one.alive for one in seen.dispatchers))
        self._nodes.set(sum(node.alive for node in seen.nodes))
        self._cpus.set(seen.cpus)
        self._free_cpus.set(seen.free_cpus)
        self._gpus.set(seen.gpus)
        self._free_gpus.set(seen.free_gpus)
        for note in reconciled:
            if note.name == platform_notes.RECONCILIATION:
                self._reconciled.set(note.age_seconds)
                for kind, count in note.document["counts"].items():
                    self._findings.labels(kind).set(count)
        self._seen.set(1)
