"""Rotation: two secrets of a key at once, and the old one's end."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from heddle_api.auth import hash_key
from heddle_api.edge.source import DatabaseSource
from heddle_infra.database import tenants
from tests.api.control_world import Person, World


async def spare_key(tenant: Person, scopes: tuple[str, ...] = ("jobs",)) -> dict[str, Any]:
    made: dict[str, Any] = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": list(scopes)})
    return made


async def status(world: World, secret: str) -> int:
    return (await world.client(secret).get("/v1/jobs")).status_code


async def test_both_secrets_work_until_the_old_one_ends(world: World, tenant: Person) -> None:
    old = await spare_key(tenant)
    before = datetime.now(UTC)
    answer = await tenant.http.post(f"/v1/api_keys/{old['id']}/rotate")
    new = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (new["id"], new["scopes"], new["name"]) == (old["id"], old["scopes"], old["name"])
    assert new["api_key"] != old["api_key"]
    ends = datetime.fromisoformat(new["previous_ends_at"])
    assert timedelta(hours=23) < ends - before < timedelta(hours=25)
    assert [await status(world, key["api_key"]) for key in (old, new)] == [200, 200]
    shown = await tenant.get(f"/v1/api_keys/{old['id']}")
    assert (shown["previous_ends_at"], "api_key" in shown) == (new["previous_ends_at"], False)
    async with world.ports.database.platform_transaction() as session:  # the day passes
        await session.execute(text("update api_keys set previous_ends_at = now() where id = :id"), {"id": old["id"]})
    assert [await status(world, key["api_key"]) for key in (old, new)] == [401, 200]
    assert (await tenant.get(f"/v1/api_keys/{old['id']}"))["previous_ends_at"] is None


async def test_an_edge_gets_both_secrets_each_with_its_end(world: World, tenant: Person) -> None:
    old = await spare_key(tenant, ("edits",))
    new = await tenant.post(f"/v1/api_keys/{old['id']}/rotate", {"overlap_seconds": 3600})
    served = (await DatabaseSource(world.ports.database).snapshot()).keys
    first, second = served[hash_key(old["api_key"])], served[hash_key(new["api_key"])]
    assert first.key_id == second.key_id == old["id"]
    assert (first.expires_at, second.expires_at) == (datetime.fromisoformat(new["previous_ends_at"]), None)
    assert await DatabaseSource(world.ports.database).find_key(hash_key(old["api_key"])) is not None
    await tenant.http.delete(f"/v1/api_keys/{old['id']}")
    served = (await DatabaseSource(world.ports.database).snapshot()).keys
    assert not {hash_key(key["api_key"]) for key in (old, new)} & served.keys()


async def test_a_leaked_secret_ends_at_once(world: World, tenant: Person) -> None:
    old = await spare_key(tenant)
    new = await tenant.post(f"/v1/api_keys/{old['id']}/rotate", {"overlap_seconds": 0})
    assert new["previous_ends_at"] is None
    assert [await status(world, key["api_key"]) for key in (old, new)] == [401, 200]


async def test_no_more_than_two_secrets_work_at_once(world: World, tenant: Person) -> None:
    made = [await spare_key(tenant)]
    for _ in range(2):
        made.append(await tenant.post(f"/v1/api_keys/{made[0]['id']}/rotate"))
    assert [await status(world, key["api_key"]) for key in made] == [401, 200, 200]


async def test_a_key_may_rotate_itself(world: World, tenant: Person) -> None:
    own = (await tenant.get("/v1/me"))["key"]["id"]
    new = await tenant.post(f"/v1/api_keys/{own}/rotate")
    assert (await world.client(new["api_key"]).get("/v1/me")).json()["key"]["id"] == own
    assert (await tenant.get("/v1/me"))["key"]["previous_ends_at"] == new["previous_ends_at"]


async def test_sent_twice_with_one_idempotency_key_it_rotates_once(world: World, tenant: Person) -> None:
    old = await spare_key(tenant)
    headers = {"Idempotency-Key": "turn"}
    first, second = [await tenant.post(f"/v1/api_keys/{old['id']}/rotate", {}, headers=headers) for _ in range(2)]
    assert first == second
    assert await status(world, old["api_key"]) == 200


async def test_what_is_over_cannot_be_rotated(tenant: Person) -> None:
    old = await spare_key(tenant)
    await tenant.http.delete(f"/v1/api_keys/{old['id']}")
    answer = await tenant.http.post(f"/v1/api_keys/{old['id']}/rotate")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_not_valid")


async def test_bad_overlaps_name_their_field(tenant: Person) -> None:
    old = await spare_key(tenant)
    for body in ({"overlap_seconds": -1}, {"overlap_seconds": 10**9}, {"overlap_seconds": "soon"}, {"overlap": 1}):
        answer = await tenant.http.post(f"/v1/api_keys/{old['id']}/rotate", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] in ("/overlap_seconds", "/overlap")


async def test_a_weaker_key_neither_rotates_nor_replays(world: World, tenant: Person) -> None:
    old, headers = await spare_key(tenant), {"Idempotency-Key": "turn-strong"}
    await tenant.post(f"/v1/api_keys/{old['id']}/rotate", {}, headers=headers)
    weak = world.client((await spare_key(tenant))["api_key"])
    answer = await weak.post(f"/v1/api_keys/{old['id']}/rotate", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_an_operators_secret_that_was_rotated_away_does_not_come_back_with_a_restart(world: World) -> None:
    own = (await world.admin.get("/v1/me")).json()["key"]["id"]
    new = (await world.admin.post(f"/v1/api_keys/{own}/rotate")).json()
    async with world.ports.database.platform_transaction() as session:
        await tenants.ensure_admin_key(session, hash_key(world.admin_key))  # as a plane does when it starts
    renewed = world.client(new["api_key"])
    assert (await renewed.get("/v1/me")).json()["key"]["id"] == own
    async with world.ports.database.platform_transaction() as session:
        owners = await session.execute(
            text("select id from api_keys where secret_hash = :hash"), {"hash": hash_key(world.admin_key)}
        )
        assert owners.all() == []
