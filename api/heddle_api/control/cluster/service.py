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

    id: str = Field(description="Short id that Ray gave it.")
    address: str = Field(description="Where Ray reaches it.")
    alive: bool = Field(description="Whether it answers.")
    cpus: float = Field(description="Processors.")
    gpus: float = Field(description="GPUs.")
    free_cpus: float = Field(0.0, description="Processors that no task holds.")
    free_gpus: float = Field(0.0, description="Shares of GPUs that no task holds.")
    memory_bytes: int = Field(description="Memory that tasks may reserve.")


class DispatcherView(BaseModel):
    """A process that leases jobs and has Ray do them."""

    owner: str = Field(description="Its name in leases.")
    host: str = Field(description="The machine it runs on.")
    since: datetime = Field(description="When it was started.")
    jobs_held: int = Field(description="Jobs it has leased now.")
    ray_reachable: bool = Field(description="Whether it reached Ray when it spoke.")
    age_seconds: float = Field(description="How long ago it said so; of one that was killed this grows.")
    alive: bool = Field(description=f"Whether that is less than {STALE_SECONDS:.0f} s.")


class DepthView(BaseModel):
    """How many open jobs of a type are in a status."""

    type: str = Field(description="Type of job.")
    status: str = Field(description="Status of the jobs.")
    jobs: int = Field(description="How many.")


class TenantDepthView(BaseModel):
    """What one tenant has waiting and running; of operators' own jobs the tenant is null."""

    tenant: str | None = Field(description="Id of the tenant; null: operators.")
    waiting: int = Field(description="Jobs queued or waiting for a validation.")
    running: int = Field(description="Jobs that run.")


class ThroughputView(BaseModel):
    """Jobs of a type that ended within the last minutes."""

    type: str = Field(description="Type of job.")
    done: int = Field(description="Ended with a result, or cancelled.")
    failed: int = Field(description="Ended without.")
    per_second: float = Field(description="Both, a second.")


class ClusterView(BaseModel):
    """Where jobs run, what waits, how fast it goes."""

    nodes_age_seconds: float | None = Field(description="How old the view of the nodes is; null: no dispatcher spoke.")
    cpus: float = Field(description="Processors.")
    free_cpus: float = Field(description="Processors that no task holds.")
    gpus: float = Field(description="GPUs.")
    free_gpus: float = Field(description="Shares of GPUs that no task holds.")
    waiting: int = Field(description="Jobs that are queued or wait for a validation.")
    running: int = Field(description="Jobs that run.")
    oldest_wait_seconds: float = Field(description="How long the first job that could start has been waiting.")
    longest_run_seconds: float = Field(
        description="How long the oldest running job has been running, all its attempts together."
    )
    oldest_lease_expires_at: datetime | None = Field(description="In the past: a dispatcher died and none took over.")
    throughput_window_seconds: float = Field(description="Length of the span that throughput is told of.")
    nodes: list[NodeView] = Field(description="Machines, as they were seen last.")
    dispatchers: list[DispatcherView] = Field(description="Those that spoke within ten minutes, newest first.")
    queue: list[DepthView] = Field(description="Open jobs by type and status.")
    tenants: list[TenantDepthView] = Field(description="The hundred with most waiting.")
    throughput: list[ThroughputView] = Field(description="Jobs that ended lately, by type.")


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
