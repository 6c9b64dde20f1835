"""Jobs as their tenant sees them: creation, state, events, cancellation. Leasing lives in `queue`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from heddle_infra.database import outbox
from heddle_infra.database.models import AdapterVersionRow, DatasetRow, JobEventRow, JobRow
from heddle_infra.database.paging import page
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.ids import new_id
from heddle_platform.records import FINAL_STATUSES, Job, JobError, JobEvent, JobStatus, JobType

TENANT_TYPES: tuple[JobType, ...] = ("fit", "refit", "evaluate", "export", "drift_check")
"""What a tenant queues, and sees where it lists all."""
OPERATOR_TYPES: tuple[JobType, ...] = ("pretrain", "sweep")
RETRYABLE_TYPES: tuple[JobType, ...] = (*TENANT_TYPES, *OPERATOR_TYPES)
OPEN_STATUSES: tuple[JobStatus, ...] = ("validating", "queued", "running", "scoring")
_CLOSE: Final = """
    with ends as (
        select * from jsonb_to_recordset(cast(:rows as jsonb))
            as ends (id text, status text, result jsonb, error jsonb, told jsonb)
    ), told as (
        insert into job_events (job_id, type, data) select id, status, told from ends
    )
    update jobs set status = ends.status, lease_owner = null, lease_expires_at = null, finished_at = now(),
        error = ends.error, result = coalesce(ends.result, jobs.result),
        progress = case when ends.status in ('succeeded', 'awaiting_approval') then 1.0 else jobs.progress end
    from ends where jobs.id = ends.id
    returning jobs.id, jobs.tenant_id, jobs.type, jobs.spec ->> 'adapter', jobs.spec ->> 'dataset_id',
        cast(jobs.result ->> 'version' as integer)
