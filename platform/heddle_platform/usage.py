"""Usage: what is counted of a tenant, by the hour, and the counter that a process keeps in memory."""

from collections.abc import Mapping
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

MEANING: Final[Mapping[Metric, str]] = {
    "requests": "Requests answered to a valid key, on both planes.",
    "requests_limited": "Requests refused because they came too fast; not among `requests`.",
    "edits": "Pictures drawn or found drawn, each picture of a grid counted.",
    "images_encoded": "Images turned into latents, by edits and by fits.",
    "rows_fitted": "Rows of labelled sets that fits have learnt from.",
    "jobs": "Fits that ended with a version.",
    "bytes_uploaded": "Bytes of completed uploads.",
    "bytes_stored": "Most bytes of uploads and labelled sets held at one time within the hour.",
}


class Slot(NamedTuple):
    """What a number is counted under."""

    tenant_id: str
    hour: datetime
    metric: Metric


def hour_of(moment: datetime) -> datetime:
    """Return the hour that holds a moment, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
