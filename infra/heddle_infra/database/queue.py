"""The queue: fair claims under leases, and the fence that lets only the holder of a lease write.

A job's `attempt` is its fencing token: it grows with every claim, so that a worker which was thought dead
and wakes up again holds a token that fits nothing any more (Kleppmann 2016, "How to do distributed locking").

An erasure is a barrier in its tenant's queue: it starts when the tenant's jobs before it are over, and those behind
it start when it is over. So no fit reads rows that are being erased, and none writes a version of them afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, jobs
from heddle_infra.database.models import JobRow
from heddle_infra.database.queue_order import CLAIMABLE, in_order, next_jobs
from heddle_platform.errors import LeaseLost
from heddle_platform.records import Job, JobError, JobStatus

CALL_CHANNEL: Final = "heddle:dispatchers"  # on which they are told to look now, not at their next turn
RETRY_STAGE: Final = "waiting_to_retry"
# A store that is away for an hour, or dispatchers that die, must not bury a job; what only this job meets must.
FORGIVING: Final = 10

_LOCK = f"select jobs.* from jobs where id = any(:ids) and ({CLAIMABLE}) for update skip locked"  # noqa: S608
_LEASE = """
    with leased as (
        update jobs set attempt = jobs.attempt + 1,
            forgiven = jobs.forgiven + case when jobs.status = 'queued' then 0 else 1 end,
            status = 'running', stage = 'starting', progress = 0,
            lease_owner = :owner, lease_expires_at = now() + make_interval(secs => :lease),
            started_at = coalesce(jobs.started_at, now()), cost = coalesce(jobs.cost, charged.cost)
        from unnest(cast(:ids as text[]), cast(:costs as double precision[])) as charged (id, cost)
        where jobs.id = charged.id
        returning jobs.*
    ), told as (
        insert into job_events (job_id, type, data)
        select id, 'started', jsonb_build_object('status', 'running', 'attempt', attempt) from leased
    )
    select * from leased
"""
# One claim at a time: two dispatchers must not start an erasure and a fit that neither saw the other take.
# Rows are locked in one order, by whoever locks several: none waits for another in a ring.
_FENCE = """
    select jobs.id from jobs
    join unnest(cast(:ids as text[]), cast(:attempts as integer[])) as held (id, attempt)
        on held.id = jobs.id and held.attempt = jobs.attempt
    where jobs.status in ('running', 'scoring') order by jobs.id for update of jobs
"""
_FRESH = 0.8  # of a lease: with so much left it is not renewed, for every renewal writes a row
_BEAT = """
    with held as (
        select jobs.id, jobs.cancel_requested, told.attempt, told.stage, told.progress, told.status,
               jobs.lease_expires_at < now() + make_interval(secs => :fresh) or jobs.status <> told.status
               or jobs.stage is distinct from told.stage or jobs.progress <> told.progress as due
        from jobs
        join unnest(cast(:ids as text[]), cast(:attempts as integer[]), cast(:stages as text[]),
                    cast(:progress as double precision[]), cast(:statuses as text[]))
            as told (id, attempt, stage, progress, status) on told.id = jobs.id and told.attempt = jobs.attempt
        where jobs.status in ('running', 'scoring')
    ), locked as (
        select jobs.id, jobs.cancel_requested from jobs join held on held.id = jobs.id and held.attempt = jobs.attempt
        where held.due and jobs.status in ('running', 'scoring') order by jobs.id for update of jobs
    ), renewed as (
        update jobs set lease_expires_at = now() + make_interval(secs => :lease),
            stage = held.stage, progress = held.progress, status = held.status
        from held join locked on locked.id = held.id where jobs.id = held.id
        returning jobs.id, jobs.cancel_requested
    )
    select id, cancel_requested from renewed union all select id, cancel_requested from held where not due
