"""Words of what operators alone read: the cluster, and reconciliations."""

from collections.abc import Mapping
from typing import Any, Final

from heddle_api.openapi.examples import TIME

OPERATOR_FIELDS: Final[Mapping[str, tuple[str, Any]]] = {
    "AskedReconciliation.repair": ("Whether objects that no row names will be deleted.", False),
    "ClusterView.cpus": ("Processors of all nodes that live.", 2.0),
    "ClusterView.free_cpus": ("Processors that no task holds.", 1.0),
    "ClusterView.gpus": ("GPUs of all nodes that live.", 0.0),
    "ClusterView.free_gpus": ("GPUs that no task holds.", 0.0),
    "ClusterView.running": ("Jobs that run.", 1),
    "ClusterView.longest_run_seconds": ("How long the oldest running job has been running.", 3.5),
    "ClusterView.throughput_window_seconds": ("Over how long the throughput is counted.", 300.0),
    "ClusterView.nodes": ("The machines of the Ray cluster.", None),
    "ClusterView.dispatchers": ("The dispatchers that have spoken.", None),
    "ClusterView.queue": ("Open jobs by type and status.", None),
    "ClusterView.throughput": ("What ended lately, by type of job.", None),
    "DepthView.jobs": ("How many.", 3),
    "DispatcherView.host": ("The machine it runs on.", "node-1"),
    "DispatcherView.jobs_held": ("Jobs it holds leases of.", 1),
    "DispatcherView.ray_reachable": ("Whether it reaches Ray.", True),
    "FindingView.detail": ("What does not fit, in a sentence.", None),
    "FindingView.repaired": ("Whether it was put right.", False),
    "NodeView.address": ("Its address in the cluster.", "10.0.0.7"),
    "NodeView.alive": ("Whether Ray takes it to live.", True),
    "NodeView.cpus": ("Its processors.", 2.0),
    "NodeView.gpus": ("Its GPUs.", 0.0),
    "NodeView.free_cpus": ("Of these, held by no task.", 1.0),
    "NodeView.free_gpus": ("Of these, held by no task.", 0.0),
    "NodeView.memory_bytes": ("Its memory for tasks, in bytes.", 4294967296),
    "ReconciliationView.began_at": ("When it began.", TIME),
    "ReconciliationView.seconds": ("How long it took.", 1.5),
    "ReconciliationView.age_seconds": ("How long ago it ended.", 60.0),
    "ReconciliationView.repair": ("Whether it deleted objects that no row names.", False),
    "ReconciliationView.repaired": ("How many findings were put right.", 0),
    "ReconciliationView.tenants": ("How many tenants were looked at.", 3),
    "ReconciliationView.objects": ("How many objects were looked at.", 120),
    "ReconciliationView.rows": ("How many rows that need an object were looked at.", 120),
    "ReconciliationsView.waiting": ("The wish that no dispatcher took up yet; null: none.", None),
    "ReconciliationsView.last": ("The last run; null before the first.", None),
    "TenantDepthView.waiting": ("Jobs of it that wait.", 3),
    "TenantDepthView.running": ("Jobs of it that run.", 1),
    "ThroughputView.done": ("Jobs that ended with a result.", 12),
    "ThroughputView.failed": ("Jobs that failed.", 0),
    "ThroughputView.per_second": ("Jobs that ended with a result, a second.", 0.04),
}
