"""Adapters: versions, cards, files, decisions, aliases with ETags, rollback."""

import asyncio
import json

import pytest
from sqlalchemy import text

from heddle_infra.database import serving
from heddle_platform import keys
from heddle_platform.base.graft import graft
from heddle_platform.digest import sha256_hex
from tests.api.control_world import Person, World
from tests.api.tiny_editor import tiny_parts

ALIAS = "/v1/adapters/avatars/aliases/production"


async def test_a_fitted_adapter_is_listed_by_id_and_by_name(tenant: Person) -> None:
    number = await tenant.fitted()
    listed = (await tenant.get("/v1/adapters"))["data"]
    assert [(found["name"], found["aliases"], found["latest_version"]) for found in listed] == [("avatars", {}, number)]
    assert await tenant.get(f"/v1/adapters/{listed[0]['id']}") == await tenant.get("/v1/adapters/avatars") == listed[0]
    version = await tenant.get("/v1/adapters/avatars/versions/1")
    assert (version["status"], version["verdict"], version["aliases"]) == ("awaiting_approval", "needs_approval", [])
    assert set(version["files"]) == {"adapter.npz", "adapter.onnx", "editor.core", "card.html", "playbook.html"}
    assert (await tenant.get("/v1/adapters/avatars/versions"))["data"] == [version]
    job = await tenant.get(f"/v1/jobs/{version['job']}")
    assert (job["status"], job["result"]["version"]) == ("awaiting_approval", 1)


async def test_an_approval_moves_production_ends_the_job_and_tells_the_edges(world: World, tenant: Person) -> None:
    await tenant.fitted()
    async with asyncio.timeout(10):
        listening = asyncio.ensure_future(anext(world.cache.subscribe(serving.CHANGED_CHANNEL)))
        await asyncio.sleep(0)
        answer = await tenant.http.post(
            "/v1/adapters/avatars/versions/1/approvals", json={"decision": "approve", "comment": "looks right"}
        )
        assert await listening == "version_approved"
    decided = answer.json()
    assert (answer.status_code, decided["decision"], decided["status"]) == (201, "approve", "approved")
    assert (await tenant.get("/v1/adapters/avatars"))["aliases"] == {"production": 1}
    version = await tenant.get("/v1/adapters/avatars/versions/1")
    assert version["aliases"] == ["production"]
    assert (await tenant.get(f"/v1/jobs/{version['job']}"))["status"] == "succeeded"
    async with world.ports.database.platform_transaction() as session:
        snapshot = await serving.snapshot(session)
    assert snapshot.aliases[tenant.id, "avatars", "production"] == 1
    twice = await tenant.http.post("/v1/adapters/avatars/versions/1/approvals", json={"decision": "reject"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_decided")


async def test_decisions_on_a_version_are_listed_with_comment_and_key(world: World, tenant: Person) -> None:
    await tenant.fitted()
    path = "/v1/adapters/avatars/versions/1/approvals"
    assert (await tenant.get(path))["data"] == []
    decided = await tenant.post(path, {"decision": "reject", "comment": "hair leaks"})
    assert (await tenant.get(path))["data"] == [decided]
    assert decided["key_id"] == (await tenant.get("/v1/me"))["key"]["id"]
    missing = await tenant.http.get("/v1/adapters/avatars/versions/7/approvals")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_version")


async def test_a_rejection_fails_the_job_and_the_version_can_never_be_served(tenant: Person) -> None:
    await tenant.fitted()
    await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "reject", "comment": "hair leaks"})
    version = await tenant.get("/v1/adapters/avatars/versions/1")
    job = await tenant.get(f"/v1/jobs/{version['job']}")
    assert (version["status"], job["status"], job["error"]["code"]) == ("rejected", "failed", "rejected")
    assert "hair leaks" in job["error"]["message"]
    answer = await tenant.http.put(ALIAS, json={"version": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "version_not_servable")


async def test_what_failed_its_gate_cannot_be_approved(tenant: Person) -> None:
    await tenant.fitted(verdict="fail")
    answer = await tenant.http.post("/v1/adapters/avatars/versions/1/approvals", json={"decision": "approve"})
    assert (answer.status_code, answer.json()["code"]) == (409, "gate_failed")
    assert ".50, .70 is needed" in answer.json()["detail"]


async def test_approving_needs_the_scope_approve_and_approvers_see_the_card(world: World, tenant: Person) -> None:
    await tenant.fitted()
    path = "/v1/adapters/avatars/versions/1/approvals"
    worker = (await tenant.post("/v1/api_keys", {"name": "fits", "scopes": ["adapters", "jobs"]}))["api_key"]
    person = (await tenant.post("/v1/api_keys", {"name": "eyes", "scopes": ["approve"]}))["api_key"]
    refused = await world.client(worker).post(path, json={"decision": "approve"})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await world.client(person).get("/v1/adapters/avatars/card")).status_code == 200
    assert (await world.client(person).put(ALIAS, json={"version": 1})).status_code == 403
    assert (await world.client(person).post(path, json={"decision": "approve"})).status_code == 201


