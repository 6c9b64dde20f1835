"""What was tried: a job's attempts, told from its history."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, Field

from heddle_platform.records import JobEvent

_ENDINGS = ("retrying", "failed", "cancelled", "succeeded", "awaiting_approval")


class AttemptView(BaseModel):
    """One attempt at a job."""

    attempt: int = Field(description="1 for the first.")
    started_at: datetime
    ended_at: datetime | None = Field(description="Null where its worker was lost without a word.")
    why: str = Field(description="Why it ended.")


def attempts_of(events: Iterable[JobEvent]) -> list[AttemptView]:
    """Return the attempts a history tells of, oldest first."""
    found: list[AttemptView] = []
    open_attempt: AttemptView | None = None
    for event in events:
        if event.type == "started":
            if open_attempt is not None:
                found.append(open_attempt)
            open_attempt = AttemptView(
                attempt=event.data["attempt"],
                started_at=event.created_at,
                ended_at=None,
                why="its worker was lost: the lease ran out and another took the job over",
            )
        elif event.type in _ENDINGS and open_attempt is not None:
            found.append(open_attempt.model_copy(update={"ended_at": event.created_at, "why": _why(event)}))
            open_attempt = None
    return found if open_attempt is None else [*found, open_attempt]


def _why(event: JobEvent) -> str:
    error = event.data.get("error")
    if error:
        return f"{error['code']}: {error['message']}"
    return str(event.data.get("why", event.type))
