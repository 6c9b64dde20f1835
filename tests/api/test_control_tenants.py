"""Tenants: made, listed, suspended, deleted by operators alone."""

import pytest

from heddle_infra.database import serving
from heddle_platform import keys
from heddle_platform.errors import NotFound
from heddle_platform.ids import is_id, new_id
from heddle_platform.records import TENANT_SCOPES
from tests.api.control_world import Person, World, claim_all


async def test_a_new_tenants_key_works_and_has_all_tenant_scopes(world: World) -> None:
    answer = await world.admin.post("/v1/admin/tenants", json={"name": "  Acme  "})
    made = answer.json()
    assert (answer.status_code, made["name"], made["status"]) == (201, "Acme", "active")
    assert is_id(made["id"], "ten")
    assert answer.headers["location"] == f"/v1/admin/tenants/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    me = (await world.client(made["api_key"]).get("/v1/me")).json()
    assert me["tenant_id"] == me["tenant"]["id"] == made["id"]
    assert me["scopes"] == list(TENANT_SCOPES)
    assert made["api_key"].startswith(f"hdl_{me['key']['id'].removeprefix('key_')}_")


async def test_only_operators_may(world: World, tenant: Person) -> None:
    refusals = [
        await tenant.http.post("/v1/admin/tenants", json={"name": "x"}),
        await tenant.http.get("/v1/admin/tenants"),
        await tenant.http.get(f"/v1/admin/tenants/{tenant.id}"),
        await tenant.http.patch(f"/v1/admin/tenants/{tenant.id}", json={"name": "x"}),
        await tenant.http.delete(f"/v1/admin/tenants/{tenant.id}"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refusals} == {(403, "missing_scope")}


async def test_names_are_checked_with_pointers(world: World) -> None:
    for body in ({"name": "  "}, {"name": "a\x00b"}, {"name": "x" * 201}, {}, {"name": "x", "plan": "gold"}):
        answer = await world.admin.post("/v1/admin/tenants", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "invalid_request")
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["errors"][0]["pointer"] in ("/name", "/plan")


async def test_pages_walk_through_all_tenants(world: World) -> None:
    made = [(await world.tenant(f"page {index}")).id for index in range(5)]
    seen: list[str] = []
    query: dict[str, int | str] = {"limit": 2}
    while len(seen) < 6:  # other tests' tenants come behind these
        page = (await world.admin.get("/v1/admin/tenants", params=query)).json()
        seen += [tenant["id"] for tenant in page["data"]]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            break
        assert len(page["data"]) == 2
        assert page["next_cursor"] == seen[-1]
        query["after"] = page["next_cursor"]
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))


async def test_a_suspended_tenants_key_stops_and_returns(world: World, tenant: Person) -> None:
    path = f"/v1/admin/tenants/{tenant.id}"
    assert (await world.admin.patch(path, json={"status": "suspended"})).json()["status"] == "suspended"
    refused = await tenant.http.get("/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")
    assert (await world.admin.patch(path, json={"status": "active", "name": "Again"})).json()["name"] == "Again"
    assert (await tenant.get("/v1/me"))["tenant"]["name"] == "Again"


async def test_a_suspended_tenants_revoked_key_is_unknown(world: World, tenant: Person) -> None:
    spare = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": ["jobs"]})
    await tenant.http.delete(f"/v1/api_keys/{spare['id']}")
    await world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={"status": "suspended"})
    answer = await world.client(spare["api_key"]).get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")


async def test_a_suspended_tenants_jobs_wait_until_it_is_resumed(world: World, tenant: Person, other: Person) -> None:
    mine, theirs = await tenant.dataset(), await other.dataset()
    path = f"/v1/admin/tenants/{tenant.id}"
    await world.admin.patch(path, json={"status": "suspended"})
    claimed = [job.spec.get("dataset_id") for job in await claim_all(world)]
    assert (mine in claimed, theirs in claimed) == (False, True)
    await world.admin.patch(path, json={"status": "active"})
    assert mine in [job.spec.get("dataset_id") for job in await claim_all(world)]


async def test_nobody_waits_behind_a_suspended_tenants_jobs(world: World, tenant: Person, other: Person) -> None:
    await claim_all(world)  # what other tests left waiting
    first, second = await tenant.queue_two_fits()
    await world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={"status": "suspended"})
    dataset = await other.ready_dataset()
    assert (await other.get(f"/v1/jobs/{await other.queue_fit(dataset)}"))["queue_position"] == 0
    await world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={"status": "active"})
    places = [(await tenant.get(f"/v1/jobs/{job}"))["queue_position"] for job in (first, second)]
    assert None not in places


async def test_changing_nothing_is_refused(world: World, tenant: Person) -> None:
    answer = await world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing_to_change")


async def test_unknown_tenants_are_404(world: World) -> None:
    for path in (f"/v1/admin/tenants/{new_id('ten')}", "/v1/admin/tenants/x", "/v1/admin/tenants/%00"):
        assert (await world.admin.get(path)).status_code in (404, 422)
        assert (await world.admin.patch(path, json={"name": "x"})).status_code in (404, 422)
        assert (await world.admin.delete(path)).status_code in (404, 422)


async def test_deleting_removes_rows_and_objects_of_that_tenant_only(
    world: World, tenant: Person, other: Person
) -> None:
    await tenant.fitted()
    await other.fitted()
    path = f"/v1/admin/tenants/{tenant.id}"
    active = await world.admin.delete(path)
    assert (active.status_code, active.json()["code"]) == (409, "tenant_active")
    await world.admin.patch(path, json={"status": "suspended"})
    assert (await world.admin.delete(path)).status_code == 204
    assert (await world.admin.get(path)).status_code == 404
    assert list(world.objects.list(keys.tenant_prefix(tenant.id))) == []
    assert list(world.objects.list(keys.tenant_prefix(other.id))) != []
    assert len((await other.get("/v1/adapters"))["data"]) == 1
    async with world.ports.database.platform_transaction() as session:
        snapshot = await serving.snapshot(session)
    assert tenant.id not in snapshot.epochs
    assert other.id in snapshot.epochs


async def test_what_was_under_way_of_a_deleted_tenant_goes_too(world: World, tenant: Person, other: Person) -> None:
    begun = [
        await person.post("/v1/uploads", {"filename": "x", "bytes": 1, "sha256": "0" * 64})
        for person in (tenant, other)
    ]
    for person in (tenant, other):
        await world.cache.set(f"{keys.cache_prefix(person.id)}1:latent", b"its latent", ttl_seconds=60)
    path = f"/v1/admin/tenants/{tenant.id}"
    await world.admin.patch(path, json={"status": "suspended"})
    assert (await world.admin.delete(path)).status_code == 204
    with pytest.raises(NotFound):
        world.objects.follow_put(begun[0]["parts"][0]["url"], b"x")
    world.objects.follow_put(begun[1]["parts"][0]["url"], b"x")
    assert list(world.objects.open_multiparts(keys.tenant_prefix(tenant.id))) == []
    assert await world.cache.get(f"{keys.cache_prefix(tenant.id)}1:latent") is None
    assert await world.cache.get(f"{keys.cache_prefix(other.id)}1:latent") == b"its latent"


async def test_a_tenant_with_a_running_job_cannot_be_deleted(world: World, tenant: Person) -> None:
    await tenant.dataset()
    await claim_all(world)
    path = f"/v1/admin/tenants/{tenant.id}"
    await world.admin.patch(path, json={"status": "suspended"})
    answer = await world.admin.delete(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "tenant_busy")
