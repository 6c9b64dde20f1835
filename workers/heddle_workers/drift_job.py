"""The `drift_check` job: one version's drift is looked at now, as the control plane does for all of them every hour."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, drift, jobs, usage
from heddle_infra.database.drift_told import tell_once
from heddle_infra.database.engine import Database
from heddle_infra.database.referred import in_production, refuse_erased
from heddle_platform.drift import USUAL_HOURS
from heddle_platform.records import Job, JobError
from heddle_platform.usage import Slot, hour_of
from heddle_workers.cluster import Cluster
from heddle_workers.drift_task import DriftRequest, heddle_drift_check
from heddle_workers.progress import Report
from heddle_workers.work import Ending, closed

_JUDGE_CPUS: Final = 1.0

log = structlog.get_logger()


class DriftCheckWork:
    """Looks at drift.

    Spec of the job: {adapter, adapter_id, version, window_hours}.
    """

    def __init__(self, database: Database, cluster: Cluster) -> None:
        self._database = database
        self._cluster = cluster

    async def run(self, job: Job, report: Report) -> Ending:
        """Judge; see `Work.run`. A version in production that has drifted is told of as in the hourly look."""
        key, hours = (job.spec["adapter_id"], job.spec["version"]), job.spec["window_hours"]
        async with self._database.transaction(job.tenant) as session:
            adapter = await adapters.resolve(session, job.tenant, key[0])
            refuse_erased(adapter, await adapters.version(session, job.tenant, *key))
            watched = (await drift.watched(session, job.tenant, [key]))[key]
            sums = (await drift.sums_of(session, job.tenant, [key], hours=hours)).get(key)
            served = await in_production(session, adapter)
        found = await self._cluster.run(
            heddle_drift_check, DriftRequest(watched, sums, hours), report, cpus=_JUDGE_CPUS
        )
        serves = served is not None and served.version == key[1]
        log.info("drift_checked", version=key[1], verdict=found["verdict"], images=found["images"])
        return _ended(job, found, serves=serves)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return closed(job, "failed", error)

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return closed(job, "cancelled")


def _ended(job: Job, found: dict[str, Any], *, serves: bool) -> Ending:
    # the event says what a week's look says, whoever looks
    news = serves and found["verdict"] == "drifted" and found["window_hours"] == USUAL_HOURS

    async def record(session: AsyncSession) -> None:
        told = news and await tell_once(session, job.tenant, found["adapter_id"], found["version"], found)
        result = {**found, "in_production": serves, "webhooks_told": told}
        await jobs.close(session, job.id, status="succeeded", result=result)
        await usage.add(session, Counter({Slot(job.tenant, hour_of(datetime.now(UTC)), "jobs"): 1}))

    return Ending(record, "succeeded")
