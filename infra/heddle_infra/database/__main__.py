"""Applies missing migrations: python -m heddle_infra.database, run before the planes start.

As the owner of `HEDDLE_DATABASE_OWNER_URL`, who lets the role of `HEDDLE_DATABASE_URL` in; without it, as the latter.
"""

import asyncio

from heddle_infra.database import migrate
from heddle_platform.settings import DatabaseSettings


def main() -> None:
    """Migrate and return; several may run at once."""
    settings = DatabaseSettings()
    application = settings.database_url.get_secret_value()
    owner = settings.database_owner_url
    url = owner.get_secret_value() if owner else application
    asyncio.run(migrate.upgrade(url, application_url=application))


if __name__ == "__main__":
    main()
