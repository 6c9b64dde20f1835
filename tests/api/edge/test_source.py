"""The source over real PostgreSQL: what the control plane wrote is what the edge serves."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from heddle_api.auth import hash_key
from heddle_api.edge.source import DatabaseSource
from heddle_infra.database import adapters, tenants
from heddle_infra.database.engine import Database
from heddle_infra.database.models import TenantRow
from heddle_platform.errors import Unavailable
from heddle_platform.settings import DatabaseSettings
from tests.api.control_world import Person, World, open_world


@pytest.fixture
async def plane(postgres_url: str) -> AsyncIterator[World]:
    async with open_world(postgres_url) as opened:
        yield opened


@pytest.fixture
async def person(plane: World) -> Person:
    return await plane.tenant("served")


@pytest.fixture
def source(plane: World) -> DatabaseSource:
    return DatabaseSource(plane.ports.database)


async def put_in_production(person: Person, name: str, number: int) -> None:
    adapter = next(one for one in (await person.get("/v1/adapters"))["data"] if one["name"] == name)
    async with person.world.ports.database.platform_transaction() as session:
        await adapters.move_alias(
            session, person.id, adapter["id"], adapters.PRODUCTION, number, if_match=None, checked=False
        )


async def test_a_version_is_served_once_it_passed_and_its_alias_with_it(person: Person, source: DatabaseSource) -> None:
    before = await source.snapshot()
    assert not [version for version in before.versions if version.tenant_id == person.id]
    number = await person.fitted(verdict="pass")
    await put_in_production(person, "avatars", number)
    snapshot = await source.snapshot()
    (version,) = [version for version in snapshot.versions if version.tenant_id == person.id]
    assert (version.adapter_name, version.version) == ("avatars", number)
    assert version.base_digest in snapshot.bases
    assert snapshot.base_aliases["default"] in snapshot.bases
    assert snapshot.aliases[person.id, "avatars", "production"] == number
    assert snapshot.epochs[person.id] >= 1


async def test_a_version_that_waits_for_a_person_is_not_served(person: Person, source: DatabaseSource) -> None:
    await person.fitted(verdict="needs_approval")
    snapshot = await source.snapshot()
    assert not [version for version in snapshot.versions if version.tenant_id == person.id]


async def test_keys_come_by_hash_with_tenant_scopes_and_epoch(person: Person, source: DatabaseSource) -> None:
    key_hash = hash_key(person.key)
    served = (await source.snapshot()).keys[key_hash]
    assert served.tenant_id == person.id
    assert "edits" in served.scopes
    assert await source.find_key(key_hash) == (served, 1)
    assert await source.find_key(hash_key("hdl_nobody_x")) is None


async def test_a_suspended_tenant_is_gone_from_the_next_snapshot(
    plane: World, person: Person, source: DatabaseSource
) -> None:
    await person.fitted(verdict="pass")
    async with plane.ports.database.platform_transaction() as session:
        await tenants.set_tenant_status(session, person.id, "suspended")
    snapshot = await source.snapshot()
    assert person.id not in snapshot.epochs
    assert hash_key(person.key) not in snapshot.keys
    assert not [version for version in snapshot.versions if version.tenant_id == person.id]
    assert await source.find_key(hash_key(person.key)) is None


async def test_a_snapshot_is_of_one_moment_while_versions_come(person: Person, source: DatabaseSource) -> None:
    await person.fitted(verdict="pass")
    stop = asyncio.Event()

    async def look() -> int:
        looks = 0
        while not stop.is_set():
            snapshot = await source.snapshot()
            there = {(one.tenant_id, one.adapter_name, one.version) for one in snapshot.versions}
            for (tenant_id, name, _), number in snapshot.aliases.items():
                assert (tenant_id, name, number) in there
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    for name in ("one", "two", "three"):
        await put_in_production(person, name, await person.fitted(name, verdict="pass"))
    stop.set()
    assert await looking > 3


async def test_a_database_that_is_away_is_unavailable() -> None:
    url = SecretStr("postgresql+asyncpg://nobody:x@127.0.0.1:1/none")
    database = Database(DatabaseSettings(database_url=url, database_connect_timeout_seconds=1))
    for ask in (DatabaseSource(database).snapshot(), DatabaseSource(database).find_key("x")):
        with pytest.raises(Unavailable):
            await ask
    await database.close()


async def test_the_stamp_changes_with_what_is_served_and_with_nothing_else(
    person: Person, source: DatabaseSource
) -> None:
    number = await person.fitted(verdict="pass")
    seen = [await source.stamp()]
    assert await source.stamp() == seen[-1]
    await put_in_production(person, "avatars", number)
    seen.append(await source.stamp())
    await person.post("/v1/api_keys", {"name": "one more", "scopes": ["edits"]})
    seen.append(await source.stamp())
    assert len(set(seen)) == 3
    await person.get("/v1/adapters")
    assert await source.stamp() == seen[-1]


async def test_the_stamp_of_what_is_not_committed_is_not_seen(person: Person, source: DatabaseSource) -> None:
    before = await source.stamp()
    async with person.world.ports.database.platform_transaction() as session:
        await session.execute(update(TenantRow).where(TenantRow.id == person.id).values(epoch=2))
        assert await source.stamp() == before
    assert await source.stamp() != before
