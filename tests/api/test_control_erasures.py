"""Erasures as their tenant meets them: asked for by item or digest, refused with numbers, done with a certificate."""

import asyncio
import json
from pathlib import Path
from typing import Any

from sqlalchemy import text

from heddle_infra.database import erasures, jobs, queue
from heddle_infra.signing import SignedDocument, Signer, verify
from heddle_platform.digest import sha256_hex
from heddle_platform.ids import derived_id
from heddle_platform.records import Job, JobError
from tests.api.control_world import Person, World, claim_all
from tests.api.live import Live
from tests.api.test_control_cli import run

IMAGES = [sha256_hex(b"%d" % row) for row in range(3)]
FOUND: dict[str, Any] = {
    "erased": {"images": 1, "labelled_rows": 1, "latents": 1, "labelled_sets": 1, "adapter_versions": 1},
    "labelled_sets": [{"dataset": "ds", "before": {"digest": "a", "images": 3}, "after": {"digest": "b", "images": 2}}],
    "adapters": [
        {
            "adapter": "avatars",
            "adapter_id": "ada",
            "versions": [1],
            "replaced_by": 2,
            "status": "approved",
            "verdict": "needs_approval",
            "before": "a",
            "after": "b",
            "rows_removed": 1,
            "difference": 1e-12,
            "tolerance": 1e-8,
            "withdrawn": None,
            "unlearning": {"kind": "heddle.unlearning.v1"},
        }
    ],
    "cache_epoch": 2,
}


async def play(world: World, erasure: str) -> Job:
    """Lease the erasure, as a dispatcher would."""
    return next(job for job in await claim_all(world) if job.id == erasure)


async def finish(world: World, job: Job) -> None:
    """Write what the worker writes at the end."""
    signed = Signer(world.ports.settings.security.secret_key).sign({"kind": "heddle.erasure.v1", **FOUND, "at": "now"})
    async with world.ports.database.platform_transaction() as session:
        await queue.fence(session, job.id, job.attempt)
        await jobs.close(
            session, job.id, status="succeeded", result={**FOUND, "certificate": signed.model_dump(mode="json")}
        )


async def test_an_erasure_is_queued_with_the_images_of_its_items(world: World, tenant: Person) -> None:
    dataset = await tenant.ready_dataset()
    item = (await tenant.get(f"/v1/datasets/{dataset}/items"))["data"][1]["id"]
    body = {"dataset": "spring", "items": [item], "images": [IMAGES[2]], "reason": "asked by the person"}
    answer = await tenant.http.post("/v1/erasure_requests", json=body, headers={"Idempotency-Key": "once"})
    made = answer.json()
    assert (answer.status_code, made["status"]) == (202, "queued")
    assert answer.headers["location"] == f"/v1/erasure_requests/{made['id']}"
    assert made["id"].startswith("era_")
    assert (made["dataset"], made["items"], made["reason"]) == (dataset, [item], "asked by the person")
    assert made["images"] == sorted([IMAGES[1], IMAGES[2]])
    assert (made["erased"], made["certificate"], made["adapters"]) == (None, None, [])
    again = await tenant.http.post("/v1/erasure_requests", json=body, headers={"Idempotency-Key": "once"})
    assert again.json()["id"] == made["id"]
    assert [found["id"] for found in (await tenant.get("/v1/erasure_requests"))["data"]] == [made["id"]]
    assert (await tenant.get("/v1/jobs"))["data"] == []  # a resource of its own
    job = await play(world, made["id"])
    assert (job.spec["images"], job.spec["key_id"]) == (made["images"], (await tenant.get("/v1/me"))["key"]["id"])
    assert (await tenant.get(f"/v1/erasure_requests/{made['id']}"))["status"] == "running"


