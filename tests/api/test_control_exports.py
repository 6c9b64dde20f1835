"""Exports asked for: every version resolved, and the archive found where it is stored."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from heddle_api.client import AsyncHeddleClient
from heddle_infra.database import jobs
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.records import Job
from tests.api.control_world import Person, World, claim_all
from tests.api.live import Live
from tests.api.test_control_cli import shell
from tests.api.test_control_refits import ask, leased

ZIP = b"PK the files of a version"
PARITY = {
    "batches": [1, 2, 7, 64],
    "editor": {"pixel_steps_of_255": 1, "readings": 3e-7, "pictures": 74, "on_edge": 0},
}


async def finish_export(world: World, job: Job) -> None:
    """Play the worker that ends an export."""
    world.objects.put(keys.export(job.tenant, job.id, sha256_hex(ZIP)), ZIP)
    place = {
        "url": f"/v1/jobs/{job.id}/export",
        "filename": "avatars-1.zip",
        "bytes": len(ZIP),
        "sha256": sha256_hex(ZIP),
    }
    file = {"name": "avatars-1.editor.onnx", "format": "editor", "bytes": 12_000_000, "sha256": "0" * 64}
    versions = [{**one, "files": [file], "parity": PARITY} for one in job.spec["versions"]]
    async with world.ports.database.platform_transaction() as session:
        await jobs.close(session, job.id, status="succeeded", result={"archive": place, "versions": versions})


async def test_an_export_is_queued_with_every_version_resolved_and_its_archive_found(
    world: World, tenant: Person
) -> None:
    await tenant.fitted(verdict="pass")
    await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
    body = {"type": "export", "adapter": "avatars@production", "priority": -1}
    made = await tenant.post("/v1/jobs", body)
    assert (made["type"], made["status"], made["adapter"], made["version"]) == ("export", "queued", "avatars", 1)
    assert (made["priority"], made["dataset"], made["queue_position"] is None) == (-1, None, False)
    job = await leased(world, made["id"])
    adapter = await tenant.get("/v1/adapters/avatars")
    assert job.spec["versions"] == [{"adapter": "avatars", "adapter_id": adapter["id"], "version": 1}]
    assert job.spec["formats"] == ["editor"]
    path = f"/v1/jobs/{job.id}/export"
    assert (await tenant.http.get(path)).json()["code"] == "unknown_export"
    await finish_export(world, job)
    found = await tenant.get(path)
    assert (found["filename"], found["bytes"], found["sha256"]) == ("avatars-1.zip", len(ZIP), sha256_hex(ZIP))
    assert world.objects.follow_get(found["url"]) == ZIP
    assert [one["id"] for one in (await tenant.get("/v1/jobs", params={"type": "export"}))["data"]] == [job.id]
    assert job.id in [one["id"] for one in (await tenant.get("/v1/jobs"))["data"]]


async def test_several_versions_go_into_one_archive(world: World, tenant: Person) -> None:
    await tenant.fitted("avatars")
    await tenant.fitted("hats")
    made = await tenant.post(
        "/v1/jobs", {"type": "export", "adapter": ["hats@1", "avatars"], "formats": ["npz", "onnx"]}
    )
    assert (made["adapter"], made["version"]) == (None, None)
    job = await leased(world, made["id"])
    assert [one["adapter"] for one in job.spec["versions"]] == ["hats", "avatars"]
    assert job.spec["formats"] == ["npz", "onnx"]


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"adapter": "nothing@1"}, 404, "unknown_adapter", "adapter"),
        ({"adapter": ["avatars@1", "avatars@7"]}, 404, "unknown_version", "version"),
        ({"adapter": "avatars@canary"}, 404, "unknown_alias", "alias"),
        ({"adapter": ["avatars@1", "avatars"]}, 422, "named_twice", "adapter"),
        ({"adapter": []}, 422, "invalid_request", None),
        ({"adapter": ["avatars@1"] * 21}, 422, "invalid_request", None),
        ({"formats": []}, 422, "invalid_request", None),
        ({"formats": ["onnx", "onnx"]}, 422, "invalid_request", None),
        ({"formats": ["pickle"]}, 422, "invalid_request", None),
        ({"base": "default"}, 422, "invalid_request", None),
    ],
)
async def test_bad_exports(tenant: Person, change: dict[str, Any], status: int, code: str, param: str | None) -> None:
    await tenant.fitted()
    body = {"type": "export", "adapter": "avatars@1", **change}
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        answered = await ask(tenant, body, path)
        assert answered[:2] == (status, code)
        assert param is None or answered[2] == param
    assert (await tenant.get("/v1/jobs", params={"type": "export"}))["data"] == []


async def test_an_archive_that_is_gone_says_why(world: World, tenant: Person) -> None:
    await tenant.fitted()
    made = await tenant.post("/v1/jobs", {"type": "export", "adapter": "avatars"})
    job = await leased(world, made["id"])
    async with world.ports.database.platform_transaction() as session:
        result = {"archive": None, "gone": "the archives of 10 newer exports are kept"}
        await jobs.close(session, job.id, status="succeeded", result=result)
    problem = (await tenant.http.get(f"/v1/jobs/{job.id}/export")).json()
    assert (problem["code"], "10 newer exports" in problem["detail"]) == ("unknown_export", True)
    fit = (await tenant.get("/v1/jobs", params={"type": "fit"}))["data"][0]["id"]
    assert (await tenant.http.get(f"/v1/jobs/{fit}/export")).json()["code"] == "unknown_export"


async def test_an_operators_key_exports_nothing(world: World) -> None:
    answer = await world.client(world.admin_key).post("/v1/jobs", json={"type": "export", "adapter": "avatars"})
    assert answer.status_code == 403, answer.text


async def test_from_the_command_line(live: Live, tmp_path: Path) -> None:
    person = await live.world.tenant()
    await person.fitted()
    file = tmp_path / "editors.zip"
    running = asyncio.create_task(
        shell(live, "adapters", "export", "avatars@1", "--format", "editor", "-o", str(file), key=person.key)
    )
    while not running.done():
        for job in await claim_all(live.world):
            await finish_export(live.world, job)
        await asyncio.sleep(0.05)
    shown = await running
    assert shown.exit_code == 0, shown.output
    for said in ("avatars-1.editor.onnx", "at most 1 of 255 in a picture", "3e-07"):
        assert said in shown.stdout
    assert file.read_bytes() == ZIP
    assert not file.with_name("editors.zip.part").exists()
    told = await shell(live, "adapters", "export", "avatars@1", "--no-wait", "--json", key=person.key)
    assert json.loads(told.stdout)["status"] == "queued", told.output
    estimate = await shell(live, "adapters", "export", "avatars", "--estimate", key=person.key)
    assert "It would be charged" in estimate.stdout, estimate.output
    missing = await shell(live, "adapters", "export", "nothing", key=person.key)
    assert (missing.exit_code, "(unknown_adapter)" in missing.stderr) == (1, True)


async def test_from_the_client(live: Live, tmp_path: Path) -> None:
    person = await live.world.tenant()
    await person.fitted()
    async with AsyncHeddleClient(live.url, None, person.key) as heddle:
        assert (await heddle.estimate_export("avatars")).type == "export"
        job = await heddle.export("avatars@1", formats=["npz"])
        await finish_export(live.world, await leased(live.world, job.id))
        assert (await heddle.wait_for_job(job.id)).status == "succeeded"
        found = await heddle.save_export(job.id, tmp_path / "a.zip")
        assert (found.filename, (tmp_path / "a.zip").read_bytes()) == ("avatars-1.zip", ZIP)
