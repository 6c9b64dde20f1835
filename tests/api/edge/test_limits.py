"""Keys and limits at the edge: rotation, revocation and suspension arrive by themselves, rates hold, edits count."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from heddle_api.auth import hash_key, mint_key
from heddle_infra.database.serving import ServedKey
from heddle_platform.usage import Slot
from tests.api.edge.edge_world import OTHER, TENANT, Edge, World, running_edge


@dataclass
class Sink:
    """Adds up what it is sent."""

    amounts: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def flush(self, source: str, sequence: int, counts: Mapping[Slot, int]) -> None:
        for slot, amount in counts.items():
            self.amounts[slot.tenant_id, slot.metric] += amount


async def read(edge: Edge, who: str = "tenant") -> httpx.Response:
    """Ask for the least there is; 404 says that the key was taken."""
    form = {"image_id": (None, "img_none"), "edit": (None, json.dumps({"adapter": "avatars"}))}
    return await edge.post("/v1/edits", files=form, headers=edge.world.headers(who))


async def refreshed(edge: Edge) -> None:
    await edge.state["readiness"].refresh()


async def test_both_secrets_of_a_rotated_key_work_until_the_old_one_ends(edge: Edge) -> None:
    new = mint_key()
    source = edge.world.source
    edge.world.keys["new"] = new.plaintext
    old_hash = hash_key(edge.world.keys["tenant"])
    soon = datetime.now(UTC) + timedelta(hours=1)
    both = {
        **source.now.keys,
        old_hash: ServedKey("key_tenant", TENANT, ("edits",), soon),
        new.hash: ServedKey("key_tenant", TENANT, ("edits",), None),
    }
    source.change(keys=both)
    await refreshed(edge)
    assert [(await read(edge, who)).status_code for who in ("tenant", "new")] == [404, 404]
    source.change(keys={**both, old_hash: ServedKey("key_tenant", TENANT, ("edits",), datetime.now(UTC))})
    await refreshed(edge)
    # ended by the clock, without any further snapshot
    assert [(await read(edge, who)).status_code for who in ("tenant", "new")] == [401, 404]


async def test_a_revoked_key_and_a_suspended_tenant_arrive_within_a_poll(edge: Edge) -> None:
    source = edge.world.source
    tenant, other = (hash_key(edge.world.keys[who]) for who in ("tenant", "other"))
    left = {secret: key for secret, key in source.now.keys.items() if secret not in (tenant, other)}
    source.change(keys=left, suspended=frozenset({other}), epochs={TENANT: 1})
    async with asyncio.timeout(10):  # nobody calls refresh: the edge polls
        while (await read(edge, "other")).status_code != 403:
            pass
    refused = await read(edge, "other")
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")
    gone = await read(edge, "tenant")
    assert (gone.status_code, gone.json()["code"]) == (401, "unknown_key")


async def test_a_tenants_rate_holds_and_is_told_on_every_answer(edge: Edge) -> None:
    edge.world.source.change(rates={TENANT: (0.01, 3)})
    await refreshed(edge)
    answers = [await read(edge) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"edge";q=3;w=300'}
    left = [re.fullmatch(r'"edge";r=(\d+);t=\d+', answer.headers["ratelimit"]) for answer in answers]
    assert [found and found.group(1) for found in left] == ["2", "1", "0", "0"]
    assert (answers[3].json()["code"], 60 < int(answers[3].headers["retry-after"]) <= 100) == ("rate_limited", True)
    assert (await read(edge, "other")).status_code == 404


async def test_a_successful_edit_says_what_is_left(edge: Edge) -> None:
    answer = await edge.edit(edge.world.fitted.images[0])
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (200, '"edge";q=4000;w=2')
    assert answer.headers["ratelimit"].startswith('"edge";r=3999;')


async def test_with_the_cache_away_the_rate_still_holds(edge: Edge) -> None:
    edge.world.source.change(rates={TENANT: (0.01, 2)})
    edge.world.cache.away = True
    await refreshed(edge)
    image = edge.world.fitted.images[0]
    assert [(await edge.edit(image)).status_code for _ in range(3)] == [200, 200, 429]


async def test_edits_and_encoded_images_are_counted_without_the_database(world: World) -> None:
    sink = Sink()
    world.usage = sink
    async with running_edge(world) as edge:
        first, second = world.fitted.images[:2]
        world.source.away = True  # counting asks nobody
        assert (await edge.edit(first, set={"glasses": "none"})).headers["x-cache"] == "miss"
        assert (await edge.edit(first, set={"glasses": "none"})).headers["x-cache"] == "hit"
        assert (await edge.edit(first, set={"glasses": "round"})).headers["x-cache"] == "latent"
        grid = {"grid": json.dumps({"adapter": "avatars", "factor": "glasses"})}
        files = {"image": ("face.png", second)}
        drawn = await edge.post("/v1/edits/grid", files=files, data=grid, headers=world.headers())
        pictures = len(json.loads(drawn.headers["x-grid-values"]))
        assert (await edge.edit(first, who="other")).status_code == 404
    assert sink.amounts == {
        (TENANT, "requests"): 4,
        (TENANT, "edits"): 3 + pictures,
        (TENANT, "images_encoded"): 2,
        (OTHER, "requests"): 1,
    }


@pytest.mark.parametrize("rates", [(None, 7), (5.0, None)])
async def test_a_rate_may_be_set_in_part(edge: Edge, rates: tuple[float | None, int | None]) -> None:
    edge.world.source.change(rates={TENANT: rates})
    await refreshed(edge)
    policy = (await read(edge)).headers["ratelimit-policy"]
    assert policy == ('"edge";q=7;w=1' if rates[0] is None else '"edge";q=4000;w=800')
