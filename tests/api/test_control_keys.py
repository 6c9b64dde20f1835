"""API keys: scopes, their limits, revocation, and that no secret is ever kept in clear."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from heddle_api.auth import hash_key, mint_key
from heddle_infra.database import serving
from heddle_platform.records import TENANT_SCOPES
from tests.api.control_world import Person, World, open_world


async def test_a_key_gets_the_scopes_asked_for_and_no_others(world: World, tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "shop", "scopes": ["edits", "jobs"]})
    assert made["scopes"] == ["jobs", "edits"]
    weak = world.client(made["api_key"])
    assert (await weak.get("/v1/jobs")).status_code == 200
    for path in ("/v1/factor_sets", "/v1/datasets", "/v1/adapters"):
        refused = await weak.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    read = await tenant.get(f"/v1/api_keys/{made['id']}")
    assert "api_key" not in read
    assert read["revoked_at"] is None


async def test_a_key_with_less_than_every_scope_manages_no_keys(world: World, tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "nearly", "scopes": [*TENANT_SCOPES[:-1]]})
    weak = world.client(made["api_key"])
    refusals = [
        await weak.post("/v1/api_keys", json={"name": "x", "scopes": ["edits"]}),
        await weak.get("/v1/api_keys"),
        await weak.get(f"/v1/api_keys/{made['id']}"),
        await weak.delete(f"/v1/api_keys/{made['id']}"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refusals} == {(403, "missing_scope")}
    assert TENANT_SCOPES[-1] in refusals[0].json()["detail"]


async def test_nobody_gives_what_he_lacks(world: World, tenant: Person) -> None:
    for client, scope in ((tenant.http, "admin"), (world.admin, "edits")):
        answer = await client.post("/v1/api_keys", json={"name": "x", "scopes": [scope]})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_held")


async def test_a_weaker_key_cannot_replay_the_reply_that_holds_a_stronger_one(world: World, tenant: Person) -> None:
    body = {"name": "full", "scopes": list(TENANT_SCOPES)}
    headers = {"Idempotency-Key": "make-full"}
    await tenant.post("/v1/api_keys", body, headers=headers)
    weak = (await tenant.post("/v1/api_keys", {"name": "weak", "scopes": ["edits"]}))["api_key"]
    assert (await world.client(weak).post("/v1/api_keys", json=body, headers=headers)).status_code == 403


async def test_a_key_in_use_stops_at_once_when_it_is_revoked_or_its_tenant_suspended(
    world: World, tenant: Person
) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "old", "scopes": ["jobs"]})
    client = world.client(made["api_key"])
    assert [(await client.get("/v1/jobs")).status_code for _ in range(3)] == [200] * 3
    await tenant.http.delete(f"/v1/api_keys/{made['id']}")
    assert (await client.get("/v1/jobs")).status_code == 401
    assert (await tenant.http.get("/v1/jobs")).status_code == 200
    await world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={"status": "suspended"})
    assert (await tenant.http.get("/v1/jobs")).json()["code"] == "tenant_suspended"


async def test_a_key_is_believed_for_a_second_and_not_for_longer(world: World, tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "old", "scopes": ["jobs"]})
    client = world.client(made["api_key"])
    assert (await client.get("/v1/jobs")).status_code == 200
    async with world.ports.database.platform_transaction() as session:  # another replica revokes it
        await session.execute(text("update api_keys set revoked_at = now() where id = :id"), {"id": made["id"]})
    await asyncio.sleep(1.1)
    assert (await client.get("/v1/jobs")).status_code == 401


async def test_a_revoked_key_stops_at_once_and_stays_listed(world: World, tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "old", "scopes": ["jobs"]})
    async with asyncio.timeout(10):
        listening = asyncio.ensure_future(anext(world.cache.subscribe(serving.CHANGED_CHANNEL)))
        await asyncio.sleep(0)
        revoked = (await tenant.http.delete(f"/v1/api_keys/{made['id']}")).json()
        assert await listening == "key_revoked"
    assert revoked["revoked_at"] is not None
    assert (await world.client(made["api_key"]).get("/v1/me")).status_code == 401
    assert made["id"] in [key["id"] for key in (await tenant.get("/v1/api_keys"))["data"]]


async def test_an_expired_key_stops(world: World, tenant: Person) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    answer = await tenant.http.post("/v1/api_keys", json={"name": "x", "scopes": ["jobs"], "expires_at": past})
    assert (answer.status_code, answer.json()["code"]) == (422, "already_expired")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = await tenant.post("/v1/api_keys", {"name": "brief", "scopes": ["jobs"], "expires_at": later})
    client = world.client(made["api_key"])
    assert (await client.get("/v1/jobs")).status_code == 200
    async with world.ports.database.platform_transaction() as session:  # the hour passes
        await session.execute(text("update api_keys set expires_at = now() where id = :id"), {"id": made["id"]})
    assert (await client.get("/v1/jobs")).json()["code"] == "unknown_key"


async def test_bad_requests_name_their_field(tenant: Person) -> None:
    for body, pointer in (
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "x", "scopes": ["jobs"], "expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
        ({"scopes": ["jobs"]}, "/name"),
    ):
        answer = await tenant.http.post("/v1/api_keys", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_no_key_no_answer(world: World) -> None:
    nobody, wrong = world.client(None), world.client(mint_key().plaintext)
    for path in ("/v1/me", "/v1/jobs", "/v1/bases", "/v1/admin/tenants"):
        missing, unknown = await nobody.get(path), await wrong.get(path)
        assert (missing.status_code, missing.json()["code"]) == (401, "missing_key")
        assert (unknown.status_code, unknown.json()["code"]) == (401, "unknown_key")
        assert missing.headers["www-authenticate"].startswith("Bearer")


async def test_an_operators_key_is_told_that_it_has_no_tenant(world: World) -> None:
    me = (await world.admin.get("/v1/me")).json()
    assert (me["tenant_id"], me["tenant"], me["scopes"]) == (None, None, ["admin"])
    for path in ("/v1/factor_sets", "/v1/datasets", "/v1/adapters"):
        answer = await world.admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_key_required")


@pytest.mark.usefixtures("empty_postgres_url")  # other tests' pretrainings are the operators', too
async def test_an_operators_key_sees_its_own_jobs_and_no_tenants(postgres_url: str) -> None:
    async with open_world(postgres_url) as world:
        await _sees_no_tenants_jobs(world, await world.tenant())


async def _sees_no_tenants_jobs(world: World, tenant: Person) -> None:
    await tenant.dataset()
    assert (await tenant.get("/v1/jobs?type=validate"))["data"]
    for asked in ("/v1/jobs", "/v1/jobs?type=validate", "/v1/jobs?type=fit"):
        answer = await world.admin.get(asked)
        assert (answer.status_code, answer.json()["data"]) == (200, [])


async def test_no_secret_is_stored_in_clear(world: World, tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "x", "scopes": ["jobs"]}, headers={"Idempotency-Key": "seal-me"})
    secrets = [made["api_key"], tenant.key, world.admin_key]
    async with world.ports.database.platform_transaction() as session:
        tables = (
            await session.scalars(
                text("select table_name from information_schema.tables where table_schema = 'public'")
            )
        ).all()
        dump = [
            str(row)
            for table in tables
            for row in (await session.scalars(text(f'select row_to_json(t)::text from "{table}" t'))).all()
        ]
    assert any(hash_key(made["api_key"]) in row for row in dump)  # what is looked at is what is stored
    for secret in secrets:
        hexed = "\\\\x" + secret.encode().hex()
        # The random part may itself hold underscores; its last piece alone could be one letter, found anywhere.
        random_part = secret.split("_", 2)[2]
        assert len(random_part) >= 40
        assert not any(secret in row or random_part in row or hexed in row for row in dump)
