"""Applies missing migrations to `HEDDLE_DATABASE_URL`: python -m heddle_infra.database, run before the planes start."""

import asyncio

from heddle_infra.database import migrate
from heddle_platform.settings import DatabaseSettings


def main() -> None:
    """Migrate and return; several may run at once."""
    asyncio.run(migrate.upgrade(DatabaseSettings().database_url.get_secret_value()))


if __name__ == "__main__":
    main()
