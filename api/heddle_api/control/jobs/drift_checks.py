"""Drift checks asked for: a version resolved, and a look at its drift queued."""

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import Control
from heddle_api.control.jobs.service import queued
from heddle_api.control.jobs.views import NewDriftCheck
from heddle_api.control.once import Reply
from heddle_infra.database import drift_checks, quotas
from heddle_infra.database.fair_share import USUAL_COST
from heddle_infra.database.referred import referred


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewDriftCheck) -> Reply:
    """Queue a drift check; raises as `referred.referred`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
    """
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"queued_jobs": 1})
    adapter, version = await referred(session, tenant_id, wanted.adapter)
    job = await drift_checks.queue(
        session, adapter, version, window_hours=wanted.window_hours, priority=wanted.priority
    )
    return await queued(session, control, job, USUAL_COST, calls="drift_check_queued")
