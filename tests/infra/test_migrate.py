"""Migrations end where the models are, work on a database that holds data, and go back."""

from collections.abc import AsyncIterator

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from heddle_infra.database import migrate
from heddle_infra.database.engine import Database
from heddle_platform.settings import DatabaseSettings


async def test_the_migrated_database_equals_the_models(postgres_owner_url: str) -> None:
    await migrate.upgrade(postgres_owner_url)  # a second time changes nothing
    await migrate.check(postgres_owner_url)


@pytest.fixture
async def another_database(postgres_owner_url: str) -> AsyncIterator[str]:
    """An empty database of the same owner."""
    root = create_async_engine(postgres_owner_url.replace("heddle@", "postgres@"), isolation_level="AUTOCOMMIT")
    async with root.connect() as connection:
        await connection.execute(text("create database another owner heddle"))
    yield postgres_owner_url.replace("/heddle?", "/another?")
    async with root.connect() as connection:
        await connection.execute(text("drop database another with (force)"))
    await root.dispose()


def before_the_walls() -> str:
    config = Config()
    config.set_main_option("script_location", "heddle_infra:database/migrations")
    found = ScriptDirectory.from_config(config).get_revision("0004").down_revision
    assert isinstance(found, str)
    return found


async def test_walls_go_up_around_rows_that_are_there_and_come_down_again(another_database: str) -> None:
    async def policies() -> int:
        async with owner.platform_transaction() as session:
            return int(await session.scalar(text("select count(*) from pg_policy")) or 0)

    async def seen(database: Database, tenant_id: str | None) -> list[str]:
        async with database.transaction(tenant_id) as session:
            return list((await session.scalars(text("select id from tenants"))).all())

    application_url = another_database.replace("heddle@", "heddle_app@")
    owner = Database(DatabaseSettings(database_url=SecretStr(another_database)))
    application = Database(DatabaseSettings(database_url=SecretStr(application_url)))
    await migrate.upgrade(another_database, revision=before_the_walls())
    async with owner.transaction("ten_a") as session:
        await session.execute(text("insert into tenants (id, name) values ('ten_a', 'acme'), ('ten_b', 'rival')"))
    await migrate.upgrade(another_database, application_url=application_url)
    assert await policies() > 0
    assert (await seen(application, "ten_a"), await seen(application, None)) == (["ten_a"], [])
    await migrate.downgrade(another_database, before_the_walls())
    assert (await policies(), sorted(await seen(application, "ten_a"))) == (0, ["ten_a", "ten_b"])
    await migrate.upgrade(another_database, application_url=application_url)
    assert await seen(application, "ten_b") == ["ten_b"]
    await application.close()
    await owner.close()