async def test_aliases_move_only_for_who_has_seen_them(tenant: Person) -> None:
    for _ in range(2):
        await tenant.fitted(verdict="pass")
    made = await tenant.http.put(ALIAS, json={"version": 1})
    assert (made.status_code, made.headers["etag"], made.json()["version"]) == (201, '"1"', 1)
    blind = await tenant.http.put(ALIAS, json={"version": 2})
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")
    read = await tenant.http.get(ALIAS)
    moved = await tenant.http.put(ALIAS, json={"version": 2}, headers={"If-Match": read.headers["etag"]})
    assert (moved.status_code, moved.headers["etag"], moved.json()["previous_version"]) == (200, '"2"', 1)
    stale = await tenant.http.put(ALIAS, json={"version": 1}, headers={"If-Match": read.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    forced = await tenant.http.put(ALIAS, json={"version": 1}, headers={"If-Match": "*"})
    assert (forced.status_code, forced.headers["etag"]) == (200, '"3"')


@pytest.mark.parametrize(
    ("if_match", "status", "code"),
    [
        ("3", 400, "malformed_header"),
        ("", 412, "precondition_failed"),
        ('W/"1"', 412, "precondition_failed"),
        ('"1", "2"', 412, "precondition_failed"),
        ('"abc"', 412, "precondition_failed"),
        ("*", 412, "precondition_failed"),
        ('"1"', 412, "precondition_failed"),
    ],
)
async def test_conditions_on_an_alias_that_is_not_there(tenant: Person, if_match: str, status: int, code: str) -> None:
    await tenant.fitted(verdict="pass")
    answer = await tenant.http.put(ALIAS, json={"version": 1}, headers={"If-Match": if_match})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await tenant.http.get(ALIAS)).status_code == 404


async def test_rollback_is_moving_it_back(tenant: Person) -> None:
    for _ in range(2):
        await tenant.fitted(verdict="pass")
    await tenant.http.put(ALIAS, json={"version": 1})
    none = await tenant.http.post("/v1/adapters/avatars/rollback")
    assert (none.status_code, none.json()["code"]) == (409, "nothing_to_roll_back")
    await tenant.http.put(ALIAS, json={"version": 2}, headers={"If-Match": '"1"'})
    back = await tenant.http.post("/v1/adapters/avatars/rollback")
    assert (back.status_code, back.json()["version"], back.headers["etag"]) == (200, 1, '"3"')
    again = await tenant.post("/v1/adapters/avatars/rollback", {"alias": "production"})
    assert again["version"] == 2
    unknown = await tenant.http.post("/v1/adapters/avatars/rollback", json={"alias": "canary"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_alias")


async def test_every_move_of_an_alias_tells_its_version_who_when_and_why(tenant: Person) -> None:
    await tenant.fitted()
    for _ in range(2):
        await tenant.fitted(verdict="pass")
    me = (await tenant.get("/v1/me"))["key"]
    path = "/v1/adapters/avatars"
    await tenant.post(f"{path}/versions/1/approvals", {"decision": "approve", "comment": "looks right"})
    body = {"version": 2, "canary": {"version": 3, "weight": 0.25}, "comment": "try the third"}
    await tenant.http.put(ALIAS, json=body, headers={"If-Match": '"1"'})
    await tenant.http.put(ALIAS, json=body, headers={"If-Match": '"2"'})  # it is there already: no move
    await tenant.post(f"{path}/rollback", {"comment": "worse"})  # the trial ends first
    await tenant.post(f"{path}/rollback")
    await tenant.http.put(f"{path}/aliases/next", json={"version": 3})
    moves = (await tenant.get(f"{path}/alias_moves"))["data"]
    told = [(move["alias"], move["from_version"], move["version"], move["reason"], move["comment"]) for move in moves]
    assert told == [
        ("next", None, 3, "moved", ""),
        ("production", 2, 1, "rolled_back", ""),
        ("production", 2, 2, "rolled_back", "worse"),
        ("production", 1, 2, "moved", "try the third"),
        ("production", None, 1, "approved", "looks right"),
    ]
    assert [move["canary"] for move in moves] == [None, None, None, {"version": 3, "weight": 0.25}, None]
    assert {(move["key_id"], move["key_name"]) for move in moves} == {(me["id"], me["name"])}
    assert moves[0]["created_at"] > moves[1]["created_at"]
    first = await tenant.get(f"{path}/alias_moves?alias=production&limit=3")
    rest = await tenant.get(f"{path}/alias_moves?alias=production&limit=3&after={first['next_cursor']}")
    assert first["data"] + rest["data"] == moves[1:]
    targets = [event["target"] for event in (await tenant.get("/v1/audit_events"))["data"]]
    assert targets[0].endswith("/aliases/next to version 3")
    assert targets[1].endswith("/aliases/production to version 1")


async def test_odd_alias_names_and_versions(tenant: Person) -> None:
    await tenant.fitted(verdict="pass")
    for name in ("3", "Production", "a%20b", "a@b"):
        path = f"/v1/adapters/avatars/aliases/{name}"
        assert (await tenant.http.put(path, json={"version": 1})).status_code == 422
    for version in (0, -1, "x", 2**40):
        assert (await tenant.http.put(ALIAS, json={"version": version})).status_code == 422
    answer = await tenant.http.put(ALIAS, json={"version": 7})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_version")


async def test_cards_by_accept(tenant: Person) -> None:
    await tenant.fitted()
    for path in ("/v1/adapters/avatars/card", "/v1/adapters/avatars/versions/1/card"):
        document = await tenant.http.get(path)
        assert json.loads(document.content) == {"adapter": "avatars", "accuracy": 0.9}
        page = await tenant.http.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.headers["content-type"].startswith("text/html")
        assert "<title>card" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await tenant.http.get(path, headers={"Accept": "image/png"})).status_code == 406
    book = await tenant.http.get("/v1/adapters/avatars/playbook")
    assert "<title>playbook" in book.text


async def test_without_a_version_production_is_meant_and_before_that_the_newest(tenant: Person) -> None:
    for _ in range(2):
        await tenant.fitted(verdict="pass")
    download = "/v1/adapters/avatars/download"
    newest = (await tenant.http.get("/v1/adapters/avatars/versions/2/download")).content
    oldest = (await tenant.http.get("/v1/adapters/avatars/versions/1/download")).content
    assert oldest != newest
    assert (await tenant.http.get(download)).content == newest
    await tenant.http.put(ALIAS, json={"version": 1})
    assert (await tenant.http.get(download)).content == oldest


async def test_downloads(world: World, tenant: Person) -> None:
    await tenant.fitted()
    matrices = await tenant.http.get("/v1/adapters/avatars/download", params={"format": "npz"})
    version = await tenant.get("/v1/adapters/avatars/versions/1")
    assert sha256_hex(matrices.content) == version["digest"]
    assert matrices.headers["content-disposition"] == 'attachment; filename="avatars-1.npz"'
    graph = await tenant.http.get("/v1/adapters/avatars/download", params={"format": "onnx"})
    assert graph.content == b"graph"
    assert (await tenant.http.get("/v1/adapters/avatars/download", params={"format": "exe"})).status_code == 422
    key = keys.adapter_file(tenant.id, version["digest"], "adapter.onnx")
    world.objects.put(key, b"tampered")
    damaged = await tenant.http.get("/v1/adapters/avatars/download", params={"format": "onnx"})
    assert (damaged.status_code, damaged.json()["code"]) == (500, "internal_error")
    assert "adapter.onnx" not in damaged.text
    world.objects.delete(key)
    assert (await tenant.http.get("/v1/adapters/avatars/download", params={"format": "onnx"})).status_code == 500


async def test_the_editor_is_put_together_when_it_is_asked_for(world: World, tenant: Person) -> None:
    await tenant.fitted()
    asked = "/v1/adapters/avatars/versions/1/download?format=editor"
    answer = await tenant.http.get(asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="avatars-1.editor.onnx"'
    assert answer.content == graft(*tiny_parts()) == (await tenant.http.get(asked)).content
    [encoder] = [found.key for found in world.objects.list("bases/") if found.key.endswith("encoder.onnx")]
    world.objects.put(encoder, b"tampered")
    assert (await tenant.http.get(asked)).status_code == 500


async def test_pages_of_versions(tenant: Person) -> None:
    for _ in range(3):
        await tenant.fitted()
    first = await tenant.get("/v1/adapters/avatars/versions", params={"limit": 2})
    assert [found["version"] for found in first["data"]] == [3, 2]
    rest = await tenant.get("/v1/adapters/avatars/versions", params={"limit": 2, "after": first["next_cursor"]})
    assert ([found["version"] for found in rest["data"]], rest["has_more"]) == ([1], False)


async def test_serving_is_not_told_of_changes_that_were_refused(world: World, tenant: Person) -> None:
    await tenant.fitted(verdict="fail")
    heard: list[str] = []

    async def listen() -> None:
        async for message in world.cache.subscribe(serving.CHANGED_CHANNEL):
            heard.append(message)

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await tenant.http.post("/v1/adapters/avatars/versions/1/approvals", json={"decision": "approve"})
    await tenant.http.put(ALIAS, json={"version": 1})
    async with world.ports.database.platform_transaction() as session:
        assert (
            await session.scalar(text("select count(*) from approvals where tenant_id = :id"), {"id": tenant.id}) == 0
        )
    listener.cancel()
    assert heard == []
