"""Drift hours: a flush counts once, flushes add up, erasures and deletions take them, walls hold."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from heddle_infra.database import drift, tenants
from heddle_infra.database.engine import Database
from heddle_platform.drift import KEPT_HOURS, DriftSlot, DriftSums, WatchedSums
from heddle_platform.settings import DatabaseSettings
from heddle_platform.usage import hour_of
from tests.infra.test_queue import fitted, new_tenant

NOW = hour_of(datetime.now(UTC))
SUMS = DriftSums(8, 1, 2.5, 7, 1.5, 0.25, (1.0, -2.0), (3, 5, 8))
TWICE = DriftSums(16, 2, 5.0, 14, 3.0, 0.5, (2.0, -4.0), (6, 10, 16))


@pytest.fixture
async def database(empty_postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    yield opened
    await opened.close()


@dataclass(frozen=True)
class Served:
    """A tenant's version."""

    database: Database
    tenant_id: str
    adapter_id: str
    name: str

    def slot(self, hours_ago: int = 0, *, epoch: int = 1, version: int = 1) -> DriftSlot:
        return DriftSlot(self.tenant_id, epoch, self.name, version, NOW - timedelta(hours=hours_ago))

    async def seen(self, *, by: str | None = None, hours: int = 24) -> WatchedSums | None:
        """Return the sums, as `by` (the owner unless said otherwise) is shown them."""
        key = self.adapter_id, 1
        async with self.database.transaction(by or self.tenant_id) as session:
            return (await drift.sums_of(session, self.tenant_id, [key], hours=hours)).get(key)


async def serve(database: Database) -> Served:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fitted(session, tenant)
        name = await session.scalar(text("select name from adapters where id = :id"), {"id": version.adapter_id})
    return Served(database, tenant.id, version.adapter_id, str(name))


async def flush(database: Database, source: str, sequence: int, *slots: DriftSlot, sums: DriftSums = SUMS) -> bool:
    async with database.platform_transaction() as session:
        # sources are remembered from test to test
        return await drift.flush(session, f"{slots[0].tenant_id} {source}", sequence, dict.fromkeys(slots, sums))


async def test_a_flush_counts_once_and_processes_add_up_at_the_same_time(database: Database) -> None:
    served, another = await serve(database), await serve(database)
    assert [await flush(database, "one", 1, served.slot()) for _ in range(3)] == [True, False, False]
    slots = served.slot(), another.slot()
    for _ in range(2):
        found = await served.seen()
        assert found is not None
        assert found.sums in (SUMS, TWICE)
    await asyncio.gather(*(flush(database, f"p{n}", 1, *(slots if n % 2 else slots[::-1])) for n in range(7)))
    found = await served.seen()
    assert found is not None
    assert found.sums.images == 8 * 8
    assert (found.sums.total, found.sums.levels) == ((8.0, -16.0), (24, 40, 64))


async def test_hours_add_up_within_the_time_asked_for(database: Database) -> None:
    served = await serve(database)
    await flush(database, "one", 1, *(served.slot(ago) for ago in (0, 3, 30)))
    found = await served.seen()
    assert found == WatchedSums(TWICE, NOW - timedelta(hours=3), NOW)
    assert (await served.seen(hours=1)) == WatchedSums(SUMS, NOW, NOW)


async def test_what_nobody_fitted_and_what_an_erasure_has_ended_is_not_added(database: Database) -> None:
    served = await serve(database)
    await flush(
        database, "one", 1, served.slot(version=9), served.slot(epoch=0), served.slot()._replace(adapter_name="x")
    )
    assert await served.seen() is None
    await flush(database, "one", 2, served.slot())
    async with database.platform_transaction() as session:
        epoch = await tenants.raise_epoch(session, served.tenant_id)
    assert await served.seen() is None, "an erasure takes the sums that its images may be in"
    await flush(database, "one", 3, served.slot())
    assert await served.seen() is None, "an edge had counted it before the erasure"
    await flush(database, "one", 4, served.slot(epoch=epoch))
    assert await served.seen() == WatchedSums(SUMS, NOW, NOW)


async def test_deletion_and_age_take_them(database: Database) -> None:
    served, another = await serve(database), await serve(database)
    await flush(database, "one", 1, served.slot(), another.slot(), another.slot(KEPT_HOURS + 1))
    async with database.platform_transaction() as session:
        await tenants.set_tenant_status(session, served.tenant_id, "suspended")
        await tenants.remove_tenant(session, served.tenant_id)
        await drift.forget_old(session)
        left = (await session.execute(text("select tenant_id, hour from drift_hours"))).all()
    assert [tuple(row) for row in left] == [(another.tenant_id, NOW)]


async def test_another_tenant_sees_nothing(database: Database) -> None:
    served, another = await serve(database), await serve(database)
    await flush(database, "one", 1, served.slot())
    assert await served.seen() is not None
    assert await served.seen(by=another.tenant_id) is None
    async with database.platform_transaction() as session:  # without the second wall
        assert await drift.sums_of(session, another.tenant_id, [(served.adapter_id, 1)], hours=24) == {}
        assert await drift.watched(session, another.tenant_id, [(served.adapter_id, 1)]) == {}
        assert await drift.in_production(session, another.tenant_id, limit=9, after=None) == ([], False)
