"""The queue: fair claims under leases, and the fence that lets only the holder of a lease write.

A job's `attempt` is its fencing token: it grows with every claim, so that a worker which was thought dead
and wakes up again holds a token that fits nothing any more (Kleppmann 2016, "How to do distributed locking").

An erasure is a barrier in its tenant's queue: it starts when the tenant's jobs before it are over, and those behind
it start when it is over. So no fit reads rows that are being erased, and none writes a version of them afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, jobs
from heddle_infra.database.models import JobRow
from heddle_infra.database.suspension import OF_ACTIVE_TENANT
from heddle_infra.database.walls import platform_scope
from heddle_platform.errors import LeaseLost
from heddle_platform.records import Job, JobError, JobStatus

_CLAIMABLE = """
    (jobs.status = 'queued' and jobs.not_before <= now())
    or (jobs.status in ('running', 'scoring') and jobs.lease_expires_at < now())
"""

_NOT_BARRED = """
    (jobs.tenant_id not in (
        select tenant_id from jobs where type = 'erase' and status in ('queued', 'running', 'scoring'))
    or not exists (
        select 1 from jobs as other
        where other.tenant_id = jobs.tenant_id and other.id <> jobs.id and 'erase' in (jobs.type, other.type)
        and (other.status in ('running', 'scoring') or (
            other.status in ('validating', 'queued') and (other.created_at, other.id) < (jobs.created_at, jobs.id)))))
"""

# A tenant's n-th waiting job stands n places behind that tenant's running ones, so a tenant with a thousand jobs
# and one with a single job take turns. A job that a barrier holds goes before nobody.
_FAIR_ORDER = f"""
    with waiting as (
        select id, tenant_id, created_at, ({_NOT_BARRED}) as free,
               row_number() over (partition by tenant_id order by priority desc, created_at, id) as place
        from jobs where ({_CLAIMABLE}) and %s
    ), running as (
        select tenant_id, count(*) as jobs from jobs
        where status in ('running', 'scoring') and lease_expires_at >= now() group by tenant_id
    )
    select waiting.id from waiting left join running on running.tenant_id is not distinct from waiting.tenant_id
    order by waiting.free desc, waiting.place + coalesce(running.jobs, 0), waiting.created_at, waiting.id
