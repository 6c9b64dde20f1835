"""Uploads: announced, sent in presigned parts, put together; nothing that does not fit is taken."""

import hashlib

import httpx
import pytest
from sqlalchemy import text

from heddle_platform import keys
from heddle_platform.errors import Forbidden
from tests.api.control_world import PART_BYTES, Person, World, upload


def announced(data: bytes) -> dict[str, object]:
    return {"filename": "set.zip", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


async def test_parts_go_to_the_store_and_become_the_object(world: World, tenant: Person) -> None:
    data = bytes(range(256)) * (PART_BYTES // 256) * 2 + b"tail"
    answer = await tenant.http.post("/v1/uploads", json=announced(data))
    begun = answer.json()
    assert (answer.status_code, begun["status"]) == (201, "open")
    assert [(part["number"], part["bytes"]) for part in begun["parts"]] == [(1, PART_BYTES), (2, PART_BYTES), (3, 4)]
    sent = [
        {"number": part["number"], "etag": world.objects.follow_put(part["url"], data[start : start + part["bytes"]])}
        for part in begun["parts"]
        for start in [part["first_byte"]]
    ]
    path = f"/v1/uploads/{begun['id']}/complete"
    assert world.objects.head(keys.upload(tenant.id, begun["id"])) is None
    done = await tenant.http.post(path, json={"parts": sent[::-1]})  # in any order
    assert (done.status_code, done.json()["status"], done.json()["bytes"]) == (200, "complete", len(data))
    assert world.objects.get(keys.upload(tenant.id, begun["id"])) == data
    again = await tenant.http.post(path, json={"parts": sent})
    assert (again.status_code, again.json()["code"]) == (409, "upload_not_open")


async def test_a_tampered_url_is_refused(world: World, tenant: Person) -> None:
    begun = await tenant.post("/v1/uploads", announced(b"data"))
    url = begun["parts"][0]["url"].replace("part=1", "part=2")
    with pytest.raises(Forbidden):
        world.objects.follow_put(url, b"data")


async def test_too_many_bytes_are_413_with_both_numbers(world: World, tenant: Person) -> None:
    limit = world.ports.settings.limits.upload_max_bytes
    body = {"filename": "set.zip", "bytes": limit + 1, "sha256": "0" * 64}
    answer = await tenant.http.post("/v1/uploads", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (413, "upload_too_large", "bytes")
    assert str(limit) in problem["detail"]
    assert str(limit + 1) in problem["detail"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"sha256": "0" * 63}, "/sha256"),
        ({"sha256": "g" * 64}, "/sha256"),
        ({"bytes": 0}, "/bytes"),
        ({"bytes": "many"}, "/bytes"),
        ({"filename": ""}, "/filename"),
        ({"filename": "a\nb"}, "/filename"),
        ({"key": "elsewhere"}, "/key"),
    ],
)
async def test_announcements_are_checked(tenant: Person, change: dict[str, object], pointer: str) -> None:
    answer = await tenant.http.post("/v1/uploads", json={**announced(b"data"), **change})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_wrong_parts_are_refused_and_the_right_ones_still_work(world: World, tenant: Person) -> None:
    begun = await tenant.post("/v1/uploads", announced(b"data"))
    etag = world.objects.follow_put(begun["parts"][0]["url"], b"data")
    path = f"/v1/uploads/{begun['id']}/complete"
    for parts in (
        [{"number": 2, "etag": etag}],
        [{"number": 1, "etag": etag}, {"number": 1, "etag": etag}],
        [{"number": 1, "etag": '"0123"'}],
    ):
        answer = await tenant.http.post(path, json={"parts": parts})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parts")
    for parts in ([], [{"number": 0, "etag": etag}], [{"number": 1, "etag": ""}]):
        answer = await tenant.http.post(path, json={"parts": parts})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await tenant.http.post(path, json={"parts": [{"number": 1, "etag": etag}]})).status_code == 200


