"""Tenants apart at the edge: in a real cache, and on every route that takes something of theirs."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from heddle_api.edge.app import create_app
from heddle_infra.cache import RedisCache
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.keys import cache_prefix, rate_key
from heddle_platform.settings import CacheSettings
from tests.api.edge.edge_world import OTHER, TENANT, Edge, Fitted, FlakyCache, World, make_world, running_edge

# route -> form fields that may name something of a tenant; None: it takes none. A new route of the edge joins here.
NAMES_THINGS: dict[str, tuple[str, ...] | None] = {
    "/v1/edits": ("image_id", "adapter"),
    "/v1/edits/grid": ("image_id", "adapter"),
    "/v1/images": ("adapter",),
    # of batches, and of the adapters in them: test_batches
    "/v1/edit_batches": None,
    "/v1/edit_batches/{batch}": None,
    "/v1/edit_batches/{batch}/download": None,
    "/v1/edit_batches/{batch}/items/{item}": None,
}
GRID = {"adapter": "avatars", "factor": "glasses"}


@pytest.fixture
async def redis(valkey_settings: CacheSettings) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey_settings.redis_url.get_secret_value())
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def cached_edge(bundle: BaseBundle, fitted: Fitted, valkey_settings: CacheSettings) -> AsyncIterator[Edge]:
    """An edge over the real cache, where both tenants have the same adapter of the same name."""
    world: World = make_world(bundle, fitted)
    (version,) = world.source.now.versions
    world.source.change(
        versions=(version, replace(version, tenant_id=OTHER, adapter_id="ada_2")),
        aliases={(who, "avatars", "production"): 1 for who in (TENANT, OTHER)},
    )
    world.store(fitted.adapter, OTHER)
    cache = RedisCache(valkey_settings.model_copy(update={"redis_timeout_seconds": 5.0}))
    world.cache = cast(FlakyCache, cache)
    async with running_edge(world) as edge:
        yield edge
    await cache.close()


async def traffic(edge: Edge, who: str) -> str:
    """Send the same pictures and edits as anybody else; return whether the edit was a hit."""
    image = edge.world.fitted.images[0]
    answer = await edge.edit(image, who=who, set={"glasses": "round"})
    assert answer.status_code == 200, answer.text
    sent = await edge.post("/v1/images", files={"image": ("a.png", image)}, headers=edge.world.headers(who))
    assert sent.status_code == 201, sent.text
    return str(answer.headers["x-cache"])


async def keys_of(redis: Redis) -> set[str]:
    buckets = {rate_key(who, "edge") for who in (TENANT, OTHER)}  # each of one tenant, and of no epoch
    return {key.decode() async for key in redis.scan_iter(count=1000)} - buckets


async def test_every_key_of_the_cache_is_of_one_tenant_and_one_epoch(cached_edge: Edge, redis: Redis) -> None:
    assert await traffic(cached_edge, "tenant") == "miss"
    await cached_edge.state["edits"].settle()
    first = await keys_of(redis)
    assert await traffic(cached_edge, "tenant") == "hit"
    assert await traffic(cached_edge, "other") == "miss"  # the same bytes, and yet nothing is shared
    await cached_edge.state["edits"].settle()
    found = await keys_of(redis)
    by_tenant = {who: {key for key in found if key.startswith(cache_prefix(who))} for who in (TENANT, OTHER)}
    assert found == by_tenant[TENANT] | by_tenant[OTHER]
    assert all(len(keys) >= 3 for keys in by_tenant.values())
    digests = [{key.rpartition(":")[2] for key in keys} for keys in by_tenant.values()]
    assert not digests[0] & digests[1]
    # after an erasure nothing of the epoch before is asked for again
    cached_edge.world.source.change(epochs={TENANT: 2, OTHER: 1})
    await cached_edge.state["readiness"].refresh()
    assert await traffic(cached_edge, "tenant") == "miss"
    await cached_edge.state["edits"].settle()
    assert first & await keys_of(redis) == first & found
    assert await traffic(cached_edge, "other") == "hit"


async def test_every_route_of_the_edge_says_what_it_takes_of_a_tenant() -> None:
    documented = set(create_app().openapi()["paths"])
    assert documented == set(NAMES_THINGS), (
        "add the new route to NAMES_THINGS with the fields that name something of a tenant, and to asked()"
    )


def asked(route: str, image_id: str, adapter: str) -> dict[str, Any]:
    """Return the form of a request that names these things."""
    if route == "/v1/images":
        return {"adapter": (None, adapter)}
    name = "grid" if route.endswith("grid") else "edit"
    document = {**(GRID if name == "grid" else {}), "adapter": adapter}
    return {"image_id": (None, image_id), name: (None, json.dumps(document))}


async def test_anothers_image_and_adapter_are_as_unknown_as_invented_ones(edge: Edge) -> None:
    image = {"image": ("a.png", edge.world.fitted.images[0])}
    theirs = (await edge.post("/v1/images", files=image, headers=edge.world.headers())).json()["image_id"]
    own = (await edge.post("/v1/images", files=image, headers=edge.world.headers("other"))).json()["image_id"]
    invented = "img_" + "0" * 26
    for route, fields in NAMES_THINGS.items():
        for field in fields or ():
            foreign, missing = (theirs, invented) if field == "image_id" else ("avatars", "nothing")
            answers = []
            for value in (foreign, missing):
                form = asked(route, value if field == "image_id" else own, value if field == "adapter" else "avatars")
                files = {**form, **(image if route == "/v1/images" else {})}
                answer = await edge.post(route, files=files, headers=edge.world.headers("other"))
                told = {name: text for name, text in answer.json().items() if name not in ("request_id", "instance")}
                answers.append((answer.status_code, json.dumps(told).replace(value, "<id>")))
            assert answers[0] == answers[1], (route, field)
            assert answers[0][0] == 404, (route, field, answers[0])
