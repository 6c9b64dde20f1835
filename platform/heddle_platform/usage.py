"""Usage: what is counted of a tenant, by the hour, and the counter that a process keeps in memory."""

from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, get_args

Metric = Literal[
    "requests",
    "requests_limited",
    "edits",
    "images_encoded",
    "rows_fitted",
    "jobs",
    "bytes_uploaded",
    "bytes_stored",
]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)


class Slot(NamedTuple):
    """What a number is counted under."""

    tenant_id: str
    hour: datetime
    metric: Metric


def hour_of(moment: datetime) -> datetime:
    """Return the hour that holds a moment, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
