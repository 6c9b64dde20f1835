"""What a kind of job is to the dispatcher: something to run, and an ending to be written in one fenced transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs
from heddle_infra.database.fit_outcomes import FitOutcome
from heddle_platform.records import Job, JobError, JobStatus
from heddle_workers.progress import Report

# Longer than any task may run, so that an address never dies under its task.
PRESIGNED_SECONDS: Final = 2 * 3600


async def nothing_to_tidy() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Ending:
    """How a job ends.

    Attributes:
        record: writes rows; called in a transaction that holds the job's fence, perhaps more than once (each time
            in a new transaction, the one before having been rolled back).
        tidy: what may be done once that is committed, and may be lost if the process dies.
        status: for the log.
        fit: what a fit found, where that is all there is to write: outcomes of many fits are written together.
    """

    record: Callable[[AsyncSession], Awaitable[None]]
    status: str
    tidy: Callable[[], Awaitable[None]] = nothing_to_tidy
    fit: FitOutcome | None = None


def closed(
    job: Job, status: JobStatus, error: JobError | None = None, tidy: Callable[[], Awaitable[None]] = nothing_to_tidy
) -> Ending:
    """Return the ending of a job that leaves nothing behind but its status and, where it failed, why."""

    async def record(session: AsyncSession) -> None:
        await jobs.close(session, job.id, status=status, error=error)

    return Ending(record, status, tidy)


def buried(job: Job, ending: Ending) -> Ending:
    """Return the ending of a job that was given up because its attempts were used up: a dead letter."""

    async def record(session: AsyncSession) -> None:
        await ending.record(session)
        await jobs.bury(session, job.id)

    return replace(ending, record=record)


@runtime_checkable
class Gathering(Protocol):
    """Work that wants to know which jobs were claimed together, before any of them runs."""

    def gather(self, jobs: Sequence[Job]) -> None:
        """Note them."""


class Work(Protocol):
    """One kind of job."""

    async def run(self, job: Job, report: Report) -> Ending:
        """Do the job; nothing but content-addressed objects may be written, and rows behind the job's fence only.

        Raises:
            HeddleError: retryable ones are tried again under a new lease, others end the job.
        """

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Return the ending of a job that cannot be done."""

    def cancel(self, job: Job) -> Ending:
        """Return the ending of a job that its tenant cancelled."""
