"""The database's failures as the platform's errors, against real PostgreSQL."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from heddle_infra.database.engine import Database
from heddle_platform.errors import Unavailable
from heddle_platform.settings import DatabaseSettings


async def test_a_connection_the_server_ends_is_unavailable_and_the_next_one_works(postgres_url: str) -> None:
    database = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    try:
        with pytest.raises(Unavailable, match="try again"):
            async with database.platform_transaction() as session:
                await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        assert await database.ping()
    finally:
        await database.close()


async def test_a_pooled_connection_that_the_server_closed_costs_no_failed_request(postgres_url: str) -> None:
    settings = DatabaseSettings(database_url=SecretStr(postgres_url))
    database, other = Database(settings), Database(settings)
    asked = text("select pg_backend_pid()")
    try:
        async with database.platform_transaction() as session:
            pid = await session.scalar(asked)
        async with database.platform_transaction() as session:
            assert await session.scalar(asked) == pid, "the connection is used again"
        async with other.platform_transaction() as session:
            await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
        await asyncio.sleep(0.2)  # until the server's farewell is here
        async with database.platform_transaction() as session:
            assert await session.scalar(asked) != pid
    finally:
        await database.close()
        await other.close()


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    settings = DatabaseSettings(
        database_url=SecretStr("postgresql+asyncpg://nobody@127.0.0.1:1/none"), database_connect_timeout_seconds=2
    )
    database = Database(settings)
    assert not await database.ping()
    await database.close()
