"""The audit trail: every change leaves one event in its own transaction, and no event can be changed unnoticed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from heddle_api.client import HeddleClient
from heddle_api.control import once, trail
from heddle_api.control.app import create_app as control_app
from heddle_api.edge.app import create_app as edge_app
from heddle_infra.database import audit
from heddle_platform.audit import AuditEvent, ChainHead
from heddle_platform.digest import json_digest
from tests.api.control_world import Person, World
from tests.api.live import Live

CHANGES_NOTHING = {"/v1/fits/preview", "/v1/edits", "/v1/edits/grid", "/v1/images"}


async def events_of(tenant: Person) -> list[dict[str, Any]]:
    """All events of a tenant, oldest first."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = await tenant.get("/v1/audit_events", params=query)
        found += page["data"]
        if not page["has_more"]:
            return found[::-1]
        query["after"] = page["next_cursor"]


async def test_a_tenants_life_is_written_down_in_order(world: World, tenant: Person) -> None:
    await tenant.fitted()
    await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
    put = await tenant.http.put("/v1/adapters/avatars/aliases/canary", json={"version": 1})
    assert put.status_code == 201
    key = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": ["jobs"]})
    await tenant.post(f"/v1/api_keys/{key['id']}/rotate")
    await tenant.http.delete(f"/v1/api_keys/{key['id']}")
    path = f"/v1/admin/tenants/{tenant.id}"
    await world.admin.put(f"{path}/quota", json={"images": 10}, headers={"If-Match": "*"})
    await world.admin.patch(path, json={"status": "suspended"})
    await world.admin.patch(path, json={"status": "active"})
    events = await events_of(tenant)
    assert [event["action"] for event in events] == [
        *("create_tenant", "register_factor_set", "start_upload", "complete_upload", "create_dataset", "create_job"),
        *("decide", "move_alias", "create_key", "rotate_key", "revoke_key"),
        *("put_quota", "change_tenant", "change_tenant"),
    ]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    own = (await tenant.get("/v1/me"))["key"]["id"]
    by = {event["action"]: (event["actor"], event["key_id"] == own) for event in events}
    assert (by["create_key"], by["put_quota"]) == (("tenant", True), ("operator", False))
    assert events[8]["target"] == events[9]["target"] == key["id"]
    assert events[6]["target"] == "/v1/adapters/avatars/versions/1/approvals"
    assert all(event["request_id"].startswith("req_") for event in events)


async def test_digests_prove_a_document_and_hold_no_secret(tenant: Person) -> None:
    made = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": ["jobs"]})
    secret = made.pop("api_key")
    rotated = await tenant.post(f"/v1/api_keys/{made['id']}/rotate")
    create, rotate = (await events_of(tenant))[-2:]
    assert (create["before"], create["after"]) == (None, json_digest(made))
    assert rotate["before"] == json_digest(made)
    assert rotate["after"] == json_digest({name: value for name, value in rotated.items() if name != "api_key"})
    assert secret not in str(await events_of(tenant))


async def test_what_changes_nothing_leaves_no_event(tenant: Person) -> None:
    await tenant.post("/v1/api_keys", {"name": "a", "scopes": ["jobs"]}, headers={"Idempotency-Key": "once"})
    before = await events_of(tenant)
    await tenant.post("/v1/api_keys", {"name": "a", "scopes": ["jobs"]}, headers={"Idempotency-Key": "once"})
    await tenant.http.post("/v1/factor_sets/validate", json={"name": "x", "factors": []})
    await tenant.http.post("/v1/api_keys", json={"name": "b", "scopes": ["admin"]})
    await tenant.http.post("/v1/jobs/nothing/cancel")
    await tenant.http.post("/v1/jobs/estimate", json={"type": "fit", "adapter": "a", "factor_set": "a", "dataset": "a"})
    for _ in range(2):
        await tenant.http.delete("/v1/datasets/nothing")
    assert await events_of(tenant) == before


async def test_a_deed_and_its_event_are_written_together_or_not_at_all(world: World, tenant: Person) -> None:
    before = await events_of(tenant)
    with suppress(RuntimeError):
        async with world.ports.database.platform_transaction() as session:
            assert (await record(session, tenant.id)).sequence == len(before) + 1
            raise RuntimeError("the deed failed after all")
    assert await events_of(tenant) == before
    async with world.ports.database.platform_transaction() as session:
        await record(session, tenant.id)
    assert (await events_of(tenant))[-1]["sequence"] == len(before) + 1


