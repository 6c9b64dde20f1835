"""Throughput: how fast jobs went lately, and when a waiting one will go, from what was measured and nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import JobRow
from heddle_infra.database.walls import platform_scope
from heddle_platform.records import Job

RECENT_JOBS: Final = 200
_LEAST_SECONDS: Final = 1e-3
_TOLD_PROGRESS: Final = 0.1  # below it, what a job says of itself foretells nothing


@dataclass(frozen=True)
class Throughput:
    """What jobs of one type took.

    Attributes:
        jobs: how many recent ones this was measured on.
        units_per_second: cost units (rows x latents) done per second in which any of them ran.
        seconds_per_unit: median of what one job took, per unit.
        seconds_each: median of what one took.
    """

    jobs: int
    units_per_second: float
    seconds_per_unit: float
    seconds_each: float

    def seconds_of(self, cost: float) -> float:
        """Return how long one job of that cost runs: by its cost, but not faster than half a usual one."""
        return max(cost * self.seconds_per_unit, 0.5 * self.seconds_each)


@dataclass(frozen=True)
class Estimate:
    """When a job starts and ends."""

    start_at: datetime | None
    end_at: datetime


def measured_as(job_type: str) -> str:
    """Return whose throughput tells of a type of job: a refit is a fit, unless nothing has changed."""
    return "fit" if job_type == "refit" else job_type


async def measured(session: AsyncSession, job_type: str, card: str = "full") -> Throughput | None:
    """Return the throughput of recent jobs of a type that ended with a result; None where there is none yet.

    Args:
        session: open session.
        job_type: the type.
        card: of fits, the kind of card: brief ones take a tenth of the time.
    """
    recent = (
        select(JobRow.started_at, JobRow.finished_at, JobRow.cost)
        .where(JobRow.type == job_type, JobRow.finished_at.is_not(None), JobRow.result.is_not(None))
        .where(func.coalesce(JobRow.spec["card"].astext, "full") == card)
        .where(JobRow.started_at.is_not(None), JobRow.cost > 0, JobRow.attempt == 1)
        .order_by(JobRow.finished_at.desc())
        .limit(RECENT_JOBS)
    )
    async with platform_scope(session):  # how fast the platform is, not one tenant's jobs
        rows = await session.execute(recent)
    return throughput_of([(start, end, cost) for start, end, cost in rows.all() if start and end and cost])


def throughput_of(runs: Sequence[tuple[datetime, datetime, float]]) -> Throughput | None:
    """Sum up runs, each (start, end, cost)."""
    if not runs:
        return None
    seconds = sorted(max(_LEAST_SECONDS, (end - start).total_seconds()) for start, end, _ in runs)
    each = sorted(max(_LEAST_SECONDS, (end - start).total_seconds()) / cost for start, end, cost in runs)
    busy = max(_LEAST_SECONDS, _busy_seconds((start, end) for start, end, _ in runs))
    return Throughput(
        jobs=len(runs),
        units_per_second=sum(cost for _, _, cost in runs) / busy,
        seconds_per_unit=each[len(each) // 2],
        seconds_each=seconds[len(seconds) // 2],
    )


def _busy_seconds(spans: Iterable[tuple[datetime, datetime]]) -> float:
    total, reached = 0.0, None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += (end - begin).total_seconds()
            reached = end
    return total


def waiting_estimate(now: datetime, ahead: float, cost: float, found: Throughput) -> Estimate:
    """Return when a waiting job starts, with `ahead` cost units before it, and ends."""
    start = now + timedelta(seconds=ahead / found.units_per_second)
    return Estimate(start, start + timedelta(seconds=found.seconds_of(cost)))


def running_estimate(now: datetime, job: Job, found: Throughput | None) -> Estimate | None:
    """Return when a running job ends: by its own progress once that says something, else by what others took."""
    if job.started_at is None:
        return None
    if job.tries == 1 and job.progress >= _TOLD_PROGRESS:
        gone = (now - job.started_at).total_seconds()
        return Estimate(None, now + timedelta(seconds=gone * (1 - job.progress) / job.progress))
    if found is None:
        return None
    return Estimate(None, max(now, job.started_at + timedelta(seconds=found.seconds_of(job.cost or 0.0))))