"""
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


async def claim(
    session: AsyncSession, *, owner: str, limit: int, lease_seconds: float, max_attempts: int, whole: int = 1
) -> list[Job]:
    """Lease up to `limit` jobs, by turns of their tenants; jobs whose lease ran out are taken over.

    A job counts `whole`, a fit with a brief card 1: a chunk of these takes as long as one other.

    A lease that ran out is its dispatcher's failure and no attempt of the job's: it is forgiven, up to `FORGIVING`
    times `max_attempts`. A job that used up its attempts is closed as failed (code `attempts_exhausted`) instead,
    unless it noted a result before it was over: what it owes then is finished, however often that is tried.
    """
    await session.execute(text(_CLAIMING))
    order = await next_jobs(session, limit, whole)
    if not order:
        return []
    locking = select(JobRow).from_statement(text(_LOCK)).execution_options(populate_existing=True)
    rows = await session.scalars(locking, {"ids": [job_id for job_id, _ in order]})
    found = {row.id: row for row in rows.all()}
    leased: dict[str, float] = {}
    for job_id, cost in order:
        row = found.get(job_id)
        if row is None:
            continue
        if row.cancel_requested:
            await jobs.close(session, job_id, status="cancelled")
        elif _used_up(row, max_attempts) and row.result is None:
            await jobs.close(session, job_id, status="failed", error=_exhausted(row.attempt))
            await jobs.bury(session, job_id)
            if row.type == "validate" and row.dataset_id and row.tenant_id:
                await _reject_unvalidated(session, row, row.tenant_id)
        else:
            leased[job_id] = cost
    return await _lease(session, leased, owner, lease_seconds)


def _used_up(row: JobRow, max_attempts: int) -> bool:
    if row.status == "queued":
        return row.attempt - row.forgiven >= max_attempts
    return row.attempt - row.forgiven - 1 >= max_attempts or row.attempt >= FORGIVING * max_attempts


async def _lease(session: AsyncSession, leased: dict[str, float], owner: str, lease_seconds: float) -> list[Job]:
    """Lease jobs whose rows are locked; a chunk of a hundred takes as many statements as a single job."""
    if not leased:
        return []
    leasing = select(JobRow).from_statement(text(_LEASE)).execution_options(populate_existing=True)
    told = {"ids": list(leased), "costs": list(leased.values()), "owner": owner, "lease": lease_seconds}
    rows = await session.scalars(leasing, told)
    found = {row.id: Job.model_validate(row) for row in rows.all()}
    claimed = [found[job_id] for job_id in leased]
    return claimed


async def hold_claims(session: AsyncSession) -> None:
    """Have no job claimed by anybody until this transaction ends; those that are leased already go on."""
    await session.execute(text(_CLAIMING))


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
        message=f"the job was started {attempts} times and did not come to an end; send it again or ask support",
    )


async def beat(session: AsyncSession, beats: Sequence[Beat], *, lease_seconds: float) -> dict[str, str]:
    """Renew leases that are a fifth gone, and note what changed of progress; one statement, however many there are.

    Returns:
        For each job that must stop, why: "lost" (another worker holds it or it is over) or "cancelled".
    """
    told = {
        "ids": [item.job_id for item in beats],
        "attempts": [item.attempt for item in beats],
        "stages": [item.stage for item in beats],
        "progress": [item.progress for item in beats],
        "statuses": [_status_of(item) for item in beats],
        "lease": lease_seconds,
        "fresh": _FRESH * lease_seconds,
    }
    held = {row[0]: row[1] for row in (await session.execute(text(_BEAT), told)).all()}
    stopped = {job_id: "cancelled" for job_id, cancelled in held.items() if cancelled}
    return stopped | {item.job_id: "lost" for item in beats if item.job_id not in held}


def _status_of(item: Beat) -> JobStatus:
    return "scoring" if item.stage in ("scoring", "gating", "exporting") else "running"


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


async def fence_all(session: AsyncSession, leases: Sequence[tuple[str, int]]) -> set[str]:
    """Lock jobs, each given with its lease's attempt, for writing their outcomes; return those whose lease is valid."""
    asked = {"ids": [job_id for job_id, _ in leases], "attempts": [attempt for _, attempt in leases]}
    return set((await session.scalars(text(_FENCE), asked)).all())


async def give_back(
    session: AsyncSession, job_id: str, attempt: int, *, after_seconds: float, why: str, forgive: bool = False
) -> None:
    """Put a job back into the queue, to be tried again after a while; a forgiven attempt counts against no limit.

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
            forgiven=JobRow.forgiven + int(forgive),
            stage=RETRY_STAGE,
            not_before=_in_seconds(after_seconds),
        )
    )
    await jobs.add_event(session, job_id, "retrying", {"status": "queued", "after_seconds": after_seconds, "why": why})


async def positions(session: AsyncSession) -> dict[str, int]:
    """Return for each waiting job how many go before it; those of other tenants count, whoever asks."""
    return {job_id: place for place, (job_id, _) in enumerate(await in_order(session))}


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
