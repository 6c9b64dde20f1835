"""GET /v1/drift: a verdict for each version in production, in pages, to its own tenant; by the client and the shell."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from heddle_api.client import AsyncHeddleClient
from heddle_api.control.drift.watch import tell_drifted
from heddle_infra.database import drift
from heddle_platform.drift import DriftSlot, DriftSums
from heddle_platform.usage import hour_of
from tests.api.control_world import Person, World
from tests.api.live import Live
from tests.api.test_control_cli import shell

NOW = hour_of(datetime.now(UTC))
CARD = {
    "labels": 300,
    "pool": 100,
    "factors": [
        {"name": "smile", "counts": {"off": 100, "on": 200}, "readable": True},
        {"name": "glasses", "counts": {"none": 150, "round": 150}, "readable": True},
    ],
}
ALIKE = DriftSums(80, 1, 160.0, 70, 140.0, 140.0, (0.5, -0.5), (40, 40, 27, 53))
MOVED = DriftSums(80, 20, 880.0, 70, 140.0, 140.0, (240.0, 0.0), (80, 0, 27, 53))


async def serve(world: World, person: Person, *adapters: str) -> None:
    """Bring adapters to production, with what their card says of the fit."""
    for adapter in adapters:
        version = await person.fitted(adapter)
        await person.post(f"/v1/adapters/{adapter}/versions/{version}/approvals", {"decision": "approve"})
        async with world.ports.database.transaction(person.id) as session:
            await session.execute(
                text("update adapter_versions set card = cast(:card as jsonb) where tenant_id = :id"),
                {"card": json.dumps(CARD), "id": person.id},
            )


async def see(world: World, person: Person, adapter: str, sums: DriftSums, *, ago: int = 0) -> None:
    slot = DriftSlot(person.id, 1, adapter, 1, NOW - timedelta(hours=ago))
    async with world.ports.database.platform_transaction() as session:
        await drift.flush(session, f"{person.id} {adapter} {ago}", 1, {slot: sums})


async def test_a_verdict_says_why_and_what_to_do(world: World, tenant: Person) -> None:
    await serve(world, tenant, "avatars")
    [none] = (await tenant.get("/v1/drift"))["data"]
    assert (none["verdict"], none["images"], none["outside"], none["shift"]) == ("too_few", 0, None, None)
    await see(world, tenant, "avatars", ALIKE, ago=3)
    [alike] = (await tenant.get("/v1/drift"))["data"]
    assert (alike["verdict"], alike["images"], alike["reference_images"]) == ("stable", 80, 400)
    assert alike["first_hour"] == alike["last_hour"] == (NOW - timedelta(hours=3)).isoformat().replace("+00:00", "Z")
    levels = {one["factor"]: one for one in alike["levels"]}
    # in the order of the factor set, whatever the order in the card
    assert levels["glasses"]["read"] == {"none": 40, "round": 40}
    assert list(levels["smile"]["read"].values()) == [27, 53]
    assert list(levels["smile"]["labelled"].values()) == [100, 200]
    await see(world, tenant, "avatars", MOVED)
    [moved] = (await tenant.get("/v1/drift", params={"window_hours": 1}))["data"]
    assert (moved["verdict"], moved["images"]) == ("drifted", 80)
    assert len(moved["reasons"]) == 3
    assert any("glasses reads none in 100%" in reason for reason in moved["reasons"])
    assert "refit" in moved["advice"]
    [both] = (await tenant.get("/v1/drift", params={"adapter": "avatars@1"}))["data"]
    assert (both["images"], both["window_hours"]) == (160, 168)


async def test_rows_with_weights_amount_to_fewer_and_their_levels_are_not_compared(
    world: World, tenant: Person
) -> None:
    await serve(world, tenant, "avatars")
    await see(world, tenant, "avatars", MOVED)
    weighted = {**CARD, "protocol": {"weights": {"rows": 200, "effective_rows": 150.5}}}
    async with world.ports.database.transaction(tenant.id) as session:
        statement = text("update adapter_versions set card = cast(:card as jsonb) where tenant_id = :id")
        await session.execute(statement, {"card": json.dumps(weighted), "id": tenant.id})
    [found] = (await tenant.get("/v1/drift"))["data"]
    assert (found["reference_images"], found["levels"], found["verdict"]) == (250, [], "drifted")


async def test_adapters_come_in_pages_and_one_by_name(world: World, tenant: Person) -> None:
    names = ["one", "two", "three"]
    await serve(world, tenant, *names)
    await tenant.fitted("not-served")
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await tenant.get("/v1/drift", params=query)
        seen += [one["adapter"] for one in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]
    assert seen == names[::-1]
    [two] = (await tenant.get("/v1/drift", params={"adapter": "two@production"}))["data"]
    assert two["adapter"] == "two"
    asked = {"adapter": two["adapter_id"], "after": two["adapter_id"]}
    assert (await tenant.get("/v1/drift", params=asked))["data"] == []
    [waits] = (await tenant.get("/v1/drift", params={"adapter": "not-served@1"}))["data"]
    assert (waits["adapter"], waits["reference_images"]) == ("not-served", 0)


@pytest.mark.parametrize(
    ("adapter", "code"),
    [
        ("nobody", "unknown_adapter"),
        ("avatars@2", "unknown_version"),
        ("avatars@99999999999999999999", "unknown_version"),
        ("avatars@later", "unknown_alias"),
    ],
)
async def test_what_is_not_there_is_said(world: World, tenant: Person, adapter: str, code: str) -> None:
    await serve(world, tenant, "avatars")
    answer = await tenant.http.get("/v1/drift", params={"adapter": adapter})
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_another_tenant_sees_nothing(world: World, tenant: Person, other: Person) -> None:
    await serve(world, tenant, "avatars")
    await see(world, tenant, "avatars", MOVED)
    [mine] = (await tenant.get("/v1/drift"))["data"]
    assert (await other.get("/v1/drift"))["data"] == []
    for reference in ("avatars", mine["adapter_id"], f"{mine['adapter_id']}@1"):
        answer = await other.http.get("/v1/drift", params={"adapter": reference})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_adapter")
    await serve(world, other, "avatars")
    [theirs] = (await other.get("/v1/drift"))["data"]
    assert (theirs["verdict"], theirs["images"]) == ("too_few", 0)


async def test_client_and_shell_tell_the_same(live: Live) -> None:
    person = await live.world.tenant()
    empty = await shell(live, "drift", key=person.key)
    assert empty.stdout == "No adapter is in production.\n"
    await serve(live.world, person, "avatars")
    await see(live.world, person, "avatars", MOVED)
    async with AsyncHeddleClient(live.url, None, person.key) as client:
        [found] = await client.drift(adapter="avatars", window_hours=24)
    assert (found.verdict, found.images, found.window_hours) == ("drifted", 80, 24)
    assert found.outside is not None
    assert found.outside.share == 0.25
    told = await shell(live, "drift", "avatars", "--from", "24h", key=person.key)
    assert told.exit_code == 0, told.output
    assert "avatars@1  drifted  80      25.0%" in told.stdout
    assert found.reasons[0] in told.stdout
    assert "type refit" in told.stdout
    document = json.loads((await shell(live, "drift", "avatars", "--json", key=person.key)).stdout)
    assert document[0]["verdict"] == "drifted"
    wrong = await shell(live, "drift", "--from", "lately", key=person.key)
    assert (wrong.exit_code, "'lately' is no time" in wrong.stderr) == (1, True)


async def test_who_has_drifted_is_told_of_once_a_day(world: World, tenant: Person, other: Person) -> None:
    hooks = {}
    for person in (tenant, other):
        await serve(world, person, "avatars", "shop")
        body = {"url": "https://hooks.invalid/", "events": ["adapter.drifted"]}
        hooks[person.id] = (await person.post("/v1/webhook_endpoints", body))["id"]

    async def told(person: Person) -> list[str]:
        sent = await person.get(f"/v1/webhook_endpoints/{hooks[person.id]}/deliveries")
        return [one["event"] for one in sent["data"]]

    await see(world, tenant, "avatars", MOVED)
    await see(world, tenant, "shop", ALIKE)
    await see(world, other, "shop", ALIKE)
    for _ in range(2):  # however often, and by however many planes
        await asyncio.gather(*(tell_drifted(world.state["control"]) for _ in range(3)))
        assert (await told(tenant), await told(other)) == (["adapter.drifted"], [])
    async with world.ports.database.platform_transaction() as session:
        older = "update platform_notes set written_at = written_at - interval '25 hours' where name like 'drifted/%'"
        await session.execute(text(older))
        [payload] = (
            await session.scalars(
                text("select payload from webhook_deliveries where tenant_id = :id").bindparams(id=tenant.id)
            )
        ).all()
    assert (payload["data"]["adapter"], payload["data"]["verdict"]) == ("avatars", "drifted")
    await tell_drifted(world.state["control"])
    assert await told(tenant) == ["adapter.drifted"] * 2
