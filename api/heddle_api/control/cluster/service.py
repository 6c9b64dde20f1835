"""The cluster as operators see it: what the database knows of the queue, and what dispatchers noted of Ray.

The control plane knows no Ray: nodes are as the dispatcher that spoke last saw them, and how long ago is said.
"""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import load, platform_notes
from heddle_infra.database.load import RECENT_SECONDS, Load
from heddle_infra.database.platform_notes import PlatformNote

STALE_SECONDS: Final = 15.0


class NodeView(BaseModel):
    """A machine that runs jobs."""

    id: str
    address: str
    alive: bool
    cpus: float
    gpus: float
    free_cpus: float = 0.0
    free_gpus: float = 0.0
    memory_bytes: int


class DispatcherView(BaseModel):
    """A process that leases jobs and has Ray do them."""

    owner: str = Field(description="Its name in leases.")
    host: str
    since: datetime = Field(description="When it was started.")
    jobs_held: int
    ray_reachable: bool
    age_seconds: float = Field(description="How long ago it said so; of one that was killed this grows.")
    alive: bool = Field(description=f"Whether that is less than {STALE_SECONDS:.0f} s.")


class DepthView(BaseModel):
    """How many open jobs of a type are in a status."""

    type: str
    status: str
    jobs: int


class TenantDepthView(BaseModel):
    """What one tenant has waiting and running; of operators' own jobs the tenant is null."""

    tenant: str | None
    waiting: int
    running: int


class ThroughputView(BaseModel):
    """Jobs of a type that ended within the last minutes."""

    type: str
    done: int
    failed: int
    per_second: float


class ClusterView(BaseModel):
    """Where jobs run, what waits, how fast it goes."""

    nodes_age_seconds: float | None = Field(description="How old the view of the nodes is; null: no dispatcher spoke.")
    cpus: float
    free_cpus: float
    gpus: float
    free_gpus: float
    waiting: int = Field(description="Jobs that are queued or wait for a validation.")
    running: int
    oldest_wait_seconds: float = Field(description="How long the first job that could start has been waiting.")
    longest_run_seconds: float
    oldest_lease_expires_at: datetime | None = Field(description="In the past: a dispatcher died and none took over.")
    throughput_window_seconds: float
    nodes: list[NodeView]
    dispatchers: list[DispatcherView]
    queue: list[DepthView]
    tenants: list[TenantDepthView] = Field(description="The hundred with most waiting.")
    throughput: list[ThroughputView]


async def read(session: AsyncSession) -> ClusterView:
    """Return the cluster as it is known now."""
    return view(await load.load(session), await platform_notes.read(session, platform_notes.DISPATCHER))


def view(found: Load, notes: list[PlatformNote]) -> ClusterView:
    """Put together what is shown.

    Args:
        found: the queue.
        notes: of dispatchers, newest first.
    """
    seeing = next((note for note in notes if note.document["ray"].get("reachable")), None)
    ray: dict[str, Any] = seeing.document["ray"] if seeing else {}
    return ClusterView(
        nodes_age_seconds=round(seeing.age_seconds, 1) if seeing else None,
        cpus=ray.get("cpus", 0.0),
        free_cpus=ray.get("free_cpus", 0.0),
        gpus=ray.get("gpus", 0.0),
        free_gpus=ray.get("free_gpus", 0.0),
        waiting=found.count("validating", "queued"),
        running=found.count("running", "scoring"),
        oldest_wait_seconds=round(found.oldest_wait_seconds, 1),
        longest_run_seconds=round(found.longest_run_seconds, 1),
        oldest_lease_expires_at=found.oldest_lease_expires_at,
        throughput_window_seconds=RECENT_SECONDS,
        nodes=[NodeView.model_validate(node) for node in ray.get("nodes", [])],
        dispatchers=[_dispatcher(note) for note in notes],
        queue=[DepthView(type=kind, status=status, jobs=jobs) for (kind, status), jobs in found.depth.items()],
        tenants=[TenantDepthView(tenant=name, waiting=wait, running=run) for name, wait, run in found.tenants],
        throughput=[
            ThroughputView(type=kind, done=done, failed=failed, per_second=round((done + failed) / RECENT_SECONDS, 3))
            for kind, (done, failed) in found.finished.items()
        ],
    )


def _dispatcher(note: PlatformNote) -> DispatcherView:
    said = note.document
    return DispatcherView(
        owner=said["owner"],
        host=said["host"],
        since=said["since"],
        jobs_held=said["jobs_held"],
        ray_reachable=bool(said["ray"].get("reachable")),
        age_seconds=round(note.age_seconds, 1),
        alive=note.age_seconds < STALE_SECONDS,
    )
