"""Drift checks: jobs that look at one version's drift now."""

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs
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
