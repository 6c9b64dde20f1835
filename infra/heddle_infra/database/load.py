"""Load: what waits, what runs and how fast it goes, over all tenants; call within a platform-wide transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.suspension import OF_ACTIVE_TENANT

RECENT_SECONDS: Final = 300.0
_MOST_TENANTS: Final = 100

_DEPTH: Final = """
    select type, status, count(*) from jobs
    where status in ('validating', 'queued', 'running', 'scoring') group by type, status order by type, status
"""
_BY_TENANT: Final = """
    select tenant_id, count(*) filter (where status in ('validating', 'queued')) as waiting,
           count(*) filter (where status in ('running', 'scoring')) as running
    from jobs where status in ('validating', 'queued', 'running', 'scoring')
    group by tenant_id order by waiting desc, running desc, tenant_id limit :most
"""
# no further machine lets a suspended tenant's job start: an autoscaler would add them without end
_OLDEST: Final = f"""
    select coalesce(extract(epoch from now() - min(created_at) filter (
               where status = 'queued' and not_before <= now() and {OF_ACTIVE_TENANT})), 0),
           coalesce(extract(epoch from now() - min(started_at) filter (where status in ('running', 'scoring'))), 0),
           min(lease_expires_at) filter (where status in ('running', 'scoring'))
    from jobs where status in ('queued', 'running', 'scoring')
"""  # noqa: S608  no value is pasted in
_FINISHED: Final = """
    select type, count(*) filter (where status <> 'failed') as done, count(*) filter (where status = 'failed') as failed
    from jobs where finished_at > now() - make_interval(secs => :seconds) group by type order by type
"""


@dataclass(frozen=True)
class Load:
    """What there is to do.

    Attributes:
        depth: (type, status) -> open jobs.
        tenants: (tenant, waiting, running) of those with most waiting; None: the operators' own.
        oldest_wait_seconds: since when the first job that could start has been queued; 0 if none waits.
        longest_run_seconds: since when the oldest running job has been running, all its attempts together.
        oldest_lease_expires_at: when the first lease runs out; in the past: nobody renews it.
        finished: type -> (done, failed) within the last `RECENT_SECONDS`.
    """

    depth: dict[tuple[str, str], int]
    tenants: tuple[tuple[str | None, int, int], ...]
    oldest_wait_seconds: float
    longest_run_seconds: float
    oldest_lease_expires_at: datetime | None
    finished: dict[str, tuple[int, int]]

    def count(self, *statuses: str) -> int:
        """Return how many open jobs are in any of these statuses."""
        return sum(count for (_, status), count in self.depth.items() if status in statuses)


async def load(session: AsyncSession) -> Load:
    """Return what there is to do at the moment."""
    depth = {(row[0], row[1]): int(row[2]) for row in await session.execute(text(_DEPTH))}
    tenants = tuple(
        (row[0], int(row[1]), int(row[2])) for row in await session.execute(text(_BY_TENANT), {"most": _MOST_TENANTS})
    )
    wait, run, expires = (await session.execute(text(_OLDEST))).one()
    rows = await session.execute(text(_FINISHED), {"seconds": RECENT_SECONDS})
    finished = {row[0]: (int(row[1]), int(row[2])) for row in rows}
    return Load(depth, tenants, float(wait), float(run), expires, finished)