"""  # noqa: S608  no value is pasted in
_PLACES = _FAIR_ORDER % "true"
_NEXT = _FAIR_ORDER % f"{_NOT_BARRED} and {OF_ACTIVE_TENANT}" + " limit :limit"

_LOCK = f"select id from jobs where id = any(:ids) and ({_CLAIMABLE}) for update skip locked"  # noqa: S608
# One claim at a time: two dispatchers must not start an erasure and a fit that neither saw the other take.
_CLAIMING = "select pg_advisory_xact_lock(hashtextextended('heddle claim', 0))"


@dataclass(frozen=True)
class Beat:
    """What a worker says of a job it holds.

    Attributes:
        job_id, attempt: the lease.
        stage: snake_case name of what is being done.
        progress: share done, 0..1.
    """

    job_id: str
    attempt: int
    stage: str
    progress: float


async def claim(session: AsyncSession, *, owner: str, limit: int, lease_seconds: float, max_attempts: int) -> list[Job]:
    """Lease up to `limit` jobs, fairly over tenants; jobs whose lease ran out are taken over.

    A job taken `max_attempts` times already is closed as failed (code `attempts_exhausted`) instead, unless it noted
    a result before it was over: what it owes then is finished, however often that is tried.
    """
    await session.execute(text(_CLAIMING))
    order = list((await session.scalars(text(_NEXT), {"limit": limit * 2})).all())
    if not order:
        return []
    locked = set((await session.scalars(text(_LOCK), {"ids": order})).all())
    claimed: list[Job] = []
    for job_id in [job_id for job_id in order if job_id in locked][:limit]:
        row = (await session.scalars(select(JobRow).where(JobRow.id == job_id))).one()
        if row.cancel_requested:
            await jobs.close(session, job_id, status="cancelled")
        elif row.attempt >= max_attempts and row.result is None:
            await jobs.close(session, job_id, status="failed", error=_exhausted(row.attempt))
            if row.type == "validate" and row.dataset_id and row.tenant_id:
                await _reject_unvalidated(session, row, row.tenant_id)
        else:
            claimed.append(await _lease(session, row, owner, lease_seconds))
    return claimed


async def hold_claims(session: AsyncSession) -> None:
    """Have no job claimed by anybody until this transaction ends; those that are leased already go on."""
    await session.execute(text(_CLAIMING))


async def _lease(session: AsyncSession, row: JobRow, owner: str, lease_seconds: float) -> Job:
    row.attempt += 1
    row.status = "running"
    row.stage, row.progress = "starting", 0.0
    row.lease_owner = owner
    await session.flush()
    await session.execute(
        update(JobRow)
        .where(JobRow.id == row.id)
        .values(lease_expires_at=_in_seconds(lease_seconds), started_at=func.coalesce(JobRow.started_at, func.now()))
    )
    await jobs.add_event(session, row.id, "started", {"status": "running", "attempt": row.attempt})
    await session.refresh(row)
    return Job.model_validate(row)


async def _reject_unvalidated(session: AsyncSession, row: JobRow, tenant_id: str) -> None:
    error = _exhausted(row.attempt)
    report = {
        "valid": False,
        "fault_count": 1,
        "errors": [{"pointer": "", "code": error.code, "detail": error.message}],
    }
    await datasets.finish_validation(session, tenant_id, str(row.dataset_id), report=report)
    await jobs.release_waiting(session, str(row.dataset_id), error=error)


def _exhausted(attempts: int) -> JobError:
    return JobError(
        code="attempts_exhausted",
        message=f"the job was started {attempts} times and its worker died each time; send it again or ask support",
    )


async def beat(session: AsyncSession, beats: Sequence[Beat], *, lease_seconds: float) -> dict[str, str]:
    """Renew leases and note progress.

    Returns:
        For each job that must stop, why: "lost" (another worker holds it or it is over) or "cancelled".
    """
    stopped: dict[str, str] = {}
    for item in beats:
        status: JobStatus = "scoring" if item.stage in ("scoring", "gating", "exporting") else "running"
        row = (
            await session.execute(
                update(JobRow)
                .where(
                    JobRow.id == item.job_id, JobRow.attempt == item.attempt, JobRow.status.in_(("running", "scoring"))
                )
                .values(
                    lease_expires_at=_in_seconds(lease_seconds),
                    stage=item.stage,
                    progress=item.progress,
                    status=status,
                )
                .returning(JobRow.cancel_requested)
            )
        ).first()
        if row is None:
            stopped[item.job_id] = "lost"
        elif row[0]:
            stopped[item.job_id] = "cancelled"
    return stopped


async def fence(session: AsyncSession, job_id: str, attempt: int) -> Job:
    """Lock a job for writing its outcome, or refuse.

    Raises:
        LeaseLost: the lease is another's, or the job is over.
    """
    row = await session.scalar(
        select(JobRow)
        .where(JobRow.id == job_id, JobRow.attempt == attempt, JobRow.status.in_(("running", "scoring")))
        .with_for_update()
    )
    if row is None:
        raise LeaseLost(f"the lease {attempt} on job {job_id} is not valid any more")
    return Job.model_validate(row)


async def give_back(session: AsyncSession, job_id: str, attempt: int, *, after_seconds: float, why: str) -> None:
    """Put a job back into the queue, to be tried again after a while.

    Raises:
        LeaseLost: the lease is another's, or the job is over.
    """
    await fence(session, job_id, attempt)
    await session.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(
            status="queued",
            lease_owner=None,
            lease_expires_at=None,
            stage="waiting_to_retry",
            not_before=_in_seconds(after_seconds),
        )
    )
    await jobs.add_event(session, job_id, "retrying", {"status": "queued", "after_seconds": after_seconds, "why": why})


async def positions(session: AsyncSession) -> dict[str, int]:
    """Return for each waiting job how many go before it; those of other tenants count, whoever asks."""
    async with platform_scope(session):
        order = (await session.scalars(text(_PLACES))).all()
    return {job_id: place for place, job_id in enumerate(order)}


async def position(session: AsyncSession, job_id: str) -> int | None:
    """Return how many jobs go before this one, or None if it does not wait."""
    return (await positions(session)).get(job_id)


async def depth(session: AsyncSession) -> dict[str, int]:
    """Return how many jobs are in each open status."""
    rows = await session.execute(
        select(JobRow.status, func.count()).where(JobRow.status.in_(jobs.OPEN_STATUSES)).group_by(JobRow.status)
    )
    return dict(rows.all())


def _in_seconds(seconds: float) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
