"""The composition root: right implementations, nothing connected at once, everything released."""

import pytest
from pydantic import SecretStr

from heddle_infra.cache import RedisCache
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_infra.wiring import open_ports
from heddle_platform.errors import Unavailable
from heddle_platform.settings import (
    CacheSettings,
    DatabaseSettings,
    DispatchSettings,
    LimitSettings,
    ObjectStoreSettings,
    SecuritySettings,
    ServiceSettings,
    Settings,
)


def settings(
    postgres_url: str, objects: ObjectStoreSettings | None = None, cache: CacheSettings | None = None
) -> Settings:
    nowhere = ObjectStoreSettings(
        s3_endpoint_url="http://127.0.0.1:9", s3_access_key=SecretStr("a"), s3_secret_key=SecretStr("b")
    )
    return Settings(
        database=DatabaseSettings(database_url=SecretStr(postgres_url)),
        objects=objects or nowhere,
        cache=cache or CacheSettings(redis_url=SecretStr("redis://127.0.0.1:9/0")),
        security=SecuritySettings(),
        limits=LimitSettings(),
        dispatch=DispatchSettings(),
        service=ServiceSettings(),
    )


async def test_ports_open_while_everything_is_away_and_say_so_when_used() -> None:
    ports = open_ports(settings("postgresql+asyncpg://nobody@127.0.0.1:9/none"))
    assert isinstance(ports.database, Database)
    assert isinstance(ports.objects, S3ObjectStore)
    assert isinstance(ports.cache, RedisCache)
    assert await ports.database.ping() is False
    assert await ports.cache.ping() is False
    with pytest.raises(Unavailable):
        ports.objects.get("a")
    await ports.close()


async def test_ports_reach_real_servers(
    postgres_url: str, seaweed_settings: ObjectStoreSettings, valkey_settings: CacheSettings
) -> None:
    ports = open_ports(
        settings(postgres_url, seaweed_settings, valkey_settings.model_copy(update={"redis_timeout_seconds": 5.0}))
    )
    assert await ports.database.ping() is True
    assert await ports.cache.ping() is True
    assert ports.objects.head("none") is None
    await ports.close()
