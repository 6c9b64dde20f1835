"""Quotas: set under a condition, shown with what is used, and refused with both numbers."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from heddle_api.control.context import Control
from heddle_api.control.usage.stored import forget_abandoned_uploads
from heddle_infra.database import quotas
from heddle_platform import keys
from heddle_platform.ids import new_id
from tests.api.control_world import FACTORS, Person, World, claim_all, finish_fit

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"


def path_of(tenant: Person) -> str:
    return f"/v1/admin/tenants/{tenant.id}/quota"


async def limit(world: World, tenant: Person, **limits: float) -> dict[str, Any]:
    answer = await world.admin.put(path_of(tenant), json=limits, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def check_refusal(answer: httpx.Response, status: int, param: str, *numbers: int) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (status, "quota_exceeded", param), problem
    assert all(str(number) in problem["detail"] for number in numbers), problem["detail"]
    assert problem["retryable"] is (status == 429)
    assert ("retry-after" in answer.headers) is (status == 429)


async def test_a_quota_is_read_changed_and_put_back_by_its_etag(world: World, tenant: Person) -> None:
    path = path_of(tenant)
    fresh = await world.admin.get(path)
    assert (fresh.status_code, fresh.headers["etag"], fresh.json()["own"]) == (200, '"0"', [])
    defaults = fresh.json()["limits"]
    assert (defaults["weight"], defaults["running_jobs"]) == (1.0, None)
    set_once = await world.admin.put(path, json={"images": 10, "weight": 2}, headers={"If-Match": '"0"'})
    assert (set_once.status_code, set_once.headers["etag"]) == (200, '"1"')
    assert set_once.json()["limits"] == {**defaults, "images": 10, "weight": 2.0}
    assert set(set_once.json()["own"]) == {"images", "weight"}
    assert (await world.admin.get(path)).json() == set_once.json()
    again = await world.admin.put(path, json={}, headers={"If-Match": set_once.headers["etag"]})
    assert (again.json()["limits"], again.headers["etag"]) == (defaults, '"2"')


async def test_without_a_condition_428_and_with_a_wrong_one_412(world: World, tenant: Person) -> None:
    path = path_of(tenant)
    for _ in range(2):  # for a tenant that nothing was set for, and for one that something was
        missing = await world.admin.put(path, json={"images": 1})
        assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
        for condition in ('"7"', 'W/"0"', '"abc"'):
            stale = await world.admin.put(path, json={"images": 1}, headers={"If-Match": condition})
            assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
        malformed = await world.admin.put(path, json={"images": 1}, headers={"If-Match": "0"})
        assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed_header")
        await limit(world, tenant, images=5)
    assert (await world.admin.get(path)).json()["limits"]["images"] == 5


async def test_of_two_writers_who_read_the_same_one_wins(world: World, tenant: Person) -> None:
    async with world.ports.database.platform_transaction() as session:
        await quotas.put(session, tenant.id, {"images": 3}, if_match=0)
    answer = await world.admin.put(path_of(tenant), json={"images": 4}, headers={"If-Match": '"0"'})
    assert answer.status_code == 412
    assert "revision 1" in answer.json()["detail"]


async def test_only_operators_set_and_a_tenant_reads_its_own(world: World, tenant: Person, other: Person) -> None:
    await limit(world, other, images=77)
    refused = await tenant.http.put(path_of(tenant), json={}, headers={"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await tenant.http.get(path_of(other))).status_code == 403
    assert (await tenant.get("/v1/quota"))["limits"]["images"] != 77
    assert (await other.get("/v1/quota"))["limits"]["images"] == 77
    shop = (await tenant.post("/v1/api_keys", {"name": "shop", "scopes": ["edits", "feedback"]}))["api_key"]
    assert (await world.client(shop).get("/v1/quota")).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"requests_per_second": 0}, "/requests_per_second"),
        ({"weight": 0}, "/weight"),
        ({"weight": float(2**40)}, "/weight"),
        ({"images": -1}, "/images"),
        ({"bytes": 2**70}, "/bytes"),
        ({"burst": 1.5}, "/burst"),
        ({"cores": 3}, "/cores"),
    ],
)
async def test_limits_that_mean_nothing_name_their_field(
    world: World, tenant: Person, body: dict[str, Any], pointer: str
) -> None:
    answer = await world.admin.put(path_of(tenant), json=body, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_unknown_tenants_are_404(world: World) -> None:
    path = f"/v1/admin/tenants/{new_id('ten')}/quota"
    answers = [
        await world.admin.get(path),
        await world.admin.put(path, json={}),
        await world.admin.put(path, json={}, headers={"If-Match": "*"}),
    ]
    assert {answer.status_code for answer in answers} == {404}


async def test_bytes_count_from_the_moment_they_are_announced(world: World, tenant: Person) -> None:
    await limit(world, tenant, bytes=1_000)
    body = {"filename": "set.zip", "bytes": 600, "sha256": "0" * 64}
    await tenant.post("/v1/uploads", body)
    check_refusal(await tenant.http.post("/v1/uploads", json=body), 403, "bytes", 600, 1000)
    await tenant.post("/v1/uploads", {**body, "bytes": 400})
    assert (await tenant.get("/v1/quota"))["used"]["bytes"] == 1_000


async def test_of_many_at_once_only_those_that_fit_together_pass(world: World, tenant: Person) -> None:
    await limit(world, tenant, bytes=1_000)
    body = {"filename": "set.zip", "bytes": 400, "sha256": "0" * 64}
    answers = await asyncio.gather(*(tenant.http.post("/v1/uploads", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, *[403] * 6]


async def test_images_of_ready_sets_fill_the_quota_and_another_set_is_refused(world: World, tenant: Person) -> None:
    await tenant.ready_dataset()  # of three images, two of them labelled
    quota = await limit(world, tenant, images=3)
    assert (quota["used"]["images"], quota["used"]["queued_jobs"]) == (3, 0)
    body = {"name": "more", "factor_set": "avatars", "upload": await tenant.upload(b"other")}
    check_refusal(await tenant.http.post("/v1/datasets", json=body), 403, "images", 3, 1)


async def test_uploads_that_nobody_used_are_forgotten_and_free_their_bytes(world: World, tenant: Person) -> None:
    dataset, unused = await tenant.dataset(), await tenant.upload(b"x" * 100)
    await tenant.post("/v1/uploads", {"filename": "set.zip", "bytes": 600, "sha256": "0" * 64})
    used = (await tenant.get("/v1/quota"))["used"]["bytes"]
    async with world.ports.database.platform_transaction() as session:  # days pass
        past = "update uploads set expires_at = now() - interval '2 days' where tenant_id = :id"
        await session.execute(text(past), {"id": tenant.id})
    assert await forget_abandoned_uploads(control_of(world)) >= 2
    assert (await tenant.get("/v1/quota"))["used"]["bytes"] == used - 700
    assert not [info for info in world.objects.list(keys.tenant_prefix(tenant.id)) if unused in info.key]
    assert (await tenant.get(f"/v1/datasets/{dataset}"))["status"] == "validating"
    await tenant.validated(dataset, b"a zip")


def control_of(world: World) -> Control:
    control: Control = world.state["control"]
    return control


async def test_images_sent_along_are_counted_as_if_they_were_uploaded(world: World, tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    item = {"image": PNG, "labels": {"smile": True}}
    body = {"name": "few", "factor_set": "avatars", "items": [item, item]}
    await limit(world, tenant, images=1)
    check_refusal(await tenant.http.post("/v1/datasets", json=body), 403, "images", 2, 1)
    await limit(world, tenant, bytes=10)
    check_refusal(await tenant.http.post("/v1/datasets", json=body), 403, "bytes", 10)
    await limit(world, tenant)
    await tenant.post("/v1/datasets", body)
    assert (await tenant.get("/v1/quota"))["used"]["bytes"] > 10


async def test_adapters_are_counted_from_their_first_fit_on_and_versions_are_not(world: World, tenant: Person) -> None:
    await world.publish_base()
    dataset = await tenant.ready_dataset()
    await limit(world, tenant, adapters=1)
    body = {"type": "fit", "adapter": "one", "factor_set": "avatars", "dataset": dataset}
    await tenant.post("/v1/jobs", body)
    refused = await tenant.http.post("/v1/jobs", json={**body, "adapter": "two"})
    check_refusal(refused, 403, "adapters", 1)
    await tenant.post("/v1/jobs", body)  # a further version of the same
    for job in await claim_all(world):
        await finish_fit(world, job, "pass")
    check_refusal(await tenant.http.post("/v1/jobs", json={**body, "adapter": "two"}), 403, "adapters", 1)
    assert (await tenant.get("/v1/quota"))["used"]["adapters"] == 1


async def test_who_has_too_much_queued_waits(world: World, tenant: Person, other: Person) -> None:
    await world.publish_base()
    dataset = await tenant.ready_dataset()
    await limit(world, tenant, queued_jobs=2)
    body = {"type": "fit", "adapter": "one", "factor_set": "avatars", "dataset": dataset}
    for _ in range(2):
        await tenant.post("/v1/jobs", body)
    check_refusal(await tenant.http.post("/v1/jobs", json=body), 429, "queued_jobs", 2)
    upload = await tenant.upload(b"other")
    waiting = {"name": "more", "factor_set": "avatars", "upload": upload}
    check_refusal(await tenant.http.post("/v1/datasets", json=waiting), 429, "queued_jobs", 2)
    await claim_all(world)
    await tenant.post("/v1/jobs", body)
    assert (await tenant.get("/v1/quota"))["used"] | {"bytes": 0} == {
        **{"images": 3, "labelled_rows": 0, "adapters": 1, "bytes": 0},
        **{"running_jobs": 2, "queued_jobs": 1},
    }
    await other.post("/v1/factor_sets", FACTORS)  # nobody else is held up


async def test_an_erasure_is_never_refused(world: World, tenant: Person) -> None:
    dataset = await tenant.ready_dataset()
    await limit(world, tenant, queued_jobs=0, images=0, bytes=0, adapters=0)
    item = (await tenant.get(f"/v1/datasets/{dataset}/items"))["data"][0]["id"]
    answer = await tenant.http.delete(f"/v1/datasets/{dataset}/items/{item}")
    assert answer.status_code == 202
