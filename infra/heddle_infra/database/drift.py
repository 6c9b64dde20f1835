"""Drift: sums over edited images arrive in flushes as usage does, each counted once, and add up by version and hour."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Float, and_, delete, func, literal_column, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import usage
from heddle_infra.database.adapters import PRODUCTION
from heddle_infra.database.edge_models import DriftHourRow
from heddle_infra.database.models import AdapterRow, AdapterVersionRow, AliasRow, FactorSetVersionRow, TenantRow
from heddle_infra.database.paging import page
from heddle_platform.drift import KEPT_HOURS, DriftSlot, DriftSums, Watched, WatchedSums

# The tenant's row is held: an erasure that raises its epoch comes before this and is heeded, or after it and takes the
# rows away. In one order, so that two flushes never wait for each other in a ring.
_ADD: Final = """
    insert into drift_hours (
        adapter_id, version, hour, tenant_id, images, outside, square, freedom, trace, square_trace, total, levels)
    select adapter_versions.adapter_id, adapter_versions.version, sent.hour, tenants.id, sent.images, sent.outside,
        sent.square, sent.freedom, sent.trace, sent.square_trace, sent.total, sent.levels
    from jsonb_to_recordset(cast(:rows as jsonb)) as sent (
        tenant_id text, epoch integer, adapter_name text, version integer, hour timestamptz, images bigint,
        outside bigint, square float8, freedom bigint, trace float8, square_trace float8, total float8[],
        levels bigint[])
    join tenants on tenants.id = sent.tenant_id and tenants.epoch = sent.epoch
    join adapters on adapters.tenant_id = tenants.id and adapters.name = sent.adapter_name
    join adapter_versions on adapter_versions.adapter_id = adapters.id and adapter_versions.version = sent.version
    order by adapter_versions.adapter_id, adapter_versions.version, sent.hour
    for share of tenants
    on conflict (adapter_id, version, hour) do update set
        images = drift_hours.images + excluded.images,
        outside = drift_hours.outside + excluded.outside,
        square = drift_hours.square + excluded.square,
        freedom = drift_hours.freedom + excluded.freedom,
        trace = drift_hours.trace + excluded.trace,
        square_trace = drift_hours.square_trace + excluded.square_trace,
        total = (select coalesce(array_agg(one + two order by place), '{}')
            from unnest(drift_hours.total, excluded.total) with ordinality as pair (one, two, place)),
        levels = (select coalesce(array_agg(one + two order by place), '{}')
            from unnest(drift_hours.levels, excluded.levels) with ordinality as pair (one, two, place))
"""
_ROWS_AT_ONCE: Final = 50  # two or three milliseconds, in which the event loop does nothing else


async def flush(session: AsyncSession, source: str, sequence: int, sums: Mapping[DriftSlot, DriftSums]) -> bool:
    """Add the sums of a process, once; what belongs to a version or an epoch that is no more is left out.

    Args:
        session: open platform-wide session.
        source, sequence: as `usage.flush`; no source sends both.
        sums: what was summed since the flush before.

    Returns:
        False if this flush had arrived already.
    """
    if not await usage.arrives_first(session, source, sequence):
        return False
    slots = sorted(sums)
    for start in range(0, len(slots), _ROWS_AT_ONCE):
        rows = [
            {**slot._asdict(), "hour": slot.hour.isoformat(), **vars(sums[slot])}
            for slot in slots[start : start + _ROWS_AT_ONCE]
        ]
        await session.execute(text(_ADD), {"rows": json.dumps(rows, allow_nan=False)})
    return True


async def forget_old(session: AsyncSession) -> None:
    """Delete what is kept no longer, of all tenants."""
    await session.execute(
        delete(DriftHourRow).where(DriftHourRow.hour < func.now() - func.make_interval(0, 0, 0, 0, KEPT_HOURS))
    )


async def edited(
    session: AsyncSession, *, hours: int, limit: int, after: tuple[str, int] | None
) -> list[tuple[str, str, int]]:
    """Return versions in production, of active tenants, that edited an image within the last hours; platform-wide.

    Args:
        session: open platform-wide session.
        hours: how far back.
        limit: most versions to return.
        after: (adapter id, version) of the last one of the part before.

    Returns:
        (tenant id, adapter id, version), in one order.
    """
    key = AliasRow.adapter_id, AliasRow.version
    seen = (
        select(DriftHourRow.adapter_id)
        .where(DriftHourRow.adapter_id == AliasRow.adapter_id, DriftHourRow.version == AliasRow.version)
        .where(_within(hours))
        .exists()
    )
    query = (
        select(AliasRow.tenant_id, *key)
        .join(TenantRow, TenantRow.id == AliasRow.tenant_id)
        .where(TenantRow.status == "active", AliasRow.alias == PRODUCTION, seen)
    )
    if after is not None:
        query = query.where(tuple_(*key) > after)
    found = await session.execute(query.order_by(*key).limit(limit))
    return [(tenant_id, adapter_id, version) for tenant_id, adapter_id, version in found.all()]


async def in_production(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[tuple[str, int]], bool]:
    """Return one page of the tenant's adapters in production as (adapter id, version), newest adapter first."""
    query = (
        select(AliasRow)
        .join(AdapterRow, AdapterRow.id == AliasRow.adapter_id)
        .where(AdapterRow.tenant_id == tenant_id, AliasRow.alias == PRODUCTION)
    )
    rows, more = await page(session, query, AliasRow.adapter_id, limit=limit, after=after)
    return [(row.adapter_id, row.version) for row in rows], more


