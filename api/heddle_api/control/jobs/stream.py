"""A job's events as they happen: server-sent events, resumable by Last-Event-ID, ending when the job does.

Stored events carry their id. `progress` events carry none: they are the present state, not history, and a client
that comes back gets the present state anyway.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.jobs.views import event_view
from heddle_infra.database import jobs, tenants
from heddle_platform.errors import InvalidInput, NotFound, Unavailable
from heddle_platform.records import FINAL_STATUSES

POLL_SECONDS: Final = 0.25
SILENCE_SECONDS: Final = 15.0  # a comment at least this often keeps proxies from hanging up
_AWAY_SECONDS: Final = 1.0
_PAGE: Final = 100
_KEY_ENDED: Final = (
    "this API key was revoked, was rotated or has expired, or its tenant is suspended; go on with another key"
)


def last_event_id(header: str | None) -> int:
    """Read the Last-Event-ID header; 0 where there is none.

    Raises:
        InvalidInput: code `malformed_header`.
    """
    if header is None or not header.strip():
        return 0
    text = header.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(
            f"Last-Event-ID is {text[:40]!r}; send the id of the last event you got, a whole number",
            code="malformed_header",
            param="Last-Event-ID",
        )
    return int(text)


async def follow(
    control: Control, owner: Principal, job_id: str, after: int, *, silence_seconds: float = SILENCE_SECONDS
) -> AsyncIterator[str]:
    """Yield a job's events after `after` until the job is final and all were sent, or is there no more.

    A key that is revoked, expires or is of a tenant that is suspended meanwhile ends it, and so does the end of the
    secret that it was opened with, by a rotation: the last event says so.
    """
    told: dict[str, Any] = {}
    since: datetime | None = None
    quiet_seconds = 0.0
    while True:
        try:
            async with control.transaction(owner) as session:
                since = since or await tenants.database_time(session)
                if not await tenants.is_valid(session, owner.key_id, since=since):
                    yield _spell("key_ended", {"code": "unknown_key", "message": _KEY_ENDED})
                    return
                # the state before the events: what is final now has written its last event
                job = await jobs.get(session, owner.tenant_id, job_id)
                found = await jobs.events(session, job_id, after=after, limit=_PAGE)
        except NotFound:  # deleted with its tenant
            return
        except Unavailable:
            yield ": the database is away\n\n"
            await asyncio.sleep(_AWAY_SECONDS)
            continue
        for event in found:
            after = event.id
            yield _spell(event.type, event_view(event).model_dump(mode="json"), str(event.id))
        if len(found) == _PAGE:
            continue
        if job.status in FINAL_STATUSES:
            return
        state = {"status": job.status, "stage": job.stage, "progress": job.progress}
        if state != told:
            yield _spell("progress", state)
            told = state
        elif not found and (quiet_seconds := quiet_seconds + POLL_SECONDS) >= silence_seconds:
            yield ": still here\n\n"
            quiet_seconds = 0.0
        await asyncio.sleep(POLL_SECONDS)


def _spell(event_type: str, data: dict[str, Any], event_id: str | None = None) -> str:
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event_type}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
