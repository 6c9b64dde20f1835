"""The database's failures as the platform's errors, against real PostgreSQL."""

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


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    settings = DatabaseSettings(
        database_url=SecretStr("postgresql+asyncpg://nobody@127.0.0.1:1/none"), database_connect_timeout_seconds=2
    )
    database = Database(settings)
    assert not await database.ping()
    await database.close()
