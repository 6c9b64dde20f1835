"""Aliases that a rollout moves: told to webhooks and trails, trials left alone, the base alias moved at the end."""

from typing import Any

import pytest

from tests.api.control_world import Person, World
from tests.api.rollout_play import begin, close_open, decide, in_production, production, work


@pytest.fixture(autouse=True)
async def none_open(postgres_url: str) -> None:
    await close_open(postgres_url)


async def default_base(world: World) -> str:
    answer = await world.admin.get("/v1/bases/default")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def events(person: Person, action: str) -> list[Any]:
    found = (await person.get("/v1/audit_events?limit=100"))["data"]
    return [event for event in found if event["action"] == action]


async def test_webhooks_and_both_trails_tell_of_every_move(world: World, tenant: Person) -> None:
    await in_production(tenant)
    hook = await tenant.post(
        "/v1/webhook_endpoints", {"url": "https://hooks.example.com/x", "events": ["adapter.alias_moved"]}
    )
    shown = await begin(world, [tenant], canary_share=1)
    await work(world, shown)
    assert (await world.admin.get(f"/v1/rollouts/{shown['id']}")).json()["status"] == "complete"
    await decide(world, shown, "rollback")
    told = (await tenant.get(f"/v1/webhook_endpoints/{hook['id']}/deliveries"))["data"]
    assert [one["event"] for one in told] == ["adapter.alias_moved"] * 2
    moves = await events(tenant, "rollout_moved_alias")
    assert len(moves) == 2
    assert all(event["actor"] == "operator" and shown["id"] in event["target"] for event in moves)
    kept = (await tenant.get("/v1/adapters/avatars/alias_moves"))["data"][:2]
    told = [(one["reason"], one["from_version"], one["version"], one["comment"], one["key_name"]) for one in kept]
    assert told == [("rollout_undone", 2, 1, shown["id"], None), ("rollout", 1, 2, shown["id"], None)]
    assert moves[0]["before"] == moves[1]["after"] != moves[0]["after"]  # newest first
    own = (await world.admin.get("/v1/audit_events?limit=100")).json()["data"]
    assert {event["action"] for event in own if event["target"] == shown["id"]} == {"start_rollout", "roll_back"}


async def test_going_on_and_cancelling_leave_an_event_each(world: World, tenant: Person) -> None:
    await in_production(tenant)
    first = await begin(world, [tenant])
    await work(world, first)
    await decide(world, first, "continue")
    second = await begin(world, [tenant])
    await decide(world, second, "cancel")
    own = (await world.admin.get("/v1/audit_events?limit=100")).json()["data"]
    found = {(event["target"], event["action"]) for event in own}
    assert {(first["id"], "continue_rollout"), (second["id"], "cancel_rollout")} <= found


@pytest.mark.parametrize("kind", ["canary", "shadow"])
async def test_an_alias_with_a_trial_is_left_alone_and_said_to_be(world: World, tenant: Person, kind: str) -> None:
    await in_production(tenant)
    second = await tenant.fitted()
    await tenant.post(f"/v1/adapters/avatars/versions/{second}/approvals", {"decision": "approve"})
    path = "/v1/adapters/avatars/aliases/production"
    etag = (await tenant.http.get(path)).headers["ETag"]
    trial = {"canary": {"version": 1, "weight": 0.1}} if kind == "canary" else {"shadow": 1}
    answer = await tenant.http.put(path, json={"version": second, **trial}, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    before = await production(tenant)
    shown = await begin(world, [tenant], canary_share=1)
    await work(world, shown)
    assert await production(tenant) == before
    report = (await world.admin.get(f"/v1/rollouts/{shown['id']}/report")).json()
    [one] = report["adapters"]
    assert (one["passed"], one["moved"]) == (True, False)
    assert "on trial" in one["reasons"][-1]
    # the trial over, the next rollout takes it along
    etag = (await tenant.http.get(path)).headers["ETag"]
    await tenant.http.put(path, json={"version": second}, headers={"If-Match": etag})
    again = await begin(world, [tenant], canary_share=1)
    await work(world, again)
    assert (await production(tenant))["version"] > second
    # a trial begun since is the tenant's own move, and a rollback leaves it
    etag = (await tenant.http.get(path)).headers["ETag"]
    now = (await production(tenant))["version"]
    await tenant.http.put(path, json={"version": now, **trial}, headers={"If-Match": etag})
    assert (await decide(world, again, "rollback"))["aliases_kept"] == 1
    assert (await production(tenant))["version"] == now


async def test_a_promoted_base_is_the_default_at_the_end_and_back_again(world: World, tenant: Person) -> None:
    old = await world.publish_base()
    await in_production(tenant)
    shown = await begin(world, [tenant], canary_share=0.5, promote=True)
    assert shown["promote"] is True
    await work(world, shown)
    old = await default_base(world)
    assert old != shown["base"]["id"]  # the canary alone promotes nothing
    await decide(world, shown, "continue")
    assert await default_base(world) == shown["base"]["id"]
    await decide(world, shown, "rollback")
    assert await default_base(world) == old


async def test_a_default_moved_since_is_kept(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant], canary_share=1, promote=True)
    await work(world, shown)
    assert await default_base(world) == shown["base"]["id"]
    third = await world.publish_base(name="third", alias="default")
    await decide(world, shown, "rollback")
    assert await default_base(world) == third


async def test_a_dry_run_promotes_nothing(world: World) -> None:
    base = await world.publish_base()
    refused = await world.admin.post(f"/v1/bases/{base}/rollout", json={"promote": True, "dry_run": True})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert "cannot promote" in refused.text
