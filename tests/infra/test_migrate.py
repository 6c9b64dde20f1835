"""Migrations end where the models are."""

from heddle_infra.database import migrate


async def test_the_migrated_database_equals_the_models(postgres_owner_url: str) -> None:
    await migrate.upgrade(postgres_owner_url)  # a second time changes nothing
    await migrate.check(postgres_owner_url)
