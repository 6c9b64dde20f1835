"""Uploads against a real object store: the URLs are real, and so is what it refuses."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import text

from heddle_infra.memory import MemoryObjectStore
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys
from heddle_platform.settings import ObjectStoreSettings
from tests.api.control_world import PART_BYTES, Person, World, open_world

DATA = bytes(range(256)) * (PART_BYTES // 256) + b"tail"


@pytest.fixture
async def world(postgres_url: str, seaweed_settings: ObjectStoreSettings) -> AsyncIterator[World]:
    """A control plane over real S3."""
    store = S3ObjectStore(seaweed_settings)
    async with open_world(postgres_url, cast(MemoryObjectStore, store)) as opened:
        yield opened


@pytest.fixture
async def begun(tenant: Person) -> dict[str, Any]:
    """An upload of two parts."""
    digest = hashlib.sha256(DATA).hexdigest()
    started: dict[str, Any] = await tenant.post(
        "/v1/uploads", {"filename": "set.zip", "bytes": len(DATA), "sha256": digest}
    )
    return started


async def put(part: dict[str, Any], data: bytes) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.put(part["url"], content=data, headers=part["headers"])


async def send_all(begun: dict[str, Any]) -> list[dict[str, Any]]:
    sent = []
    for part in begun["parts"]:
        answer = await put(part, DATA[part["first_byte"] : part["first_byte"] + part["bytes"]])
        assert answer.status_code == 200, answer.text
        sent.append({"number": part["number"], "etag": answer.headers["etag"]})
    return sent


async def test_parts_become_the_object_and_completing_again_is_safe(
    world: World, tenant: Person, begun: dict[str, Any]
) -> None:
    sent = await send_all(begun)
    path = f"/v1/uploads/{begun['id']}/complete"
    assert (await tenant.post(path, {"parts": sent[::-1]}))["status"] == "complete"
    assert world.objects.get(keys.upload(tenant.id, begun["id"])) == DATA
    async with world.ports.database.platform_transaction() as session:  # the object was made, the row's commit was lost
        await session.execute(text("update uploads set status = 'open' where id = :id"), {"id": begun["id"]})
    assert (await tenant.post(path, {"parts": sent}))["status"] == "complete"


async def test_a_part_that_is_not_the_one_sent_is_refused(tenant: Person, begun: dict[str, Any]) -> None:
    sent = await send_all(begun)
    path = f"/v1/uploads/{begun['id']}/complete"
    wrong = [sent[0], {"number": 2, "etag": sent[0]["etag"]}]
    answer = await tenant.http.post(path, json={"parts": wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parts")
    assert (await tenant.post(path, {"parts": sent}))["status"] == "complete"


async def test_a_url_takes_its_own_part_only(tenant: Person, begun: dict[str, Any]) -> None:
    first = begun["parts"][0]
    other_part = {**first, "url": first["url"].replace("partNumber=1", "partNumber=2")}
    other_key = {**first, "url": first["url"].replace(begun["id"], "up_" + "0" * 26)}
    assert other_part["url"] != first["url"] != other_key["url"]
    for part in (other_part, other_key):
        assert (await put(part, b"x")).status_code == 403
    assert tenant.key not in first["url"]


async def test_nothing_is_readable_through_an_upload_url(begun: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.get(begun["parts"][0]["url"])).status_code == 403
