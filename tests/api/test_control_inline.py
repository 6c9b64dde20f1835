"""Labelled sets sent within the request: the zip they become, every fault by item, nothing left where refused."""

import base64
import io
import zipfile

import numpy as np
import pytest

from heddle_infra.database import uploads
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.pixels import encode
from tests.api.control_world import FACTORS, Person, World, claim_all


def png(seed: int) -> bytes:
    return encode(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8), "image/png")


def item(seed: int, **labels: object) -> dict[str, object]:
    return {"image": base64.b64encode(png(seed)).decode(), "labels": labels}


async def test_images_sent_along_become_an_upload_that_is_validated(world: World, tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    body = {"name": "few", "factor_set": "avatars", "items": [item(0, smile=True), item(1, smile=None), item(2)]}
    answer = await tenant.http.post("/v1/datasets", json=body, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()["status"]) == (202, "validating")
    again = await tenant.http.post("/v1/datasets", json=body, headers={"Idempotency-Key": "once"})
    assert again.json() == answer.json()
    [job] = [job for job in await claim_all(world) if job.tenant_id == tenant.id]
    data = world.ports.objects.get(keys.upload(tenant.id, job.spec["upload_id"]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["000002.png", "000003.png", "000004.png", "labels.csv"]
        lines = archive.read("labels.csv").decode().splitlines()
        column = lines[0].split(",").index("smile")
        assert [line.split(",")[column] for line in lines] == ["smile", "True", "", ""]
        assert archive.read("000003.png") == png(1)
    async with world.ports.database.platform_transaction() as session:
        stored = await uploads.get(session, tenant.id, job.spec["upload_id"])
    assert (stored.bytes, stored.sha256, stored.status) == (len(data), sha256_hex(data), "consumed")


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"image": "@@@", "labels": {}}, "/items/1/image", "not_base64"),
        ({"image": base64.b64encode(b"GIF89a....").decode(), "labels": {}}, "/items/1/image", "unsupported_image"),
        ({**item(1), "labels": {"hat": "red"}}, "/items/1/labels", "unknown_factor"),
    ],
)
async def test_every_wrong_item_is_named(
    world: World, tenant: Person, wrong: dict[str, object], pointer: str, code: str
) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    body = {"name": "few", "factor_set": "avatars", "items": [item(0), wrong]}
    answer = await tenant.http.post("/v1/datasets", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (422, "invalid_items", "items")
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert (await tenant.get("/v1/datasets"))["data"] == []
    assert list(world.ports.objects.list(keys.tenant_prefix(tenant.id))) == []


@pytest.mark.parametrize("sources", [{}, {"upload": "up_x", "items": [item(0)]}, {"items": []}])
async def test_there_is_one_source(tenant: Person, sources: dict[str, object]) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    answer = await tenant.http.post("/v1/datasets", json={"name": "few", "factor_set": "avatars", **sources})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_weights_sent_along_become_a_column(world: World, tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    items = [{**item(0, smile=True), "weight": 2.5}, item(1, smile=False), {**item(2), "weight": 3}]
    answer = await tenant.http.post("/v1/datasets", json={"name": "few", "factor_set": "avatars", "items": items})
    assert answer.status_code == 202
    [job] = [job for job in await claim_all(world) if job.tenant_id == tenant.id]
    data = world.ports.objects.get(keys.upload(tenant.id, job.spec["upload_id"]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lines = archive.read("labels.csv").decode().splitlines()
    assert [line.split(",")[-1] for line in lines] == ["weight", "2.5", "", "3"]


@pytest.mark.parametrize("weight", [0, -1, 1e13, "heavy", True])
async def test_a_weight_that_is_none_is_refused(tenant: Person, weight: object) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    items = [item(0), {**item(1), "weight": weight}]
    answer = await tenant.http.post("/v1/datasets", json={"name": "few", "factor_set": "avatars", "items": items})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == "/items/1/weight"
