"""Exports through the dispatcher, on real stores and real Ray."""

import io
import json
import zipfile
from collections.abc import Sequence

import httpx
import onnx
import pytest

from heddle_infra.database import exports, jobs
from heddle_platform import keys
from heddle_platform.base.bundle import DECODER, ENCODER
from heddle_platform.base.graft import graft
from heddle_platform.digest import sha256_hex
from heddle_platform.records import ExportFormat, Job

from .ray_head import RayHead
from .world import World, avatar_zip, default_bundle, rendered, running

ALL: tuple[ExportFormat, ...] = ("editor", "onnx", "npz")


async def export(world: World, *references: str, formats: Sequence[ExportFormat] = ("npz",)) -> Job:
    async with world.database.platform_transaction() as session:
        versions = await exports.resolve(session, world.tenant.id, references)
        return await exports.queue(session, world.tenant.id, versions, formats, 0)


async def two_versions(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    for first in (True, False):
        await world.until((await world.queue_fit(dataset, waiting=first, card="brief")).id)


async def archive(world: World, job: Job) -> zipfile.ZipFile:
    assert job.result is not None, job.error
    place = job.result["archive"]
    data = world.objects.get(keys.export(world.tenant.id, job.id, place["sha256"]))
    assert (sha256_hex(data), len(data)) == (place["sha256"], place["bytes"])
    return zipfile.ZipFile(io.BytesIO(data))


async def test_versions_leave_in_one_archive_with_their_distance_from_the_platform(world: World) -> None:
    async with running(world.dispatcher()):
        await two_versions(world)
        one = await world.until((await export(world, "avatars@2", formats=ALL)).id)
        both = await world.until((await export(world, "avatars@2", "avatars@1")).id)
        again = await world.until((await export(world, "avatars@2", formats=ALL)).id)
    assert (one.status, one.error) == ("succeeded", None)
    assert one.result is not None
    assert (one.result["adapter"], one.result["version"]) == ("avatars", 2)
    assert one.result["archive"]["filename"] == "avatars-2.zip"
    [version] = one.result["versions"]
    assert version["parity"]["batches"] == [1, 2, 7, 64]
    assert version["parity"]["onnx"]["difference"] <= 1e-5
    editor = version["parity"]["editor"]
    assert (editor["pictures"], editor["readings"] <= 1e-5, editor["pixel_steps_of_255"] <= 1) == (74, True, True)

    found = await archive(world, one)
    assert sorted(found.namelist()) == [
        "avatars-2.editor.onnx",
        "avatars-2.npz",
        "avatars-2.onnx",
        "export.json",
    ]
    for file in version["files"]:
        assert sha256_hex(found.read(file["name"])) == file["sha256"]
    listed = json.loads(found.read("export.json"))["versions"]
    assert listed == [{name: part for name, part in version.items() if name != "adapter_id"}]
    newest = (await world.versions())[0]
    assert sha256_hex(found.read("avatars-2.npz")) == newest.digest
    onnx.checker.check_model(found.read("avatars-2.editor.onnx"), full_check=True)
    # what is made anew is what GET .../download?format=editor puts together
    pack = zipfile.ZipFile(
        io.BytesIO(world.objects.get(keys.adapter_file(world.tenant.id, newest.digest, "files.zip")))
    )
    base = default_bundle()
    assert found.read("avatars-2.editor.onnx") == graft(
        pack.read("editor.core"), base.files[ENCODER], base.files[DECODER]
    )

    assert both.result is not None
    assert both.result["archive"]["filename"] == f"export-{both.id}.zip"
    assert [one["version"] for one in both.result["versions"]] == [2, 1], "in the order asked for"
    assert "version" not in both.result
    assert again.result is not None
    assert again.result["archive"]["sha256"] == one.result["archive"]["sha256"], "equal versions, equal archives"
    assert not [key for key in await world.stored() if key.startswith("uploads/job_")], "nothing is left of the sending"


async def test_the_newest_archives_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "KEPT", 2)
    async with running(world.dispatcher()):
        await two_versions(world)
        made = [await world.until((await export(world, f"avatars@{1 + turn % 2}")).id) for turn in range(3)]
    oldest = await world.job(made[0].id)
    assert oldest.result is not None
    assert oldest.result["archive"] is None
    assert "newer exports" in oldest.result["gone"]
    assert len(oldest.result["versions"]) == 1, "what was exported stays known"
    kept = {key.split("/")[1] for key in await world.stored() if key.startswith("exports/")}
    assert kept == {made[1].id, made[2].id}


async def test_killed_it_is_made_again_and_cancelled_it_leaves_nothing(world: World, head: RayHead) -> None:
    async with running(world.dispatcher()):
        await two_versions(world)
        killed = await export(world, "avatars@1", formats=ALL)
        process = await head.until_running("heddle_export")
        process.kill()
        done = await world.until(killed.id)
        assert (done.status, done.attempt) == ("succeeded", 2)
        await archive(world, done)
        stopped = await export(world, "avatars@1", "avatars@2", formats=ALL)
        await head.until_running("heddle_export")
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, world.tenant.id, stopped.id)
        assert (await world.until(stopped.id)).status == "cancelled"
    assert not [key for key in await world.stored() if stopped.id in key]


async def test_an_erasure_takes_archives_with_it(world: World) -> None:
    async with running(world.dispatcher()):
        await two_versions(world)
        job = await world.until((await export(world, "avatars@1", formats=ALL)).id)
        [key] = [key for key in await world.stored() if key.startswith("exports/")]
        url = world.objects.presign_get(keys.tenant_prefix(world.tenant.id) + key, expires_seconds=60)
        waits = await export(world, "avatars@1")  # before the erasure, so it goes before it
        erasure = await world.queue_erasure(rendered().images[0])
        assert (await world.until(erasure.id)).status == "succeeded"
        late = await world.until(waits.id)
    forgotten = await world.job(job.id)
    assert forgotten.result == {"archive": None, "erased_by": erasure.id}
    assert not [key for key in await world.stored() if key.startswith("exports/")]
    async with httpx.AsyncClient() as http:
        assert (await http.get(url)).status_code == 404, "an address given out before is of no use"
    assert late.result == {"archive": None, "erased_by": erasure.id}


async def test_damaged_matrices_are_not_exported(world: World) -> None:
    async with running(world.dispatcher()):
        await two_versions(world)
        newest = (await world.versions())[0]
        world.objects.put(keys.adapter_file(world.tenant.id, newest.digest, "adapter.npz"), b"damaged")
        done = await world.until((await export(world, "avatars@1")).id)
    assert done.status == "failed"
    assert done.error is not None
    assert "do not match their digest" in done.error.message
    assert not [key for key in await world.stored() if key.startswith("exports/")]