async def record(session: Any, tenant_id: str) -> AuditEvent:
    return await audit.record(
        session, tenant_id, actor="tenant", key_id="key_1", action="test", target="x", request_id=None
    )


async def test_many_at_once_make_one_whole_chain(live: Live) -> None:
    person = await live.world.tenant()
    await asyncio.gather(*(person.post("/v1/api_keys", {"name": str(n), "scopes": ["jobs"]}) for n in range(20)))
    with live.client(person.key) as client:
        counts, faults = await asyncio.to_thread(client.verify_audit)
    assert (counts, faults) == ({person.id: 21}, [])


async def test_tenants_do_not_wait_for_each_other(world: World, tenant: Person, other: Person) -> None:
    async with asyncio.timeout(20), world.ports.database.platform_transaction() as session:
        await record(session, tenant.id)  # holds the end of this tenant's chain
        await other.post("/v1/api_keys", {"name": "free", "scopes": ["jobs"]})
    assert (await events_of(other))[-1]["action"] == "create_key"


@asynccontextmanager
async def tables_owner(url: str) -> AsyncIterator[AsyncConnection]:
    """Who may do with the trail what the planes may not, and takes the trigger away for it."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("select set_config('heddle.scope', 'platform', true)"))
        await connection.execute(text("alter table audit_heads disable trigger user"))
        yield connection
        await connection.execute(text("alter table audit_heads enable trigger user"))
    await engine.dispose()


@pytest.mark.parametrize(
    "tampering",
    [
        "update audit_events set action = 'nothing' where tenant_id = :id",
        "update audit_events set action = action where tenant_id = :id",
        "delete from audit_events where tenant_id = :id",
        "truncate audit_events",
        "delete from audit_heads where chain = :id",
        "update audit_heads set tenant_id = null where chain = :id",
        "update audit_heads set sequence = sequence - 1 where chain = :id",
        "update audit_heads set hash = 'x' where chain = :id",
        "alter table audit_heads disable trigger user",
    ],
)
async def test_the_planes_role_can_only_add_to_the_trail(world: World, tenant: Person, tampering: str) -> None:
    before = await events_of(tenant)
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner|only ever added to"):
        async with world.ports.database.platform_transaction() as session:
            await session.execute(text(tampering), {"id": tenant.id} if ":id" in tampering else {})
    assert await events_of(tenant) == before
    await tenant.post("/v1/api_keys", {"name": "still", "scopes": ["jobs"]})
    assert (await events_of(tenant))[-1]["sequence"] == len(before) + 1


@pytest.mark.parametrize(
    ("tampering", "place", "said"),
    [
        ("update audit_events set action = 'nothing' where tenant_id = :id and sequence = 3", 3, "was changed"),
        ("update audit_events set key_id = 'key_other' where tenant_id = :id and sequence = 2", 2, "was changed"),
        ("delete from audit_events where tenant_id = :id and sequence = 3", 3, "event 3 is missing"),
        ("delete from audit_events where tenant_id = :id and sequence = 5", 5, "event 5 is missing"),
        ("update audit_events set created_at = now() where tenant_id = :id and sequence = 1", 1, "was changed"),
    ],
)
async def test_tampering_in_the_database_is_found(
    live: Live, postgres_owner_url: str, tampering: str, place: int, said: str
) -> None:
    person = await live.world.tenant()
    for name in "abcd":
        await person.post("/v1/api_keys", {"name": name, "scopes": ["jobs"]})
    async with tables_owner(postgres_owner_url) as owner:
        await owner.execute(text(tampering), {"id": person.id})
    with live.client(person.key) as client:
        _, (fault,) = await asyncio.to_thread(client.verify_audit)
    assert (fault.chain, fault.sequence, said in fault.reason) == (person.id, place, True), fault


async def test_an_end_written_down_shows_a_chain_that_was_cut_with_its_head(
    live: Live, postgres_owner_url: str
) -> None:
    person = await live.world.tenant()
    for name in "ab":
        await person.post("/v1/api_keys", {"name": name, "scopes": ["jobs"]})
    with live.client(person.key) as client:
        (head,) = await asyncio.to_thread(client.audit_chains)
        async with tables_owner(postgres_owner_url) as owner:
            cut = "delete from audit_events where tenant_id = :id and sequence = 3 returning previous_hash"
            previous = await owner.scalar(text(cut), {"id": person.id})
            shorten = "update audit_heads set sequence = 2, hash = :hash where chain = :id"
            await owner.execute(text(shorten), {"id": person.id, "hash": previous})
        assert await verified(client, None) == []
        (fault,) = await verified(client, head)
    assert (fault.sequence, "missing" in fault.reason) == (3, True)


async def verified(client: HeddleClient, remembered: ChainHead | None) -> list[Any]:
    return (await asyncio.to_thread(lambda: client.verify_audit(remembered=remembered)))[1]


async def test_a_tenant_sees_its_own_trail_and_an_operator_all(world: World, tenant: Person, other: Person) -> None:
    asked = {"tenant_id": other.id}
    for own in ({}, {"tenant_id": tenant.id}):
        assert {one["tenant_id"] for one in (await tenant.get("/v1/audit_events", params=own))["data"]} == {tenant.id}
        assert [head["chain"] for head in (await tenant.get("/v1/audit_chains", params=own))["data"]] == [tenant.id]
    for path in ("/v1/audit_events", "/v1/audit_chains"):
        assert (await tenant.http.get(path, params=asked)).status_code == 404
    page = (await world.admin.get("/v1/audit_events", params=asked)).json()
    assert {event["tenant_id"] for event in page["data"]} == {other.id}
    everything = (await world.admin.get("/v1/audit_events", params={"limit": 100})).json()["data"]
    assert {tenant.id, other.id} <= {event["tenant_id"] for event in everything}
    shop = (await tenant.post("/v1/api_keys", {"name": "shop", "scopes": ["edits"]}))["api_key"]
    for path in ("/v1/audit_events", "/v1/audit_chains"):
        refused = await world.client(shop).get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


async def test_a_deleted_tenants_trail_stays_with_its_end(world: World, tenant: Person) -> None:
    path = f"/v1/admin/tenants/{tenant.id}"
    await world.admin.patch(path, json={"status": "suspended"})
    assert (await world.admin.delete(path)).status_code == 204
    page = (await world.admin.get("/v1/audit_events", params={"tenant_id": tenant.id})).json()
    assert [event["action"] for event in page["data"]] == ["delete_tenant", "change_tenant", "create_tenant"]


async def test_events_are_found_by_their_action(tenant: Person) -> None:
    await tenant.post("/v1/api_keys", {"name": "a", "scopes": ["jobs"]})
    page = await tenant.get("/v1/audit_events", params={"action": "create_key"})
    assert [event["action"] for event in page["data"]] == ["create_key"]
    assert (await tenant.http.get("/v1/audit_events", params={"action": "a b"})).status_code == 422
    assert (await tenant.http.get("/v1/audit_events", params={"after": "x"})).status_code == 422


def dependencies(dependant: Dependant) -> set[Any]:
    found = {dependant.call}
    for inner in dependant.dependencies:
        found |= dependencies(inner)
    return found


def api_routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Walk through routes and the routers among them."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from api_routes(route.original_router.routes)


def test_every_route_that_changes_anything_is_given_the_trail() -> None:
    written = {once._post, trail._trail}
    routes = [*api_routes(control_app().routes), *api_routes(edge_app().routes)]
    changing = [
        route for route in routes if (route.methods or set()) - {"GET", "HEAD"} and route.path not in CHANGES_NOTHING
    ]
    assert {route.path for route in changing} >= {
        *(
            "/v1/edit_batches",
            "/v1/feedback",
            "/v1/webhook_endpoints",
            "/v1/bases/{base}/rollout",
            "/v1/jobs/{job_id}/retry",
        ),
        *("/v1/adapters/{adapter}/versions/{version}/approvals", "/v1/rollouts/{rollout}/rollback"),
    }
    assert [route.path for route in changing if not dependencies(route.dependant) & written] == []