async def watched(
    session: AsyncSession, tenant_id: str, versions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Watched]:
    """Return what versions of the tenant were fitted on; a few numbers out of each card, which is a hundred times
    larger."""
    card = AdapterVersionRow.card
    effective = card["protocol", "weights", "effective_rows"].astext
    rows = await session.execute(
        select(
            AdapterVersionRow.adapter_id,
            AdapterRow.name,
            AdapterVersionRow.version,
            func.coalesce(effective.cast(Float), card["labels"].astext.cast(Float), 0)
            + func.coalesce(card["pool"].astext.cast(Float), 0),
            effective.is_not(None),
            _of_factors("name"),
            _of_factors("counts"),
            _of_factors("readable"),
            FactorSetVersionRow.document,
        )
        .join(AdapterRow, AdapterRow.id == AdapterVersionRow.adapter_id)
        .join(
            FactorSetVersionRow,
            and_(
                FactorSetVersionRow.id == AdapterVersionRow.factor_set_id,
                FactorSetVersionRow.version == AdapterVersionRow.factor_set_version,
            ),
        )
        .where(
            AdapterVersionRow.tenant_id == tenant_id,
            tuple_(AdapterVersionRow.adapter_id, AdapterVersionRow.version).in_(versions),
        )
    )
    return {
        (adapter_id, version): Watched(
            adapter_id,
            name,
            version,
            int(images),
            [
                {"name": factor, "counts": count, "readable": readable}
                for factor, count, readable in zip(names, counts, readables, strict=True)
            ],
            is_weighted,
            document,
        )
        for adapter_id, name, version, images, is_weighted, names, counts, readables, document in rows.all()
    }


def _within(hours: int) -> ColumnElement[bool]:
    """Return whether an hour is among the last ones; that in which the time began is whole."""
    return DriftHourRow.hour >= func.date_trunc("hour", func.now() - func.make_interval(0, 0, 0, 0, hours), "UTC")


def _of_factors(name: str) -> ColumnElement[list[Any]]:
    """Return one field of all factors of a card."""
    path: ColumnElement[str] = literal_column(f"'$.factors[*].{name}'::jsonpath")
    return func.jsonb_path_query_array(AdapterVersionRow.card, path, type_=JSONB)


async def sums_of(
    session: AsyncSession, tenant_id: str, versions: Collection[tuple[str, int]], *, hours: int
) -> dict[tuple[str, int], WatchedSums]:
    """Return the sums of versions of the tenant over the last hours; those without any image are left out."""
    key = DriftHourRow.adapter_id, DriftHourRow.version
    wanted = (
        DriftHourRow.tenant_id == tenant_id,
        tuple_(*key).in_(versions),
        _within(hours),
    )
    numbers = [
        func.sum(column)
        for column in (
            DriftHourRow.images,
            DriftHourRow.outside,
            DriftHourRow.square,
            DriftHourRow.freedom,
            DriftHourRow.trace,
            DriftHourRow.square_trace,
        )
    ]
    rows = await session.execute(
        select(*key, func.min(DriftHourRow.hour), func.max(DriftHourRow.hour), *numbers).where(*wanted).group_by(*key)
    )
    vectors: list[dict[tuple[str, int], tuple[Any, ...]]] = []
    for column in (DriftHourRow.total, DriftHourRow.levels):
        parts = func.unnest(column).table_valued("value", with_ordinality="place").render_derived()
        found = await session.execute(
            select(*key, func.sum(parts.c.value))
            .join_from(DriftHourRow, parts, text("true"))
            .where(*wanted)
            .group_by(*key, parts.c.place)
            .order_by(*key, parts.c.place)
        )
        vectors.append({})
        for adapter_id, version, value in found.all():
            vectors[-1][adapter_id, version] = (*vectors[-1].get((adapter_id, version), ()), value)
    total, levels = vectors
    return {
        (adapter_id, version): WatchedSums(
            DriftSums(
                int(images),
                int(outside),
                square,
                int(freedom),
                trace,
                square_trace,
                total.get((adapter_id, version), ()),
                tuple(int(count) for count in levels.get((adapter_id, version), ())),
            ),
            first,
            last,
        )
        for adapter_id, version, first, last, images, outside, square, freedom, trace, square_trace in rows.all()
    }
