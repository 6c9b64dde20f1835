"""Usage: a flush counts once, flushes add up, hours come in pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from heddle_infra.database import usage
from heddle_infra.database.engine import Database
from heddle_platform.ids import new_id
from heddle_platform.settings import DatabaseSettings
from heddle_platform.usage import Slot

HOUR = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    made = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    yield made
    await made.close()


async def amounts(database: Database, tenant_id: str) -> list[tuple[datetime, dict[str, int]]]:
    async with database.platform_transaction() as session:
        found, _ = await usage.hours(session, tenant_id, since=None, until=None, limit=100, after=None)
    return [(one.hour, dict(one.amounts)) for one in found]


async def flush(database: Database, source: str, sequence: int, counts: dict[Slot, int]) -> bool:
    async with database.platform_transaction() as session:
        return await usage.flush(session, source, sequence, counts)


async def test_a_flush_that_is_sent_again_counts_once(database: Database) -> None:
    tenant, source = new_id("ten"), new_id("req")
    counts = {Slot(tenant, HOUR, "requests"): 3, Slot(tenant, HOUR, "edits"): 2}
    assert [await flush(database, source, 1, counts) for _ in range(3)] == [True, False, False]
    assert await flush(database, source, 2, counts)
    assert await amounts(database, tenant) == [(HOUR, {"requests": 6, "edits": 4})]


async def test_processes_add_up_at_the_same_time(database: Database) -> None:
    tenants = [new_id("ten") for _ in range(5)]
    counts = {Slot(tenant, HOUR, "requests"): 1 for tenant in tenants}
    backwards = dict(reversed(list(counts.items())))
    await asyncio.gather(*(flush(database, f"{tenants[0]} {n}", 1, counts if n % 2 else backwards) for n in range(12)))
    assert [await amounts(database, tenant) for tenant in tenants] == [[(HOUR, {"requests": 12})]] * 5


async def test_hours_come_newest_first_in_pages_within_their_span(database: Database) -> None:
    tenant = new_id("ten")
    hours = [HOUR - timedelta(hours=back) for back in range(5)]
    await flush(database, tenant, 1, {Slot(tenant, hour, "jobs"): 1 for hour in hours})

    async def page(**asked: datetime | int | None) -> tuple[list[datetime], bool]:
        arguments: dict[str, datetime | int | None] = {"since": None, "until": None, "after": None, "limit": 2}
        async with database.platform_transaction() as session:
            found, more = await usage.hours(session, tenant, **{**arguments, **asked})  # type: ignore[arg-type]
        return [one.hour for one in found], more

    assert await page() == (hours[:2], True)
    assert await page(after=hours[1]) == (hours[2:4], True)
    assert await page(after=hours[3]) == (hours[4:], False)
    assert await page(since=hours[3], until=hours[1], limit=10) == ([hours[2], hours[3]], False)
