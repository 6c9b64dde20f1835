"""The composition root: the only place that chooses which implementation stands behind each port."""

from dataclasses import dataclass

from heddle_infra.cache import RedisCache
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.settings import Settings


@dataclass(frozen=True)
class Ports:
    """The outside world of one process."""

    settings: Settings
    database: Database
    objects: ObjectStore
    cache: Cache

    async def close(self) -> None:
        """Release every connection; the ports must not be used afterwards."""
        await self.cache.close()
        await self.database.close()


def open_ports(settings: Settings) -> Ports:
    """Build the ports; nothing is connected to before its first use.

    Args:
        settings: of this process, normally `Settings.from_environment()`.

    Returns:
        PostgreSQL, S3 and Redis, at the addresses of the settings.
    """
    return Ports(
        settings=settings,
        database=Database(settings.database),
        objects=S3ObjectStore(settings.objects),
        cache=RedisCache(settings.cache),
    )
