"""Validations and fits through the dispatcher on real stores and real Ray, and what is left when they end."""

from sqlalchemy import text

from heddle_infra.database import jobs, quotas
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_workers.leftovers import forget_decided_uploads

from .polling import until
from .ray_head import RayHead
from .world import World, avatar_zip, running


async def test_a_set_is_validated_fitted_and_fitted_again_without_encoding(world: World) -> None:
    data = avatar_zip()
    dataset, validation = await world.upload(data)
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        done = await world.until(fit.id)
        assert done.error is None
        assert done.status in ("succeeded", "awaiting_approval")
        again = await world.until((await world.queue_fit(dataset)).id)

    assert (await world.job(validation.id)).status == "succeeded"
    ready = await world.dataset(dataset.id)
    assert (ready.status, ready.digest, ready.images) == ("ready", sha256_hex(data), 120)
    assert world.cluster.ran == ["heddle_validate", "heddle_encode", "heddle_fit", "heddle_fit"]

    second, first = await world.versions()
    assert (first.version, second.version) == (1, 2)
    assert first.digest == second.digest, "equal labels, images and base give equal bytes"
    assert first.files == second.files
    complete = {
        "adapter.npz",
        "adapter.onnx",
        "editor.core",
        "statistics.npz",
        "card.json",
        "card.html",
        "playbook.html",
    }
    assert set(first.files) == complete
    for file, digest in first.files.items():
        stored = world.objects.get(keys.adapter_file(world.tenant.id, first.digest, file))
        assert sha256_hex(stored) == digest
    assert (
        sha256_hex(world.objects.get(keys.adapter_file(world.tenant.id, first.digest, "adapter.npz"))) == first.digest
    )

    assert done.result is not None
    assert again.result is not None
    assert done.result["adapter"] == "avatars"
    assert (done.result["version"], again.result["version"]) == (1, 2)
    assert done.result["card"]["url"] == f"/v1/adapters/{first.adapter_id}/versions/1/card"
    assert {factor["name"] for factor in done.result["card"]["factors"]} == {"hair_color", "background"}
    assert done.progress == 1.0
    assert await world.events(fit.id) == ["created", "queued", "started", done.status]
    assert await world.counted() == {"jobs": 2, "rows_fitted": 240, "images_encoded": 120}

    others = [key for key in await world.stored() if not key.startswith("adapters/")]
    assert others == [
        f"datasets/{sha256_hex(data)}/images.zip",
        f"datasets/{sha256_hex(data)}/manifest.json",
        f"latents/{sha256_hex(data)}/{world.base.digest}.npz",
    ], "the raw upload is gone"


async def test_a_rejected_set_leaves_nothing_and_ends_what_waited_for_it(world: World) -> None:
    dataset, validation = await world.upload(avatar_zip(break_row=7))
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        ended = await world.until(validation.id)
        waiting = await world.until(fit.id)
    found = await world.dataset(dataset.id)
    assert found.status == "rejected"
    assert found.report is not None
    assert [(fault["code"], fault["row"], fault["column"]) for fault in found.report["errors"]] == [
        ("unknown_level", 7, "hair_color")
    ]
    assert await world.stored() == []
    for job in (ended, waiting):
        assert job.status == "failed"
        assert job.error is not None
        assert job.error.code == "dataset_rejected"
        assert "row 7, column 'hair_color'" in job.error.message


async def test_a_set_beyond_the_tenants_quota_is_refused_with_both_numbers(world: World) -> None:
    async with world.database.platform_transaction() as session:
        await quotas.put(session, world.tenant.id, {"labelled_rows": 119}, if_match=None)
    dataset, validation = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        ended, waiting = await world.until(validation.id), await world.until(fit.id)
    assert (await world.dataset(dataset.id)).status == "rejected"
    assert await world.stored() == []
    for job in (ended, waiting):
        assert job.error is not None
        assert (job.status, job.error.code, job.error.param) == ("failed", "quota_exceeded", "labelled_rows")
        assert "120 more, at most 119" in job.error.message


async def test_what_cannot_succeed_fails_at_once_with_its_code(world: World) -> None:
    dataset, validation = await world.upload(avatar_zip())
    async with running(world.dispatcher()):
        await world.until(validation.id)
        [images] = [key for key in await world.stored() if key.endswith("images.zip")]
        world.objects.delete(keys.tenant_prefix(world.tenant.id) + images)
        job = await world.until((await world.queue_fit(dataset)).id)
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error.code == "object_missing"


async def test_a_killed_ray_worker_costs_an_attempt_and_nothing_else(world: World, head: RayHead) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        (await head.until_running("heddle_fit")).kill()
        job = await world.until(fit.id)
    assert job.status in ("succeeded", "awaiting_approval")
    assert job.attempt == 2
    assert len(await world.versions()) == 1
    assert await world.events(fit.id) == ["created", "queued", "started", "retrying", "started", job.status]


async def test_a_cancelled_fit_stops_its_ray_task(world: World, head: RayHead) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        await head.until_running("heddle_fit")
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, world.tenant.id, fit.id)
        job = await world.until(fit.id)
        await until(lambda: not head.tasks("heddle_fit"))
    assert job.status == "cancelled"
    assert job.error is None
    assert [key for key in await world.stored() if key.startswith("adapters/")] == []


async def test_stopped_in_good_order_it_gives_its_jobs_back_at_once(world: World, head: RayHead) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        await head.until_running("heddle_fit")
    waiting = await world.job(fit.id)
    assert (waiting.status, waiting.attempt) == ("queued", 1)
    async with running(world.dispatcher()):
        job = await world.until(fit.id)
    assert job.attempt == 2
    assert len(await world.versions()) == 1


async def test_leftover_uploads_of_decided_sets_are_forgotten(world: World) -> None:
    dataset, validation = await world.upload(avatar_zip(break_row=7))
    pending, _ = await world.upload(avatar_zip())
    async with world.database.platform_transaction() as session:
        await session.execute(text("update datasets set status = 'rejected' where id = :id"), {"id": dataset.id})
    assert await forget_decided_uploads(world.database, world.objects) == 1
    assert await world.stored() == [f"uploads/{pending.upload_id}"]
    assert await forget_decided_uploads(world.database, world.objects) == 0
    assert (await world.job(validation.id)).status == "queued"