async def test_deleting_an_item_asks_for_its_erasure(tenant: Person) -> None:
    dataset = await tenant.ready_dataset()
    item = derived_id("itm", "1.png")
    answer = await tenant.http.delete(f"/v1/datasets/{dataset}/items/{item}")
    assert (answer.status_code, answer.json()["images"], answer.json()["items"]) == (202, [IMAGES[1]], [item])
    assert answer.headers["location"] == f"/v1/erasure_requests/{answer.json()['id']}"
    keyed = {"Idempotency-Key": "k"}
    first = await tenant.http.delete(f"/v1/datasets/{dataset}/items/{item}", headers=keyed)
    again = await tenant.http.delete(f"/v1/datasets/{dataset}/items/{item}", headers=keyed)
    assert first.json()["id"] == again.json()["id"]
    for odd in ("nothing", "a%00b", "x" * 300):
        missing = await tenant.http.delete(f"/v1/datasets/{dataset}/items/{odd}")
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_item")


async def test_bad_requests_name_the_field_and_the_numbers(tenant: Person) -> None:
    dataset = await tenant.ready_dataset()
    item, unknown = derived_id("itm", "1.png"), derived_id("itm", "9.png")
    for body, status, code, param, words in (
        ({}, 422, "nothing_to_erase", "images", "0 images"),
        ({"items": [item]}, 422, "dataset_missing", "dataset", "1 item(s)"),
        ({"dataset": dataset, "images": IMAGES[:1]}, 422, "items_missing", "items", "0 of its items"),
        ({"dataset": dataset, "items": [item, unknown]}, 404, "unknown_item", "items", "1 of 2 item(s)"),
        ({"images": [IMAGES[0], "f" * 64]}, 404, "unknown_image", "images", "1 of 2 image(s)"),
        ({"dataset": "nothing", "items": [item]}, 404, "unknown_dataset", "dataset", "nothing"),
        ({"images": ["F" * 64]}, 422, "invalid_request", None, ""),
        ({"images": [IMAGES[0]] * 10_001}, 422, "invalid_request", None, ""),
        ({"images": IMAGES, "more": 1}, 422, "invalid_request", None, ""),
    ):
        answer = await tenant.http.post("/v1/erasure_requests", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), problem
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in problem["detail"]
        if param is not None:
            assert problem["param"] == param
    assert (await tenant.get("/v1/erasure_requests"))["data"] == []


