"""Drift checks: jobs that look at one version's drift now."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs
from heddle_infra.database.models import JobRow
from heddle_platform.records import Adapter, AdapterVersion, Job


async def queue(
    session: AsyncSession, adapter: Adapter, version: AdapterVersion, *, window_hours: int, priority: int = 0
) -> Job:
    """Queue a look at a version's drift.

    Args:
        session: open session.
        adapter, version: which; see `referred.referred`.
        window_hours: how many hours to look back.
        priority: which of the tenant's jobs goes first.
    """
    spec = {
        "adapter": adapter.name,
        "adapter_id": adapter.id,
        "version": version.version,
        "window_hours": window_hours,
    }
    return await jobs.create(
        session, adapter.tenant_id, job_type="drift_check", spec=spec, dataset_id=None, priority=priority
    )


async def forget(session: AsyncSession, erasure: Job) -> None:
    """Take the figures out of a tenant's drift checks: any erased image may be among those they counted.

    Args:
        session: open session; the caller holds the erasure's fence in it.
        erasure: the job.
    """
    rows = await session.scalars(
        select(JobRow)
        .where(JobRow.tenant_id == erasure.tenant, JobRow.type == "drift_check", JobRow.result.is_not(None))
        .with_for_update()
    )
    for row in rows.all():
        kept = {name: row.spec[name] for name in ("adapter", "adapter_id", "version", "window_hours")}
        row.result = {**kept, "erased_by": erasure.id}
    await session.flush()
