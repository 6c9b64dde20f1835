"""Bases: published whole or not at all, once per digest, aliased with ETags."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from heddle_api.control.bases.archive import read_bundle
from heddle_platform import keys
from heddle_platform.base.bundle import DECODER, ENCODER, FILES, MANIFEST, WEIGHTS, BaseBundle, BaseManifest
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.ids import new_id
from tests.api.control_world import Person, World, upload


def bundle(mark: str = "") -> BaseBundle:
    """A whole bundle whose networks are nonsense: publishing never opens them."""
    unique = mark or new_id("ev")
    files = {name: f"{name} {unique}".encode() for name in FILES}
    manifest = BaseManifest.model_validate(
        {
            "name": "tiny",
            "image_size": 64,
            "latents": 2,
            "latent_mean": [0.0, 0.0],
            "latent_std": [1.0, 1.0],
            "recipe": {},
            "corpus": {"images": {"micah": 1}, "seed": 0},
            "metrics": {
                "mse": {},
                "active_units": 2,
                "kl_per_latent": [1.0, 1.0],
                "steps": 1,
                "parity_latent": 0.0,
                "parity_image": 0.0,
            },
            "code_version": "0",
            "trained_at": "2026-11-22T00:00:00Z",
            "files": {name: sha256_hex(data) for name, data in files.items()},
        }
    )
    return BaseBundle(manifest, files)


def zipped(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in contents.items():
            target.writestr(name, data)
    return buffer.getvalue()


async def publish(world: World, data: bytes, **fields: Any) -> Any:
    body = {"name": "tiny", "upload": await upload(world, world.admin, data), **fields}
    return await world.admin.post("/v1/bases", json=body)


async def test_publishing_stores_every_file_under_its_digest(world: World, tenant: Person) -> None:
    made = bundle()
    answer = await publish(world, zipped(made.all_files()), alias="default")
    shown = answer.json()
    assert (answer.status_code, shown["digest"], shown["aliases"]) == (201, made.digest, ["default"])
    assert shown["manifest"]["latents"] == 2
    for file, data in made.all_files().items():
        assert world.objects.get(keys.base_file("tiny", made.digest, file)) == data
    assert list(world.objects.list("operator/")) == []
    for reference in (shown["id"], made.digest, "default", "tiny"):
        assert (await tenant.get(f"/v1/bases/{reference}"))["id"] == shown["id"]
    listed = (await tenant.get("/v1/bases", params={"limit": 1}))["data"]
    assert (listed[0]["id"], "manifest" in listed[0]) == (shown["id"], False)


async def test_the_same_bundle_twice_is_one_base(world: World) -> None:
    data = zipped(bundle().all_files())
    first = await publish(world, data)
    second = await publish(world, data)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]


async def test_publishing_is_replayed_though_the_upload_is_gone(world: World) -> None:
    upload_id = await upload(world, world.admin, zipped(bundle().all_files()))
    body, headers = {"name": "tiny", "upload": upload_id}, {"Idempotency-Key": upload_id}
    first = await world.admin.post("/v1/bases", json=body, headers=headers)
    second = await world.admin.post("/v1/bases", json=body, headers=headers)
    assert (second.status_code, second.content) == (201, first.content)
    again = await world.admin.post("/v1/bases", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "upload_not_complete")


async def test_tenants_do_not_publish(world: World, tenant: Person) -> None:
    upload_id = await tenant.upload()
    refused = await tenant.http.post("/v1/bases", json={"name": "tiny", "upload": upload_id})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    theirs = await world.admin.post("/v1/bases", json={"name": "tiny", "upload": upload_id})
    assert (theirs.status_code, theirs.json()["code"]) == (404, "unknown_upload")


async def test_a_card_is_published_with_its_base_and_served_as_asked(world: World, tenant: Person) -> None:
    card = {"card.json": b'{"name":"tiny"}', "card.html": b"<!doctype html>tiny"}
    made = (await publish(world, zipped({**bundle().all_files(), **card}))).json()
    url = f"/v1/bases/{made['id']}/card"
    assert await tenant.get(url) == {"name": "tiny"}
    page = await tenant.http.get(url, headers={"Accept": "text/html"})
    assert (page.content, page.headers["content-type"]) == (card["card.html"], "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    picture = await tenant.http.get(url, headers={"Accept": "image/png"})
    assert (picture.status_code, picture.json()["code"]) == (406, "not_acceptable")


async def test_a_base_without_a_card_says_so(world: World, tenant: Person) -> None:
    made = (await publish(world, zipped(bundle().all_files()))).json()
    answer = await tenant.http.get(f"/v1/bases/{made['id']}/card")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_card")
    half = await publish(world, zipped({**bundle().all_files(), "card.json": b"{}"}))
    assert (half.status_code, half.json()["code"]) == (422, "missing_file")


async def test_damaged_bundles_are_refused_and_nothing_is_stored(world: World) -> None:
    good = bundle().all_files()
    bad = {
        "not_a_zip": b"PK nonsense",
        "missing_file": zipped({name: data for name, data in good.items() if name != ENCODER}),
        "unexpected_file": zipped({**good, "../escape": b"x"}),
        "invalid_base": zipped({**good, WEIGHTS: b"other bytes"}),
    }
    before = {info.key for info in world.objects.list("bases/")}
    for code, data in bad.items():
        answer = await publish(world, data, alias="default")
        assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, code, "upload")
    assert {info.key for info in world.objects.list("bases/")} == before


async def test_other_bytes_than_announced_are_refused(world: World) -> None:
    data = zipped(bundle().all_files())
    upload_id = await upload(world, world.admin, data, sha256="0" * 64)
    answer = await world.admin.post("/v1/bases", json={"name": "tiny", "upload": upload_id})
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")


@pytest.mark.parametrize(
    "name", ["../manifest.json", "/manifest.json", "x/manifest.json", "manifest.json/", "..\\manifest.json"]
)
def test_names_that_lead_elsewhere_are_not_unpacked(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_bundle(zipped({**bundle().all_files(), name: b"x"}))
    assert caught.value.code == "unexpected_file"


def test_a_file_that_stands_twice_is_refused() -> None:
    buffer = io.BytesIO(zipped(bundle().all_files()))
    with zipfile.ZipFile(buffer, "a") as target, pytest.warns(UserWarning, match="Duplicate name"):
        target.writestr(DECODER, b"another")
    with pytest.raises(InvalidInput) as caught:
        read_bundle(buffer.getvalue())
    assert caught.value.code == "unexpected_file"


def test_a_bomb_is_stopped_by_its_declared_size() -> None:
    data = zipped({**bundle().all_files(), WEIGHTS: bytes(1_000_000)})
    assert len(data) < 10_000
    with pytest.raises(TooLarge) as caught:
        read_bundle(data, max_bytes=100_000)
    assert "100000" in caught.value.message


def test_damaged_and_oddly_packed_zips_are_refused() -> None:
    data = bytearray(zipped({**bundle().all_files(), WEIGHTS: bytes(range(256)) * 100}))
    at = data.find(WEIGHTS.encode()) + len(WEIGHTS) + 5
    data[at : at + 40] = bytes(255 - byte for byte in data[at : at + 40])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as target:
        for name, content in bundle().all_files().items():
            target.writestr(name, content)
    for bad in (bytes(data), buffer.getvalue(), bytes(data[: len(data) // 2])):
        with pytest.raises(InvalidInput) as caught:
            read_bundle(bad)
        assert caught.value.code == "not_a_zip"


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped(bundle().all_files()))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + offset] |= 1
    with pytest.raises(InvalidInput) as caught:
        read_bundle(bytes(data))
    assert caught.value.code == "encrypted_file"


async def test_aliases_of_bases_move_with_etags(world: World, tenant: Person) -> None:
    first, second = [(await publish(world, zipped(bundle().all_files()))).json() for _ in range(2)]
    alias = f"next-{first['id'][-8:]}"
    path = f"/v1/bases/tiny/aliases/{alias}"
    assert (await tenant.http.get(path)).status_code == 404
    made = await world.admin.put(path, json={"base": first["id"]})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    blind = await world.admin.put(path, json={"base": second["id"]})
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")
    stale = await world.admin.put(path, json={"base": second["id"]}, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    moved = await world.admin.put(path, json={"base": second["digest"]}, headers={"If-Match": '"1"'})
    assert (moved.status_code, moved.headers["etag"], moved.json()["base"]) == (200, '"2"', second["id"])
    read = await tenant.http.get(path)
    assert (read.headers["etag"], read.json()["digest"]) == ('"2"', second["digest"])
    assert (await tenant.http.put(path, json={"base": first["id"]})).status_code == 403
    other_name = await world.admin.put(f"/v1/bases/large/aliases/{alias}", json={"base": first["id"]})
    assert (other_name.status_code, other_name.json()["code"]) == (422, "base_name_mismatch")
    unknown = await world.admin.put(path, json={"base": "nothing"}, headers={"If-Match": "*"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_base")


async def test_manifest_of_another_format_is_refused(world: World) -> None:
    answer = await publish(world, zipped({**bundle().all_files(), MANIFEST: b'{"format_version": 99}'}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_base")
