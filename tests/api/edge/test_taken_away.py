"""Real servers killed under a running edge: edits by resident adapters go on, and each server is found again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from heddle_adapters.artifact import digest_of, pack
from heddle_api.edge.app import EdgePorts, create_app
from heddle_api.edge.source import DatabaseSource
from heddle_infra import local
from heddle_infra.cache import CircuitBreaker, RedisCache
from heddle_infra.database.engine import Database
from heddle_infra.database.models import AdapterVersionRow, BaseRow, TenantRow
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.settings import (
    CacheSettings,
    DatabaseSettings,
    LimitSettings,
    ObjectStoreSettings,
    SecuritySettings,
    ServiceSettings,
)
from tests.api.control_world import Person, open_world
from tests.api.edge.edge_world import Edge, Fitted, caller_of, make_world
from tests.conftest import arguments, clean_environment, new_data_dir


@dataclass
class Servers:
    """Real servers of the test's own, which are started again when they are killed."""

    data_dir: Path
    variables: dict[str, str]

    def kill(self, name: str) -> int:
        """Kill a server and return the process it was."""
        (part,) = [part for part in local.describe(self.data_dir).processes if part.name == name]
        assert part.pid is not None
        psutil.Process(part.pid).kill()
        return part.pid

    def wait_for_successor(self, name: str, pid: int) -> None:
        """Wait until it was started again and is ready."""
        for _ in range(1_200):
            (part,) = [part for part in local.describe(self.data_dir).processes if part.name == name]
            if part.state == "ready" and part.pid != pid:
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} was not started again")


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    data_dir = new_data_dir()
    try:
        config = local.StackConfig(data_dir, services=("cache", "objects", "postgres"))
        local.start_detached(config, environment=clean_environment())
        yield Servers(data_dir, local.stack_settings(data_dir))
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()


@dataclass
class Setting:
    """An edge on those servers, with one adapter of one tenant in production and one that is not servable yet."""

    edge: Edge
    database: Database
    person: Person
    image: bytes

    async def edit(self, level: str) -> httpx.Response:
        return await self.edge.edit(self.image, adapter="avatars@1", set={"glasses": level})

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
async def setting(servers: Servers, bundle: BaseBundle, fitted: Fitted) -> AsyncIterator[Setting]:
    variables = servers.variables
    objects = S3ObjectStore(ObjectStoreSettings.model_validate(arguments("S3_", variables)))
    database = Database(DatabaseSettings(database_url=SecretStr(variables["HEDDLE_DATABASE_URL"])))
    cache_settings = CacheSettings(redis_url=SecretStr(variables["HEDDLE_REDIS_URL"]), redis_timeout_seconds=1.0)
    cache = RedisCache(cache_settings, CircuitBreaker(open_seconds=0.1))
    for file, data in bundle.all_files().items():
        await asyncio.to_thread(objects.put, keys.base_file("default", bundle.digest, file), data)
    async with open_world(variables["HEDDLE_DATABASE_URL"]) as control:
        base_id = await control.publish_base()
        person = await control.tenant("served")
        await person.fitted("avatars", verdict="pass")
        await person.fitted("later", verdict="fail")
        adapters = {"avatars": fitted.adapter, "later": fitted.adapter.with_refused(["skin"])}
        async with database.platform_transaction() as session:
            await session.execute(
                update(BaseRow).where(BaseRow.id == base_id).values(name="default", digest=bundle.digest)
            )
            for row in (await person.get("/v1/adapters"))["data"]:
                data = pack(adapters[row["name"]])
                place = keys.adapter_file(person.id, digest_of(data), "adapter.npz")
                await asyncio.to_thread(objects.put, place, data)
                values = {"digest": digest_of(data), "base_digest": bundle.digest}
                mine = AdapterVersionRow.adapter_id == row["id"]
                await session.execute(update(AdapterVersionRow).where(mine).values(values))

        @asynccontextmanager
        async def ports() -> AsyncIterator[EdgePorts]:
            yield EdgePorts(
                DatabaseSource(database),
                objects,
                cache,
                cache_settings,
                SecuritySettings(secret_key=SecretStr("a secret of the tests")),
                LimitSettings(),
                ServiceSettings(edge_poll_seconds=0.1),
            )

        world = make_world(bundle, fitted)
        world.keys["tenant"] = person.key
        app = create_app(ports)
        async with app.router.lifespan_context(app) as state:
            assert state is not None
            async with caller_of(app, dict(state), world) as edge:
                made = Setting(edge, database, person, fitted.images[300])
                await made.until(lambda: state["readiness"].serving is not None and state["readiness"].resident == 1)
                yield made
        async with database.platform_transaction() as session:
            # the next test publishes it anew
            await session.execute(update(BaseRow).where(BaseRow.id == base_id).values(digest=base_id))
    await cache.close()
    await database.close()


async def test_redis_is_killed_and_comes_back(setting: Setting, servers: Servers) -> None:
    expected = await setting.edit("round")
    assert expected.status_code == 200, expected.text
    pid = servers.kill("cache")
    answers = [await setting.edit("round") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {expected.content}
    files = {"image": ("face.png", setting.image)}
    taken = await setting.edge.post("/v1/images", files=files, headers=setting.edge.world.headers())
    assert taken.status_code == 201
    await asyncio.to_thread(servers.wait_for_successor, "cache", pid)
    async with asyncio.timeout(30):
        while True:
            if (await setting.edit("round")).headers["x-cache"] == "hit":
                break
            await asyncio.sleep(0.05)


async def test_the_database_is_killed_and_comes_back(setting: Setting, servers: Servers) -> None:
    pid = servers.kill("postgres")
    answers = [await setting.edit(level) for level in ("none", "round", "none")]
    assert {answer.status_code for answer in answers} == {200}
    await asyncio.to_thread(servers.wait_for_successor, "postgres", pid)
    async with setting.database.platform_transaction() as session:
        await session.execute(update(TenantRow).where(TenantRow.id == setting.person.id).values(epoch=7))
    loader = setting.edge.state["readiness"]
    await setting.until(lambda: loader.serving.epochs[setting.person.id] == 7)
    assert (await setting.edit("round")).status_code == 200


async def test_the_object_store_is_killed_and_comes_back(setting: Setting, servers: Servers) -> None:
    pid = servers.kill("objects")
    async with setting.database.platform_transaction() as session:  # a version whose file nobody can read now
        await session.execute(
            update(AdapterVersionRow).where(AdapterVersionRow.tenant_id == setting.person.id).values(status="passed")
        )
    assert (await setting.edit("round")).status_code == 200
    await asyncio.to_thread(servers.wait_for_successor, "objects", pid)
    loader = setting.edge.state["readiness"]
    await setting.until(lambda: loader.resident == 2)
    later = await setting.edge.edit(setting.image, adapter="later@1", set={"glasses": "round"})
    assert later.status_code == 200
