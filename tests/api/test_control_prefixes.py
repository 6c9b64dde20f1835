"""Objects against a real store: what was signed for one tenant opens nothing of another."""

from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest

from heddle_infra.memory import MemoryObjectStore
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.settings import ObjectStoreSettings
from tests.api.control_world import Person, World, open_world

DATA = b"the bytes of a set"


@pytest.fixture
async def world(postgres_url: str, seaweed_settings: ObjectStoreSettings) -> AsyncIterator[World]:
    """A control plane over real S3."""
    store = S3ObjectStore(seaweed_settings)
    async with open_world(postgres_url, cast(MemoryObjectStore, store)) as opened:
        yield opened


async def begin(person: Person) -> tuple[str, str]:
    started = await person.post("/v1/uploads", {"filename": "x.zip", "bytes": len(DATA), "sha256": sha256_hex(DATA)})
    return started["id"], started["parts"][0]["url"]


async def test_a_signed_url_opens_nothing_of_another_tenant(world: World, tenant: Person, other: Person) -> None:
    mine, url = await begin(tenant)
    theirs, _ = await begin(other)
    assert f"/tenants/{tenant.id}/uploads/{mine}?" in url
    tampered = [
        url.replace(tenant.id, other.id),
        url.replace(tenant.id, other.id).replace(mine, theirs),
        url.replace(f"tenants/{tenant.id}/", ""),
        url.replace(f"tenants/{tenant.id}/uploads", f"tenants/{tenant.id}/../{other.id}/uploads"),
        url.replace(mine, f"..%2F..%2F{other.id}%2Fuploads%2F{theirs}"),
        url.replace("X-Amz-Expires=", "X-Amz-Expires=9"),
    ]
    async with httpx.AsyncClient() as http:
        for wrong in tampered:
            assert wrong != url
            # a path that climbs is malformed (400), all else is not what was signed
            assert (await http.put(wrong, content=b"theirs")).status_code in (400, 403), wrong
        assert (await http.put(url, content=DATA)).status_code == 200
    assert [info.key for info in world.objects.list(keys.tenant_prefix(other.id))] == []


async def test_parts_of_one_tenant_complete_no_upload_of_another(world: World, tenant: Person, other: Person) -> None:
    mine, url = await begin(tenant)
    theirs, _ = await begin(other)
    async with httpx.AsyncClient() as http:
        etag = (await http.put(url, content=DATA)).headers["etag"]
    parts = {"parts": [{"number": 1, "etag": etag}]}
    assert (await other.http.post(f"/v1/uploads/{mine}/complete", json=parts)).status_code == 404
    stolen = await other.http.post(f"/v1/uploads/{theirs}/complete", json=parts)
    assert stolen.status_code in (409, 422), stolen.text
    assert [info.key for info in world.objects.list(keys.tenant_prefix(other.id))] == []
    assert (await tenant.http.post(f"/v1/uploads/{mine}/complete", json=parts)).status_code == 200
    assert [info.key for info in world.objects.list(keys.tenant_prefix(tenant.id))] == [keys.upload(tenant.id, mine)]


async def test_a_download_url_reads_its_own_object_only(world: World, tenant: Person, other: Person) -> None:
    for person in (tenant, other):
        world.objects.put(keys.upload(person.id, "up_same"), person.id.encode())
    url = world.objects.presign_get(keys.upload(tenant.id, "up_same"), expires_seconds=60)
    async with httpx.AsyncClient() as http:
        assert (await http.get(url)).text == tenant.id
        assert (await http.get(url.replace(tenant.id, other.id))).status_code == 403
        assert (await http.put(url, content=b"x")).status_code == 403