async def test_another_size_than_announced_is_refused_and_forgotten(world: World, tenant: Person) -> None:
    begun = await tenant.post("/v1/uploads", announced(b"four"))
    with pytest.raises(Forbidden):
        world.objects.follow_put(begun["parts"][0]["url"], b"seven b")
    # a store that does not hold clients to the length that was signed
    [opened] = world.objects.open_multiparts(keys.upload(tenant.id, begun["id"]))
    url = world.objects.presign_part(opened.key, opened.multipart_id, 1, expires_seconds=60)
    etag = world.objects.follow_put(url, b"seven b")
    path = f"/v1/uploads/{begun['id']}/complete"
    answer = await tenant.http.post(path, json={"parts": [{"number": 1, "etag": etag}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "size_mismatch")
    assert "7 bytes" in answer.json()["detail"]
    assert "with 4" in answer.json()["detail"]
    assert world.objects.head(keys.upload(tenant.id, begun["id"])) is None
    gone = await tenant.http.post(path, json={"parts": [{"number": 1, "etag": etag}]})
    assert (gone.status_code, gone.json()["code"]) == (409, "upload_gone")


async def test_a_file_of_several_parts_may_be_divided_otherwise(world: World, tenant: Person) -> None:
    data = bytes(2 * PART_BYTES)
    begun = await tenant.post("/v1/uploads", announced(data + bytes(10)))
    assert [part["bytes"] for part in begun["parts"]] == [PART_BYTES, PART_BYTES, 10]
    chunks = data[:PART_BYTES], data[: PART_BYTES + 2], bytes(8)
    sent = [
        {"number": part["number"], "etag": world.objects.follow_put(part["url"], chunk)}
        for part, chunk in zip(begun["parts"], chunks, strict=True)
    ]
    assert (await tenant.post(f"/v1/uploads/{begun['id']}/complete", {"parts": sent}))["status"] == "complete"


async def test_a_completion_whose_answer_was_lost_can_be_sent_again(world: World, tenant: Person) -> None:
    begun = await tenant.post("/v1/uploads", announced(b"data"))
    etag = world.objects.follow_put(begun["parts"][0]["url"], b"data")
    path, body = f"/v1/uploads/{begun['id']}/complete", {"parts": [{"number": 1, "etag": etag}]}
    await tenant.post(path, body)
    async with world.ports.database.platform_transaction() as session:  # the object was made, the row's commit was lost
        await session.execute(text("update uploads set status = 'open' where id = :id"), {"id": begun["id"]})
    assert (await tenant.post(path, body))["status"] == "complete"


async def test_an_expired_upload_is_refused(world: World, tenant: Person) -> None:
    begun = await tenant.post("/v1/uploads", announced(b"data"))
    etag = world.objects.follow_put(begun["parts"][0]["url"], b"data")
    async with world.ports.database.platform_transaction() as session:
        await session.execute(text("update uploads set expires_at = now() where id = :id"), {"id": begun["id"]})
    answer = await tenant.http.post(
        f"/v1/uploads/{begun['id']}/complete", json={"parts": [{"number": 1, "etag": etag}]}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_expired")


async def test_operators_upload_outside_of_every_tenant(world: World, tenant: Person) -> None:
    upload_id = await upload(world, world.admin, b"a base")
    assert world.objects.get(keys.operator_upload(upload_id)) == b"a base"
    body = {"name": "x", "factor_set": "avatars", "upload": upload_id}
    await tenant.post("/v1/factor_sets", {"name": "avatars", "factors": [{"name": "hat", "kind": "binary"}]})
    answer = await tenant.http.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upload")


async def test_scope_data_is_needed(world: World, tenant: Person) -> None:
    weak = (await tenant.post("/v1/api_keys", {"name": "weak", "scopes": ["jobs", "edits"]}))["api_key"]
    client: httpx.AsyncClient = world.client(weak)
    parts = {"parts": [{"number": 1, "etag": "x"}]}
    for path, body in (("/v1/uploads", announced(b"x")), ("/v1/uploads/up_1/complete", parts)):
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
