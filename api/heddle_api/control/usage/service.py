"""Usage: pages of hours, newest first; an hour in which nothing was counted is left out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime, BaseModel, Field, create_model
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.page import Page, Turn, page_of
from heddle_infra.database import usage
from heddle_platform.errors import InvalidInput
from heddle_platform.usage import MEANING, METRICS, hour_of

_Amounts = create_model(  # one field for each metric, so that the list of metrics is written once
    "UsageAmounts",
    __doc__="What was counted within the hour.",
    **{metric: (int, Field(0, description=MEANING[metric])) for metric in METRICS},
)


class UsageView(BaseModel):
    """One hour of a tenant; the present hour still grows."""

    hour: datetime = Field(description="When it began, in UTC.")
    amounts: _Amounts  # type: ignore[valid-type]


@dataclass(frozen=True)
class Span:
    """Which hours are asked for: from `since`, the hour that holds it included, to before `until`."""

    since: datetime | None
    until: datetime | None


def _span(
    since: Annotated[
        AwareDatetime | None,
        Query(alias="from", description="First moment wanted, with its offset: 2026-11-24T00:00:00Z."),
    ] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Moment before which to stop.")] = None,
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
            amounts={metric: amount for metric, amount in one.amounts.items() if metric in METRICS},
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