async def test_a_set_that_is_not_ready_has_no_items_to_erase(tenant: Person) -> None:
    dataset = await tenant.dataset()
    answer = await tenant.http.post("/v1/erasure_requests", json={"dataset": dataset, "items": ["itm_x"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_not_ready")


async def test_what_went_is_told_once_all_of_it_went(world: World, tenant: Person) -> None:
    await tenant.ready_dataset()
    made = await tenant.post("/v1/erasure_requests", {"images": IMAGES[:1]})
    job = await play(world, made["id"])
    async with world.ports.database.platform_transaction() as session:
        await erasures.note(session, job.id, FOUND)
    halfway = await tenant.get(f"/v1/erasure_requests/{made['id']}")
    assert (halfway["status"], halfway["erased"], halfway["certificate"]) == ("running", None, None)
    await finish(world, job)
    done = await tenant.get(f"/v1/erasure_requests/{made['id']}")
    assert (done["status"], done["erased"], done["cache_epoch"]) == ("done", FOUND["erased"], 2)
    assert done["adapters"][0]["replaced_by"] == 2
    public = (await world.client(None).get("/v1/signing_key")).json()["public_key"]  # nobody needs a key for it
    assert verify(SignedDocument.model_validate(done["certificate"]), public)["erased"] == FOUND["erased"]


async def test_a_failed_erasure_says_why(world: World, tenant: Person) -> None:
    await tenant.ready_dataset()
    made = await tenant.post("/v1/erasure_requests", {"images": IMAGES[:1]})
    job = await play(world, made["id"])
    async with world.ports.database.platform_transaction() as session:
        await jobs.close(session, job.id, status="failed", error=JobError(code="object_missing", message="gone"))
    failed = await tenant.get(f"/v1/erasure_requests/{made['id']}")
    assert (failed["status"], failed["error"]["code"], failed["erased"]) == ("failed", "object_missing", None)


async def test_neither_can_it_be_cancelled_nor_a_set_deleted_under_it(tenant: Person) -> None:
    dataset = await tenant.ready_dataset()
    made = await tenant.post("/v1/erasure_requests", {"images": IMAGES[:1]})
    cancelled = await tenant.http.post(f"/v1/jobs/{made['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["code"]) == (409, "erasure_not_cancellable")
    deleted = await tenant.http.delete(f"/v1/datasets/{dataset}")
    assert (deleted.status_code, deleted.json()["code"]) == (409, "erasure_open")


async def test_an_erased_version_is_a_name_only(world: World, tenant: Person) -> None:
    version = await tenant.fitted()
    async with world.ports.database.platform_transaction() as session:
        await session.execute(
            text("update adapter_versions set status = 'erased', replaced_by = 7 where tenant_id = :id"),
            {"id": tenant.id},
        )
    shown = await tenant.get(f"/v1/adapters/avatars/versions/{version}")
    assert (shown["status"], shown["replaced_by"], shown["replaces"]) == ("erased", 7, None)
    for file in ("card", "playbook", "download"):
        answer = await tenant.http.get(f"/v1/adapters/avatars/versions/{version}/{file}")
        assert (answer.status_code, answer.json()["code"]) == (404, "version_erased")
        assert "version 7" in answer.json()["detail"]
    approved = await tenant.http.post(
        f"/v1/adapters/avatars/versions/{version}/approvals", json={"decision": "approve"}
    )
    assert (approved.status_code, approved.json()["code"]) == (409, "already_decided")
    aliased = await tenant.http.put("/v1/adapters/avatars/aliases/canary", json={"version": version})
    assert (aliased.status_code, aliased.json()["code"]) == (409, "version_not_servable")


async def test_client_and_commands(live: Live, tmp_path: Path) -> None:
    world = live.world
    person = await world.tenant()
    await person.ready_dataset()
    with live.client(person.key) as client:
        items = await asyncio.to_thread(client.items, "spring")
        assert [item.file for item in items] == ["0.png", "1.png", "2.png", "x.png"]
        made = await asyncio.to_thread(lambda: client.erase(dataset="spring", items=[items[0].id], reason="r"))
        job = await play(world, made.id)
        waiting = asyncio.create_task(asyncio.to_thread(client.wait_for_erasure, made.id))
        await finish(world, job)
        assert (await waiting).erased == FOUND["erased"]
        by_item = await asyncio.to_thread(client.erase_item, "spring", items[1].id)
        assert by_item.status == "queued"
        assert [found.id for found in await asyncio.to_thread(client.erasures)] == [by_item.id, made.id]

    async def shell(*arguments: str, key: str | None = person.key) -> Any:
        return await asyncio.to_thread(lambda: run(*arguments, key=key, url=live.url))

    target = tmp_path / "certificate.json"
    saved = await shell("certificate", "get", made.id, "--out", str(target))
    assert saved.exit_code == 0, saved.output
    valid = await shell("certificate", "verify", str(target), key=None)
    assert valid.exit_code == 0, valid.output
    assert "valid" in valid.stdout
    assert valid.stdout.startswith("valid: heddle.erasure.v1")
    assert "1 labelled rows" in valid.stdout
    changed = json.loads(target.read_text())
    changed["document"]["erased"]["images"] = 0
    target.write_text(json.dumps(changed))
    invalid = await shell("certificate", "verify", str(target), key=None)
    assert invalid.exit_code == 1
    assert "not valid" in invalid.stderr
    listed = await shell("data", "items", "spring", "--json")
    assert [item["file"] for item in json.loads(listed.stdout)][:2] == ["0.png", "1.png"]
    (tmp_path / "2.png").write_bytes(b"2")
    picture = await shell("erase", "--picture", str(tmp_path / "2.png"), "--no-wait", "--json")
    assert json.loads(picture.stdout)["images"] == [IMAGES[2]], picture.output
    unknown = await shell("erase", "--data", "spring", "9.png")
    assert unknown.exit_code == 1
    assert "1 of 1 item(s) are not in labelled set" in unknown.stderr
