"""Notes: what work tells on its way, for the job's history."""

from typing import Any

import structlog

from heddle_infra.database import jobs, queue
from heddle_infra.database.engine import Database
from heddle_platform.errors import Unavailable
from heddle_platform.records import Job

log = structlog.get_logger()


async def note_event(database: Database, job: Job, kind: str, data: dict[str, Any]) -> None:
    """Add to a job's history under its lease; while the database is away the note is lost and the work goes on.

    Raises:
        LeaseLost: the lease is another's.
    """
    try:
        async with database.transaction(job.tenant_id) as session:
            await queue.fence(session, job.id, job.attempt)
            await jobs.add_event(session, job.id, kind, data)
    except Unavailable as error:
        log.warning("event_lost", type=kind, detail=str(error))