"""

_SHOWN: Final = [JobRow.__table__.c[name] for name in Job.model_fields]
_READ: Final = text(
    f"select {', '.join(column.name for column in _SHOWN)} from heddle_job(:tenant, :job)"  # noqa: S608
).columns(*_SHOWN)


async def create(
    session: AsyncSession,
    tenant_id: str | None,
    *,
    job_type: JobType,
    spec: dict[str, Any],
    dataset_id: str | None,
    status: JobStatus = "queued",
    priority: int = 0,
    job_id: str | None = None,
) -> Job:
    """Queue a job; a fit on a set still being validated waits in status `validating`; `job_id` None makes one."""
    row = await session.scalar(
        insert(JobRow)
        .values(
            id=job_id or new_id("job"),
            tenant_id=tenant_id,
            type=job_type,
            status=status,
            spec=spec,
            dataset_id=dataset_id,
            priority=priority,
        )
        .returning(JobRow)
    )
    job = Job.model_validate(row)
    await add_event(session, job.id, "created", {"status": status})
    return job


async def get(session: AsyncSession, tenant_id: str | None, job_id: str, *, lock: bool = False) -> Job:
    """Return a job of the tenant, or of the operators for None; `lock` holds its row until the transaction ends.

    Raises:
        NotFound: code `unknown_job`.
    """
    query = select(JobRow).where(JobRow.id == job_id, JobRow.tenant_id == tenant_id)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise _unknown(job_id)
    return Job.model_validate(row)


async def read(connection: AsyncConnection, tenant_id: str | None, job_id: str) -> Job:
    """Return a job as `get` does, in one round trip, over a connection of `Database.single`.

    Raises:
        NotFound: code `unknown_job`.
    """
    found = (await connection.execute(_READ, {"tenant": tenant_id or "", "job": job_id})).first()
    if found is None:
        raise _unknown(job_id)
    return Job.model_validate(found)


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id[:60]!r}; list them with GET /v1/jobs", code="unknown_job")


async def list_jobs(
    session: AsyncSession,
    tenant_id: str | None,
    *,
    limit: int,
    after: str | None,
    status: JobStatus | None = None,
    job_type: JobType | None = None,
    dead_letter: bool | None = None,
) -> tuple[list[Job], bool]:
    """Return one page of the tenant's jobs, or for None of the operators', newest first; what queues itself only where
    it is asked for by type."""
    types = TENANT_TYPES if tenant_id is not None else OPERATOR_TYPES
    types = types if job_type is None else (job_type,)
    query = select(JobRow).where(JobRow.tenant_id == tenant_id, JobRow.type.in_(types))
    if status:
        query = query.where(JobRow.status == status)
    if dead_letter is not None:
        query = query.where(JobRow.dead_letter.is_(dead_letter))
    rows, more = await page(session, query, JobRow.id, limit=limit, after=after)
    return [Job.model_validate(row) for row in rows], more


async def cancel(session: AsyncSession, tenant_id: str | None, job_id: str) -> Job:
    """Cancel a job: at once while it waits, at the next heartbeat while it runs; twice is once.

    While a version awaits approval, cancelling its job rejects it.

    Raises:
        NotFound: code `unknown_job`.
        Conflict: code `job_finished`.
    """
    # an approval locks the version first, so this does: two that meet must not wait for each other
    await session.execute(
        select(AdapterVersionRow.version)
        .where(AdapterVersionRow.job_id == job_id, AdapterVersionRow.status == "awaiting_approval")
        .with_for_update()
    )
    job = await get(session, tenant_id, job_id, lock=True)
    if job.status == "cancelled":
        return job
    if job.status == "awaiting_approval":
        await session.execute(
            update(AdapterVersionRow)
            .where(AdapterVersionRow.job_id == job_id, AdapterVersionRow.status == "awaiting_approval")
            .values(status="rejected")
        )
        await close(session, job_id, status="cancelled")
    elif job.status in FINAL_STATUSES:
        raise Conflict(f"job {job_id} is {job.status} already and cannot be cancelled", code="job_finished")
    elif job.status in ("validating", "queued"):
        await close(session, job_id, status="cancelled")
    else:
        await session.execute(update(JobRow).where(JobRow.id == job_id).values(cancel_requested=True))
        await add_event(session, job_id, "cancel_requested", {})
    session.expire_all()
    return await get(session, tenant_id, job_id)


async def send_again(session: AsyncSession, tenant_id: str | None, job_id: str) -> Job:
    """Queue a job that failed once more; its attempts go on counting, those made so far are forgiven.

    Raises:
        NotFound: code `unknown_job`.
        Conflict: codes `not_failed`, `not_retryable` (it ended with a result, or its set is not ready).
    """
    job = await get(session, tenant_id, job_id, lock=True)
    if job.status != "failed":
        raise Conflict(f"job {job_id} is {job.status}; only a job that failed can be sent again", code="not_failed")
    if job.type not in RETRYABLE_TYPES or job.result is not None:
        raise Conflict(
            f"job {job_id} was done and its outcome stands ({job.error.code if job.error else 'failed'}); "
            "queue a new job on other labels instead",
            code="not_retryable",
        )
    dataset_id = await session.scalar(select(JobRow.dataset_id).where(JobRow.id == job_id))
    if dataset_id is not None:
        status = await session.scalar(select(DatasetRow.status).where(DatasetRow.id == dataset_id))
        if status != "ready":
            raise Conflict(
                f"labelled set {dataset_id} of job {job_id} is {status}; upload a valid set and queue a new job",
                code="not_retryable",
            )
    await session.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(
            status="queued",
            error=None,
            dead_letter=False,
            cancel_requested=False,
            forgiven=JobRow.attempt,
            cost=None,
            stage=None,
            progress=0.0,
            started_at=None,
            finished_at=None,
            not_before=func.now(),
        )
    )
    await add_event(session, job_id, "sent_again", {"status": "queued", "attempts_before": job.attempt})
    session.expire_all()
    return await get(session, tenant_id, job_id)


@dataclass(frozen=True)
class Closing:
    """How a job ends; a result of None leaves the one it has."""

    job_id: str
    status: JobStatus
    result: dict[str, Any] | None = None
    error: JobError | None = None

    def told(self) -> dict[str, Any]:
        """Return what its event says."""
        return {"status": self.status, **({"error": self.error.model_dump()} if self.error else {})}


async def close(
    session: AsyncSession,
    job_id: str,
    *,
    status: JobStatus,
    result: dict[str, Any] | None = None,
    error: JobError | None = None,
) -> None:
    """Write a job's final state and its event; the caller holds the row's lock or the lease."""
    await close_all(session, [Closing(job_id, status, result, error)])


async def close_all(session: AsyncSession, closings: Sequence[Closing]) -> None:
    """Write the final states of several jobs and their events, in as many statements as for one."""
    rows = [
        {
            "id": one.job_id,
            "status": one.status,
            "result": one.result,
            "error": one.error.model_dump() if one.error else None,
            "told": one.told(),
        }
        for one in closings
    ]
    closed = await session.execute(text(_CLOSE), {"rows": json.dumps(rows)})
    told = {one.job_id: one.told() for one in closings}
    over = [
        (tenant_id, {"id": job_id, "type": job_type, **told[job_id], **_named(adapter, dataset, version)})
        for job_id, tenant_id, job_type, adapter, dataset, version in closed.all()
        if tenant_id is not None
    ]
    await outbox.jobs_over(session, over)


def _named(adapter: str | None, dataset: str | None, version: int | None) -> dict[str, Any]:
    # names only: what an event tells leaves the platform, and the receiver can read the rest with its key
    named = {"adapter": adapter, "dataset": dataset, "version": version}
    return {name: value for name, value in named.items() if value is not None}


async def bury(session: AsyncSession, job_id: str) -> None:
    """Mark a job that failed because its attempts were used up, so that it can be found and sent again."""
    await session.execute(update(JobRow).where(JobRow.id == job_id).values(dead_letter=True))


async def release_waiting(session: AsyncSession, dataset_id: str, *, error: JobError | None) -> None:
    """Let jobs that waited for a set's validation go: to the queue, or to `failed` where it was rejected."""
    waiting = await session.scalars(
        select(JobRow.id).where(JobRow.dataset_id == dataset_id, JobRow.status == "validating").with_for_update()
    )
    for job_id in waiting.all():
        if error is not None:
            await close(session, job_id, status="failed", error=error)
        else:
            await session.execute(update(JobRow).where(JobRow.id == job_id).values(status="queued"))
            await add_event(session, job_id, "queued", {"status": "queued"})


async def add_event(session: AsyncSession, job_id: str, event_type: str, data: dict[str, Any]) -> None:
    """Append to the job's history, in the transaction that makes it true."""
    await session.execute(insert(JobEventRow).values(job_id=job_id, type=event_type, data=data))


async def events(session: AsyncSession, job_id: str, *, after: int, limit: int) -> list[JobEvent]:
    """Return events of a job with ids above `after`, oldest first."""
    rows = await session.scalars(
        select(JobEventRow)
        .where(JobEventRow.job_id == job_id, JobEventRow.id > after)
        .order_by(JobEventRow.id)
        .limit(limit)
    )
    return [JobEvent.model_validate(row) for row in rows.all()]


async def all_events(session: AsyncSession, job_id: str) -> list[JobEvent]:
    """Return a job's whole history, oldest first; it has a few events per attempt."""
    rows = await session.scalars(select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(JobEventRow.id))
    return [JobEvent.model_validate(row) for row in rows.all()]
