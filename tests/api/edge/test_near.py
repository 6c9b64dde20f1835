"""Finished edits in the process's own memory: served without the cache, and no further than the cache's own keys go."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from heddle_api.edge.near import Near
from heddle_api.edge.remembered import EditedImage
from heddle_platform.base.bundle import BaseBundle
from tests.api.edge.edge_world import OTHER, TENANT, Edge, Fitted, World, make_world, running_edge


@pytest.fixture
def world(bundle: BaseBundle, fitted: Fitted) -> World:
    """A world where both tenants have the same adapter of the same name."""
    made = make_world(bundle, fitted)
    (version,) = made.source.now.versions
    made.source.change(
        versions=(version, replace(version, tenant_id=OTHER, adapter_id="ada_2")),
        aliases={(who, "avatars", "production"): 1 for who in (TENANT, OTHER)},
    )
    made.store(fitted.adapter, OTHER)
    return made


@pytest.fixture
async def edge(world: World) -> AsyncIterator[Edge]:
    async with running_edge(world) as running:
        yield running


async def metric(edge: Edge, name: str) -> float:
    text = (await edge.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def cached(edge: Edge, level: str = "round", who: str = "tenant") -> str:
    """Edit the same image again; return what the cache had."""
    answer = await edge.edit(edge.world.fitted.images[0], who=who, set={"glasses": level})
    assert answer.status_code == 200
    state: str = answer.headers["x-cache"]
    return state


async def test_an_edit_made_once_is_a_hit_with_the_cache_gone(edge: Edge) -> None:
    image = edge.world.fitted.images[0]
    first = await edge.edit(image, set={"glasses": "round"})
    edge.world.cache.away = True
    again = await edge.edit(image, set={"glasses": "round"})
    assert [answer.headers["x-cache"] for answer in (first, again)] == ["miss", "hit"]
    assert again.content == first.content
    differing = {"x-cache", "x-edit-id", "x-request-id", "server-timing", "ratelimit"}
    told = [{k: v for k, v in answer.headers.items() if k not in differing} for answer in (first, again)]
    assert told[0] == told[1]
    assert await metric(edge, "heddle_near_hits_total") == 1.0
    assert await metric(edge, "heddle_near_bytes") == len(first.content)


async def test_another_tenants_same_edit_is_no_hit(edge: Edge) -> None:
    assert [await cached(edge), await cached(edge)] == ["miss", "hit"]
    edge.world.cache.away = True  # nothing but this process's memory could give it away
    assert [await cached(edge, who="other"), await cached(edge, who="other")] == ["miss", "hit"]


async def test_after_an_erasure_it_is_neither_served_nor_in_memory(edge: Edge) -> None:
    assert [await cached(edge), await cached(edge, who="other")] == ["miss", "miss"]
    edge.world.cache.away = True
    both = await metric(edge, "heddle_near_bytes")
    edge.world.source.change(epochs={TENANT: 2, OTHER: 1})
    await edge.state["readiness"].refresh()
    assert await metric(edge, "heddle_near_bytes") == both / 2
    assert await cached(edge) == "miss"
    assert await cached(edge, who="other") == "hit"


async def test_a_tenant_that_is_gone_leaves_nothing(edge: Edge) -> None:
    await cached(edge)
    edge.world.source.change(epochs={OTHER: 1})
    await edge.state["readiness"].refresh()
    assert await metric(edge, "heddle_near_bytes") == 0.0


async def test_it_stays_within_its_bytes_and_the_cache_serves_the_rest(world: World) -> None:
    levels = ("none", "round", "square")
    async with running_edge(world) as edge:
        assert [await cached(edge, level) for level in levels] == ["miss", "latent", "latent"]
        each = await metric(edge, "heddle_near_bytes") / len(levels)
    world.cache._values.clear()
    world.near_bytes = round(4 * 2.2 * each)  # a tenant may fill a quarter: two of three
    async with running_edge(world) as edge:
        for _ in range(2):
            for level in levels:
                await cached(edge, level)
                assert await metric(edge, "heddle_near_bytes") <= 2.2 * each
        assert [await cached(edge, level) for level in levels] == ["hit"] * 3


async def test_without_bytes_of_its_own_every_hit_is_the_caches(world: World) -> None:
    world.near_bytes = 0
    async with running_edge(world) as edge:
        assert [await cached(edge), await cached(edge)] == ["miss", "hit"]
        assert await metric(edge, "heddle_near_hits_total") == 0.0
        world.cache.away = True
        assert await cached(edge) == "miss"


async def test_what_another_replica_made_is_held_here_from_the_first_hit_on(world: World) -> None:
    async with running_edge(world) as one, running_edge(world) as two:
        assert [await cached(one), await cached(two)] == ["miss", "hit"]
        assert await metric(two, "heddle_near_hits_total") == 0.0
        world.cache.away = True
        assert await cached(two) == "hit"
        assert await metric(two, "heddle_near_hits_total") == 1.0


async def test_a_moved_alias_is_another_edit(edge: Edge) -> None:
    world = edge.world
    assert await cached(edge) == "miss"
    (first, other) = world.source.now.versions
    second = replace(first, version=2, digest=world.store(world.fitted.adapter.with_refused(["skin"])))
    world.source.change(versions=(first, second, other), aliases={(TENANT, "avatars", "production"): 2})
    await edge.state["readiness"].refresh()
    assert await cached(edge) == "latent"


def test_what_was_under_way_during_an_erasure_is_not_held() -> None:
    near, image = Near(most_bytes=1_000, ttl_seconds=60), EditedImage(bytes(10), "decode", 0.5)
    near.forget_erased({TENANT: 1, OTHER: 1})
    near.put(TENANT, 1, "held", image)
    near.forget_erased({TENANT: 2, OTHER: 1})
    near.put(TENANT, 1, "late", image)
    assert (near.get("held"), near.get("late"), near.nbytes) == (None, None, 0)
    near.put(TENANT, 2, "new", image)
    assert near.get("new") is image
