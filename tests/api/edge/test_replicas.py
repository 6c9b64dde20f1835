"""Two replicas on one cache: an edit is made once, and by the other one where its maker has died."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from heddle_platform.ports import Looked
from tests.api.edge.edge_world import Edge, FlakyCache, World, running_edge


class Shared(FlakyCache):
    """A cache that counts looks, and says what a test wants about the making of an edit."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.elsewhere = False
        self.edited_keys: list[str] = []

    async def look(self, first: str, second: str, claim: str, *, ttl_seconds: float) -> Looked:
        self.looks += 1
        self.edited_keys.append(first)
        if self.elsewhere:
            await self.add(claim, b"1", ttl_seconds=60)
        return await super().look(first, second, claim, ttl_seconds=ttl_seconds)


@pytest.fixture
def shared(world: World) -> Shared:
    world.cache = Shared()
    return world.cache


@pytest.fixture
async def replicas(world: World, shared: Shared) -> AsyncIterator[tuple[Edge, Edge]]:
    async with running_edge(world) as one, running_edge(world) as two:
        yield one, two


async def drawn(edge: Edge) -> float:
    """Return how many pictures this replica drew."""
    text = (await edge.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith("heddle_batch_rows_sum")]
    return float(line.split()[1])


async def until_looked(shared: Shared, looks: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if shared.looks >= looks:
                return
            await asyncio.sleep(0)


async def test_what_another_replica_makes_is_waited_for_and_not_made_again(
    replicas: tuple[Edge, Edge], shared: Shared
) -> None:
    one, two = replicas
    image = one.world.fitted.images[0]
    made = await one.edit(image, set={"glasses": "round"})
    await one.state["edits"].settle()
    (key,) = shared.edited_keys
    value = await shared.get(key)
    assert value is not None
    await shared.delete(key)  # as if the first replica were still at it
    shared.elsewhere = True
    asked = asyncio.create_task(two.edit(image, set={"glasses": "round"}))
    await until_looked(shared, 2)
    await shared.set(key, value, ttl_seconds=60)
    answer: httpx.Response = await asked
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "hit")
    assert answer.content == made.content
    assert (await drawn(one), await drawn(two)) == (1.0, 0.0)


async def test_what_a_dead_replica_claimed_is_made_by_another(replicas: tuple[Edge, Edge], shared: Shared) -> None:
    shared.elsewhere = True  # somebody claimed it, and nothing ever comes of it
    answer = await replicas[1].edit(replicas[1].world.fitted.images[0], set={"glasses": "round"})
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "miss")


async def test_many_at_once_on_both_get_the_same_picture(replicas: tuple[Edge, Edge]) -> None:
    image = replicas[0].world.fitted.images[1]
    asked: list[Any] = [edge.edit(image, set={"skin": "sand"}) for edge in replicas * 8]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await drawn(replicas[0]) <= 1.0  # in each replica at most one
    assert await drawn(replicas[1]) <= 1.0
