"""Usage: pages of hours, newest first; an hour in which nothing was counted is left out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Moment
from heddle_infra.database import usage
from heddle_platform.errors import InvalidInput
from heddle_platform.usage import METRICS, hour_of


class UsageAmounts(BaseModel):
    """What was counted within an hour."""

    requests: int = Field(0, description="Requests with a valid key that were let in, on both planes.")
    requests_limited: int = Field(0, description="Requests refused because they came too fast; not among `requests`.")
    edits: int = Field(0, description="Pictures drawn or found drawn, each picture of a grid counted.")
    images_encoded: int = Field(0, description="Images turned into latents, by edits and by fits.")
    rows_fitted: int = Field(0, description="Labelled rows that fits have learnt from.")
    jobs: int = Field(0, description="Fits that ended with a version.")
    bytes_uploaded: int = Field(0, description="Bytes of completed uploads.")
    bytes_stored: int = Field(0, description="Most bytes of uploads and labelled sets held at one time in the hour.")


class UsageView(BaseModel):
    """One hour of a tenant; the present hour still grows."""

    hour: datetime = Field(description="When it began, in UTC.")
    amounts: UsageAmounts


@dataclass(frozen=True)
class Span:
    """Which hours are asked for: from `since`, the hour that holds it included, to before `until`."""

    since: datetime | None
    until: datetime | None


def _span(
    since: Annotated[
        Moment | None,
        Query(alias="from", description="First moment wanted, with its offset: 2026-11-24T00:00:00Z."),
    ] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Moment before which to stop.")] = None,
) -> Span:
    if since is not None and until is not None and since >= until:
        raise InvalidInput(
            f"from is {since.isoformat()}, to is {until.isoformat()}; from must come before to",
            code="invalid_span",
            param="from",
        )
    return Span(since, until)


AskedSpan = Annotated[Span, Depends(_span)]


async def list_hours(session: AsyncSession, tenant_id: str, turn: Turn, span: Span) -> Page[UsageView]:
    """Return one page of a tenant's hours.

    Raises:
        InvalidInput: code `invalid_cursor`.
    """
    found, more = await usage.hours(
        session,
        tenant_id,
        since=None if span.since is None else hour_of(span.since),
        until=span.until,
        limit=turn.limit,
        after=_moment(turn.after_number()),
    )
    shown = [
        UsageView(
            hour=one.hour.astimezone(UTC),
            amounts=UsageAmounts(**{metric: one.amounts.get(metric, 0) for metric in METRICS}),
        )
        for one in found
    ]
    return page_of(shown, more, lambda view: str(int(view.hour.timestamp())))


def _moment(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidInput(
            f"'{seconds}' is not a cursor of this list; send the next_cursor of its previous page, or none",
            code="invalid_cursor",
            param="after",
        ) from None
