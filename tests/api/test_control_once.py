"""Idempotency-Key: once done, always the same answer; another body, another tenant, another time."""

import asyncio

import pytest
from pydantic import SecretStr

from heddle_api.control.seal import Seal
from heddle_infra.database import idempotency
from heddle_platform.errors import Conflict
from tests.api.control_world import FACTORS, Person, World

KEY = {"Idempotency-Key": "once"}


async def test_the_second_answer_is_the_first(world: World) -> None:
    first = await world.admin.post("/v1/admin/tenants", json={"name": "once"}, headers=KEY)
    second = await world.admin.post("/v1/admin/tenants", json={"name": "once"}, headers=KEY)
    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["x-request-id"] != first.headers["x-request-id"]


async def test_the_same_json_spelt_otherwise_is_the_same_body(tenant: Person) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    first = await tenant.http.post("/v1/api_keys", content=b'{"name":"a","scopes":["jobs"]}', headers=headers)
    again = await tenant.http.post("/v1/api_keys", content=b'{ "scopes": ["jobs"], "name": "a" }', headers=headers)
    assert (first.status_code, again.content) == (201, first.content)


async def test_another_body_is_refused(tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS, headers=KEY)
    answer = await tenant.http.post("/v1/factor_sets", json={**FACTORS, "name": "others"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert answer.json()["param"] == "Idempotency-Key"
    assert [found["name"] for found in (await tenant.get("/v1/factor_sets"))["data"]] == ["avatars"]


async def test_another_path_of_the_same_route_is_refused(tenant: Person) -> None:
    first, second = await tenant.queue_two_fits()
    await tenant.post(f"/v1/jobs/{first}/cancel", headers=KEY)
    answer = await tenant.http.post(f"/v1/jobs/{second}/cancel", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_keys_are_a_tenants_own_and_a_routes_own(tenant: Person, other: Person) -> None:
    mine = await tenant.post("/v1/factor_sets", FACTORS, headers=KEY)
    theirs = await other.http.post("/v1/factor_sets", json=FACTORS, headers=KEY)
    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine["id"]
    checked = await tenant.http.post("/v1/factor_sets/validate", json=FACTORS, headers=KEY)
    assert checked.json()["valid"] is True


async def test_a_refused_request_is_judged_anew(tenant: Person) -> None:
    body = {"name": "spring", "factor_set": "avatars", "upload": await tenant.upload()}
    refused = await tenant.http.post("/v1/datasets", json=body, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_factor_set")
    await tenant.post("/v1/factor_sets", FACTORS)
    assert (await tenant.http.post("/v1/datasets", json=body, headers=KEY)).status_code == 202


async def test_while_one_is_in_flight_the_other_is_told_to_wait(world: World, tenant: Person) -> None:
    scope = f"{tenant.id} /v1/factor_sets"
    async with world.ports.database.platform_transaction() as session:
        assert await idempotency.lock(session, scope, KEY["Idempotency-Key"])
        answer = await tenant.http.post("/v1/factor_sets", json=FACTORS, headers=KEY)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "idempotency_key_in_flight")
        assert problem["retryable"] is True
    assert (await tenant.http.post("/v1/factor_sets", json=FACTORS, headers=KEY)).status_code == 201


async def test_many_at_once_do_the_work_once(world: World) -> None:
    async def create() -> tuple[int, str]:
        answer = await world.admin.post("/v1/admin/tenants", json={"name": "crowd"}, headers={"Idempotency-Key": "c"})
        return answer.status_code, answer.json().get("id", answer.json().get("code"))

    answers = await asyncio.gather(*(create() for _ in range(8)))
    made = {detail for status, detail in answers if status == 201}
    assert len(made) == 1
    assert {detail for status, detail in answers if status != 201} <= {"idempotency_key_in_flight"}


async def test_odd_keys_are_refused(tenant: Person) -> None:
    for key in ("", "x" * 256, "tab\there"):
        answer = await tenant.http.post("/v1/factor_sets", json=FACTORS, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_header")


def test_a_seal_opens_only_with_its_own_secret() -> None:
    sealed = Seal(SecretStr("one")).close(b"reply")
    assert b"reply" not in sealed
    assert Seal(SecretStr("one")).open(sealed) == b"reply"
    with pytest.raises(Conflict) as caught:
        Seal(SecretStr("two")).open(sealed)
    assert caught.value.code == "stored_reply_lost"
