"""Usage by the hour: counts arrive in flushes, each of which is counted once however often it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.accounts import UsageHourRow, UsageSourceRow
from heddle_platform.usage import Slot

_FORGET_SOURCES: Final = timedelta(days=7)  # no process waits so long with a flush
_ROWS_AT_ONCE: Final = 1_000  # PostgreSQL takes 32,767 parameters

_ADD: Final = text(
    """
    insert into usage_hours (tenant_id, hour, metric, amount)
    select * from unnest(
        cast(:tenants as text[]), cast(:hours as timestamptz[]), cast(:metrics as text[]), cast(:amounts as bigint[]))
    on conflict (tenant_id, hour, metric) do update set amount = usage_hours.amount + excluded.amount
    """
)
_STORED: Final = """
    insert into usage_hours (tenant_id, hour, metric, amount)
    select uploads.tenant_id, date_trunc('hour', now(), 'UTC'), 'bytes_stored', sum(uploads.bytes)
    from uploads left join datasets on datasets.upload_id = uploads.id
    where uploads.tenant_id is not null
        and (uploads.status = 'complete' or datasets.status in ('validating', 'ready'))
    group by uploads.tenant_id order by uploads.tenant_id
    on conflict (tenant_id, hour, metric) do update set amount = greatest(usage_hours.amount, excluded.amount)
"""


@dataclass(frozen=True)
class UsageHour:
    """What was counted of a tenant in one hour."""

    hour: datetime
    amounts: Mapping[str, int]


async def add(session: AsyncSession, counts: Mapping[Slot, int]) -> None:
    """Add to what is counted already, in the caller's transaction."""
    slots = sorted(counts)  # in one order, so that two flushes never wait for each other in a ring
    for start in range(0, len(slots), _ROWS_AT_ONCE):
        some = slots[start : start + _ROWS_AT_ONCE]
        told = {
            "tenants": [slot.tenant_id for slot in some],
            "hours": [slot.hour for slot in some],
            "metrics": [slot.metric for slot in some],
            "amounts": [counts[slot] for slot in some],
        }
        await session.execute(_ADD, told)


async def flush(session: AsyncSession, source: str, sequence: int, counts: Mapping[Slot, int]) -> bool:
    """Add the counts of a process, once.

    A commit whose answer was lost is sent again under the same number, and is then known.

    Args:
        session: open session.
        source: name of the process, new at each start.
        sequence: number of the flush, growing.
        counts: what was counted since the flush before.

    Returns:
        False if this flush had arrived already.
    """
    if not await arrives_first(session, source, sequence):
        return False
    await add(session, counts)
    return True


async def arrives_first(session: AsyncSession, source: str, sequence: int) -> bool:
    """Note that a flush of a process has arrived; False if it had before."""
    statement = insert(UsageSourceRow).values(source=source, sequence=sequence)
    is_new = await session.scalar(
        statement.on_conflict_do_update(
            index_elements=[UsageSourceRow.source],
            set_={"sequence": sequence, "updated_at": func.now()},
            where=UsageSourceRow.sequence < sequence,
        ).returning(literal_column("1"))
    )
    return is_new is not None


async def forget_sources(session: AsyncSession) -> None:
    """Forget processes that have not been heard of for a week."""
    await session.execute(delete(UsageSourceRow).where(UsageSourceRow.updated_at < func.now() - _FORGET_SOURCES))


async def note_stored_bytes(session: AsyncSession) -> None:
    """Note for each tenant how many bytes it holds; the most of an hour stays, however often this is called."""
    await session.execute(text(_STORED))


async def hours(
    session: AsyncSession,
    tenant_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: datetime | None,
) -> tuple[list[UsageHour], bool]:
    """Return one page of the hours in which anything was counted, newest first, and whether there are more.

    Args:
        session: open session.
        tenant_id: owner.
        since: the first hour wanted.
        until: the hour before which to stop.
        limit: most hours to return.
        after: the last hour of the page before.
    """
    of_tenant = UsageHourRow.tenant_id == tenant_id
    asked = select(UsageHourRow.hour).where(of_tenant).distinct()
    if since is not None:
        asked = asked.where(UsageHourRow.hour >= since)
    if until is not None:
        asked = asked.where(UsageHourRow.hour < until)
    if after is not None:
        asked = asked.where(UsageHourRow.hour < after)
    found = list((await session.scalars(asked.order_by(UsageHourRow.hour.desc()).limit(limit + 1))).all())
    shown = found[:limit]
    amounts: dict[datetime, dict[str, int]] = {hour: {} for hour in shown}
    rows = await session.execute(
        select(UsageHourRow.hour, UsageHourRow.metric, UsageHourRow.amount).where(
            of_tenant, UsageHourRow.hour.in_(shown)
        )
    )
    for hour, metric, amount in rows.all():
        amounts[hour][metric] = amount
    return [UsageHour(hour, amounts[hour]) for hour in shown], len(found) > limit
