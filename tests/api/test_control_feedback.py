"""Feedback: signed edit ids decide whose edit it was; one verdict each, the last one counts."""

from typing import Any

import pytest

from heddle_api.edit_id import EditSigner
from heddle_platform.edits import EditRequest
from tests.api.control_world import SECRET, Person


async def edit_of(person: Person, version: int = 1) -> str:
    digest = (await person.get(f"/v1/adapters/avatars/versions/{version}"))["digest"]
    edit = EditRequest(adapter="avatars", set={"glasses": "round"})
    return EditSigner(SECRET).sign(person.id, f"avatars@{version}", digest, edit)


async def test_a_verdict_is_kept_once_and_the_last_one_counts(tenant: Person) -> None:
    await tenant.fitted()
    edit_id = await edit_of(tenant)
    body: dict[str, Any] = {"edit_id": edit_id, "kept": True, "final": {"glasses": "none", "smile": True}}
    first = await tenant.http.post("/v1/feedback", json=body)
    assert first.status_code == 201, first.text
    assert first.json()["adapter"] == "avatars@1"
    assert first.json()["edit"] == {"set": {"glasses": "round"}}
    again = await tenant.http.post("/v1/feedback", json=body)
    assert (again.status_code, again.json()) == (200, first.json())
    changed = await tenant.http.post("/v1/feedback", json={"edit_id": edit_id, "kept": False})
    assert (changed.status_code, changed.json()["kept"], changed.json()["final"]) == (200, False, {})
    await tenant.post("/v1/feedback", {"edit_id": await edit_of(tenant), "kept": True})
    listed = await tenant.get("/v1/feedback")
    assert [one["kept"] for one in listed["data"]] == [True, False]
    assert [one["kept"] for one in (await tenant.get("/v1/feedback?kept=false"))["data"]] == [False]
    assert (await tenant.get("/v1/feedback?adapter=nobody"))["data"] == []
    page = await tenant.get("/v1/feedback?limit=1")
    rest = await tenant.get(f"/v1/feedback?limit=1&after={page['next_cursor']}")
    assert page["data"] + rest["data"] == listed["data"]


async def test_another_tenants_edit_does_not_exist(tenant: Person, other: Person) -> None:
    await tenant.fitted()
    edit_id = await edit_of(tenant)
    payload = edit_id.partition(".")[0]
    for person, wrong in ((other, edit_id), (tenant, f"{payload}.AAAA"), (tenant, "edt_nonsense")):
        answer = await person.http.post("/v1/feedback", json={"edit_id": wrong, "kept": True})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_edit")
    await tenant.post("/v1/feedback", {"edit_id": edit_id, "kept": True})
    assert (await other.get("/v1/feedback"))["data"] == []


@pytest.mark.parametrize(
    ("final", "code", "param"),
    [
        ({"nose": "x"}, "unknown_factor", "/final/nose"),
        ({"glasses": "square"}, "unknown_level", "/final/glasses"),
        ({"smile": "perhaps"}, "unknown_level", "/final/smile"),
    ],
)
async def test_what_the_factors_do_not_know_is_refused(
    tenant: Person, final: dict[str, Any], code: str, param: str
) -> None:
    await tenant.fitted()
    body = {"edit_id": await edit_of(tenant), "kept": True, "final": final}
    answer = await tenant.http.post("/v1/feedback", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, code, param)


async def test_canaries_and_shadows_are_set_and_rolled_back(tenant: Person) -> None:
    for _ in range(2):
        await tenant.fitted(verdict="pass")
    http, path = tenant.http, "/v1/adapters/avatars/aliases/production"
    made = await http.put(path, json={"version": 1})
    trial = {"version": 1, "canary": {"version": 2, "weight": 0.25}, "shadow": 2}
    put = await http.put(path, json=trial, headers={"If-Match": made.headers["ETag"]})
    assert put.status_code == 200, put.text
    shown = (await http.get(path)).json()
    assert (shown["version"], shown["canary"], shown["shadow"]) == (1, {"version": 2, "weight": 0.25}, 2)
    assert put.headers["ETag"] != made.headers["ETag"]
    same = await http.put(path, json=trial, headers={"If-Match": put.headers["ETag"]})
    assert same.headers["ETag"] == put.headers["ETag"]
    rolled = await tenant.post("/v1/adapters/avatars/rollback")
    assert (rolled["version"], rolled["canary"], rolled["shadow"]) == (1, None, None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": 1, "canary": {"version": 1, "weight": 0.5}}, 422, "trial_of_itself"),
        ({"version": 1, "shadow": 1}, 422, "trial_of_itself"),
        ({"version": 1, "canary": {"version": 9, "weight": 0.5}}, 404, "unknown_version"),
        ({"version": 1, "canary": {"version": 2, "weight": 1.5}}, 422, "invalid_request"),
        ({"version": 1, "canary": {"version": 2, "weight": 0.5}}, 409, "version_not_servable"),
    ],
)
async def test_what_cannot_be_tried(tenant: Person, body: dict[str, Any], status: int, code: str) -> None:
    await tenant.fitted(verdict="pass")
    await tenant.fitted(verdict="fail")
    answer = await tenant.http.put("/v1/adapters/avatars/aliases/other", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
