"""Erasures through the dispatcher on real stores and real Ray: what is left of images, and what takes their place."""

import asyncio
import csv
import io
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from heddle_adapters.artifact import unpack
from heddle_adapters.statistics import Statistics, unpack_statistics
from heddle_adapters.unlearn import closed_form, unlearn
from heddle_infra.database import adapters, erasures, queue, tenants
from heddle_infra.signing import SignedDocument, verify
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import LeaseLost, Unavailable
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.records import AdapterVersion, Alias, Dataset, Job
from heddle_workers.erasure_job import ErasureWork
from heddle_workers.progress import silent

from .polling import until_told
from .ray_head import RayHead
from .world import QUICK, SIGNER, World, avatar_zip, rendered, running

GONE = (3, 50, 119)


async def fitted(world: World) -> Dataset:
    """Upload the avatars and fit them."""
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        assert (await world.until(fit.id)).error is None
    return await world.dataset(dataset.id)


async def serve(world: World, version: AdapterVersion) -> None:
    """Put a version into production, by a person's approval where it needs one."""
    async with world.database.platform_transaction() as session:
        place = (session, world.tenant.id, version.adapter_id)
        if version.status == "awaiting_approval":
            await adapters.decide(*place, version.version, decision="approve", comment="good", key_id="key_person")
        await adapters.move_alias(*place, adapters.PRODUCTION, version.version, if_match=None, checked=False)


async def production(world: World, version: AdapterVersion) -> Alias:
    async with world.database.platform_transaction() as session:
        return await adapters.get_alias(session, world.tenant.id, version.adapter_id, adapters.PRODUCTION)


async def erase(world: World, *rows: int) -> Job:
    """Erase the pictures of these rows and return the job once it is over."""
    job = await world.queue_erasure(*(rendered().images[row] for row in rows))
    async with running(world.dispatcher()):
        return await world.until(job.id)


def result_of(job: Job) -> dict[str, Any]:
    assert (job.status, job.error) == ("succeeded", None)
    assert job.result is not None
    return job.result


def contents(world: World) -> Mapping[str, bytes]:
    """Return every object of the tenant, and every entry of every archive among them."""
    found: dict[str, bytes] = {}
    for info in world.objects.list(keys.tenant_prefix(world.tenant.id)):
        found[info.key] = data = world.objects.get(info.key)
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                found |= {f"{info.key}!{name}": archive.read(name) for name in archive.namelist()}
    return found


def assert_no_trace(world: World, rows: tuple[int, ...]) -> None:
    """Look for pictures, whole or in parts, and for their digests."""
    for key, data in contents(world).items():
        for row in rows:
            image = rendered().images[row]
            for needle in (image, image[len(image) // 2 :][:48], sha256_hex(image).encode()):
                assert needle not in data, (key, row)


def stored(world: World, version: AdapterVersion, file: str) -> bytes:
    return world.objects.get(keys.adapter_file(world.tenant.id, version.digest, file))


def statistics_of(world: World, version: AdapterVersion) -> Statistics:
    return unpack_statistics(stored(world, version, "statistics.npz"))


async def test_erased_rows_leave_sets_latents_adapters_and_the_store(world: World) -> None:
    before = await fitted(world)
    [old] = await world.versions()
    await serve(world, old)
    base = world.base.digest
    old_latents = unpack_latents(
        world.objects.get(keys.latents(world.tenant.id, str(before.digest), base)), rows=120
    ).astype(np.float64)
    old_adapter, old_statistics = unpack(stored(world, old, "adapter.npz")), statistics_of(world, old)
    await world.cache.set(f"{keys.cache_prefix(world.tenant.id)}latent:x", b"x", ttl_seconds=60)
    await world.cache.set(f"{keys.cache_prefix('ten_other')}latent:x", b"x", ttl_seconds=60)
    assert any(sha256_hex(rendered().images[3]).encode() in data for data in contents(world).values())

    result = result_of(await erase(world, *GONE))
    assert_no_trace(world, GONE)
    assert result["cache_entries"] == 1
    assert await world.cache.get(f"{keys.cache_prefix('ten_other')}latent:x") == b"x"

    after = await world.dataset(before.id)
    assert (after.images, after.status) == (117, "ready")
    assert after.report is not None
    assert before.report is not None
    assert (after.report["images"], after.report["labelled"], after.report["valid"]) == (117, 117, True)
    assert sum(after.report["levels"]["background"].values()) == 117
    assert set(after.report) == set(before.report)
    data = world.objects.get(keys.dataset_images(world.tenant.id, str(after.digest)))
    assert sha256_hex(data) == after.digest
    stays = np.setdiff1d(np.arange(120), GONE)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["labels.csv", *(f"{row}.png" for row in stays)]
        assert all(archive.read(f"{row}.png") == rendered().images[row] for row in stays)
        assert len(list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))) == 117
    manifest = Manifest.from_bytes(world.objects.get(keys.dataset_manifest(world.tenant.id, str(after.digest))))
    assert manifest.files == tuple(f"{row}.png" for row in stays)
    latents = unpack_latents(world.objects.get(keys.latents(world.tenant.id, str(after.digest), base)), rows=117)
    assert np.array_equal(latents, old_latents[stays].astype(np.float32))

    new, gone = await world.versions()
    assert (gone.status, gone.replaced_by, gone.files, gone.card, gone.gate) == ("erased", 2, {}, {}, {})
    assert (new.version, new.replaces, new.dataset_id) == (2, 1, before.id)
    assert new.digest != old.digest
    assert set(new.files) == set(old.files)
    alias = await production(world, new)
    assert (alias.version, alias.previous_version, alias.revision) == (2, None, 2)
    assert {key.split("/")[1] for key in await world.stored() if key.startswith("adapters/")} == {new.digest}
    assert {key.split("/")[0] for key in await world.stored()} == {"adapters", "datasets", "latents"}
    async with world.database.platform_transaction() as session:
        assert (await tenants.get_tenant(session, world.tenant.id)).epoch == 2 == result["cache_epoch"]
    fit = await world.job(gone.job_id)
    assert fit.result is not None
    assert "card" not in fit.result
    assert fit.result["replaced_by"] == 2

    # the statistics of the new version are those of the old one less the rows, to 1e-8 in the closed form
    table = manifest_values(world)
    left = unlearn(old_adapter, old_statistics, old_latents[list(GONE)], table[list(GONE)]).statistics
    expected, found = closed_form(left), closed_form(statistics_of(world, new))
    for name in ("read_LC", "read_bias_C", "write_PL"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-8, abs=1e-8), name


def manifest_values(world: World) -> Any:
    found = rendered()
    columns = [found.factors.index(name) for name in ("hair_color", "background")]
    return np.asarray(found.labels)[:, columns].astype(np.float64)


async def test_the_version_is_byte_for_byte_that_of_a_set_without_the_rows(world: World) -> None:
    await fitted(world)
    [old] = await world.versions()
    result_of(await erase(world, *GONE))
    again, _ = await world.upload(avatar_zip(without=GONE))
    fit = await world.queue_fit(again, waiting=True)
    async with running(world.dispatcher()):
        assert (await world.until(fit.id)).error is None
    fresh, new, _ = await world.versions()
    assert fresh.digest == new.digest != old.digest
    assert fresh.files == new.files
    assert fresh.card == new.card


async def test_the_certificate_proves_what_went(world: World) -> None:
    before = await fitted(world)
    [old] = await world.versions()
    await serve(world, old)
    result = result_of(await erase(world, *GONE))
    new = (await world.versions())[0]
    document = verify(SignedDocument.model_validate(result["certificate"]), SIGNER.public_key)
    digests = sorted(sha256_hex(rendered().images[row]) for row in GONE)
    assert (document["kind"], document["tenant"], document["images"]) == (
        "heddle.erasure.v1",
        world.tenant.id,
        digests,
    )
    assert document["erased"] == result["erased"]
    assert document["erased"] == {
        "images": 3,
        "labelled_rows": 3,
        "latents": 3,
        "labelled_sets": 1,
        "adapter_versions": 1,
    }
    [shorter] = document["labelled_sets"]
    assert (shorter["dataset"], shorter["before"]["images"], shorter["after"]["images"]) == (before.id, 120, 117)
    [one] = document["adapters"]
    assert (one["versions"], one["replaced_by"], one["rows_removed"]) == ([1], 2, 3)
    assert (one["before"], one["after"]) == (old.digest, new.digest)
    assert 0 <= one["difference"] < one["tolerance"] == 1e-8
    unlearning = one["unlearning"]
    assert unlearning["adapter"] == {"before": old.digest, "after": new.digest}
    assert unlearning["rows"]["removed"] == digests
    assert (unlearning["rows"]["labelled_before"], unlearning["rows"]["labelled_after"]) == (120, 117)
    assert unlearning["statistics"]["after"] == sha256_hex(stored(world, new, "statistics.npz"))
    assert unlearning["parts"] == {"everything": "refitted"}
    assert SIGNER.sign(document).signature == result["certificate"]["signature"]


async def test_versions_fitted_alike_get_one_successor_and_an_approval_is_carried_over(world: World) -> None:
    dataset = await fitted(world)
    async with running(world.dispatcher()):
        for adapter in ("avatars", "others"):
            await world.until((await world.queue_fit(dataset, adapter)).id)
    _, first = await world.versions()
    await serve(world, first)
    world.cluster.ran.clear()
    result = result_of(await erase(world, 7))
    assert world.cluster.ran == ["heddle_prune", "heddle_refit"], "equal versions are fitted once, and none is encoded"
    by_name = {one["adapter"]: one for one in result["adapters"]}
    assert by_name["avatars"]["versions"] == [1, 2]
    assert by_name["others"]["versions"] == [1]
    successor = (await world.versions())[0]
    assert (successor.version, successor.replaces) == (3, 1)
    assert successor.status == ("passed" if successor.verdict == "pass" else "approved")
    waiting = (await world.versions("others"))[0]
    assert waiting.status == ("passed" if waiting.verdict == "pass" else "awaiting_approval")
    assert (await production(world, successor)).version == 3
    if successor.status == "approved":
        async with world.database.platform_transaction() as session:
            approval = (
                await session.execute(
                    text("select comment, key_id from approvals where tenant_id = :id and version = 3"),
                    {"id": world.tenant.id},
                )
            ).one()
        assert approval.comment.startswith("carried over from version 2 by erasure era_")
        assert approval.key_id == "key_test"


async def test_where_the_rest_cannot_be_fitted_the_version_is_withdrawn(world: World) -> None:
    await fitted(world)
    [old] = await world.versions()
    await serve(world, old)
    levels = manifest_values(world)[:, 0]
    rare = min(np.unique(levels), key=lambda level: int((levels == level).sum()))
    rows = tuple(np.flatnonzero(levels == rare).tolist())
    result = result_of(await erase(world, *rows))
    [one] = result["adapters"]
    assert (one["replaced_by"], one["after"], one["unlearning"]) == (None, None, None)
    assert one["withdrawn"]["code"] == "last_of_level"
    [gone] = await world.versions()
    assert (gone.status, gone.replaced_by) == ("erased", None)
    async with world.database.platform_transaction() as session:
        assert await adapters.list_aliases(session, world.tenant.id, gone.adapter_id) == []
    assert [key for key in await world.stored() if key.startswith("adapters/")] == []
    assert_no_trace(world, rows)


async def test_every_copy_in_every_set_goes_and_other_sets_stay(world: World) -> None:
    first, _ = await world.upload(avatar_zip(without=range(60, 120)))
    second, _ = await world.upload(avatar_zip(without=range(50)))
    third, last = await world.upload(avatar_zip(without=range(60)))
    async with running(world.dispatcher()):
        await world.until(last.id)
    untouched = await world.dataset(third.id)
    result = result_of(await erase(world, 55))
    assert (result["erased"]["images"], result["erased"]["labelled_sets"], result["adapters"]) == (2, 2, [])
    assert [(await world.dataset(one.id)).images for one in (first, second, third)] == [59, 69, 60]
    assert await world.dataset(third.id) == untouched
    assert_no_trace(world, (55,))
    again = result_of(await erase(world, 55))
    assert again["erased"]["images"] == 0


async def test_an_erasure_waits_for_jobs_before_it_and_bars_those_behind_it(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    before = await world.queue_fit(dataset, waiting=True)
    erasure = await world.queue_erasure(rendered().images[3])
    behind = await world.queue_fit(dataset, adapter="later", waiting=True)
    async with running(world.dispatcher()):
        result_of(await world.until(erasure.id))
        await world.until(behind.id)
        order = [await world.job(one.id) for one in (before, erasure, behind)]
    for one, following in pairwise(order):
        assert one.finished_at is not None
        assert following.started_at is not None
        assert one.finished_at <= following.started_at
    assert [version.status for version in await world.versions()][1] == "erased"
    [later] = await world.versions("later")
    assert later.status != "erased"
    assert_no_trace(world, (3,))


class Interrupted(ErasureWork):
    """An erasure whose process dies just before it deletes."""

    async def _announce(self) -> None:
        raise asyncio.CancelledError


async def test_killed_after_the_switch_it_goes_on_with_the_deletion(world: World) -> None:
    await fitted(world)
    job = await world.queue_erasure(rendered().images[3])
    [claimed] = await claim(world)
    interrupted = world.erasures(Interrupted)
    with pytest.raises(asyncio.CancelledError):
        await interrupted.run(claimed, silent)
    halfway = await world.job(job.id)
    assert (halfway.status, halfway.result is not None) == ("running", True)
    new, old = await world.versions()
    assert (old.status, new.version) == ("erased", 2), "what was erased serves no longer"
    assert any(old.digest in key for key in await world.stored()), "and is there still, so it is not done"
    await expire(world, job)
    world.cluster.ran.clear()
    async with running(world.dispatcher()):
        result = result_of(await world.until(job.id))
    assert world.cluster.ran == []
    assert len(await world.versions()) == 2
    assert result["certificate"]["document"]["adapters"][0]["replaced_by"] == 2
    assert_no_trace(world, (3,))


async def test_a_lost_lease_switches_nothing(world: World) -> None:
    before = await fitted(world)
    job = await world.queue_erasure(rendered().images[3])
    [claimed] = await claim(world)
    await expire(world, job)
    await claim(world)
    with pytest.raises(LeaseLost):
        await world.erasures().run(claimed, silent)
    assert await world.dataset(before.id) == before
    assert [version.status for version in await world.versions()] != ["erased"]


class Stubborn(ErasureWork):
    """An erasure that cannot reach the store when it comes to deleting."""

    async def _announce(self) -> None:
        raise Unavailable("the store is down")


async def test_once_rows_are_rewritten_it_is_never_given_up(world: World) -> None:
    await fitted(world)
    job = await world.queue_erasure(rendered().images[3])
    settings = QUICK.model_copy(update={"job_max_attempts": 1})
    async with running(world.dispatcher(settings, {"erase": world.erasures(Stubborn)})):
        await until_told(lambda: given_back(world, job))
    async with world.database.platform_transaction() as session:
        assert await erasures.owed(session, job.id)
        await session.execute(text("update jobs set not_before = now() where id = :id"), {"id": job.id})
    async with running(world.dispatcher(settings)):
        result_of(await world.until(job.id))
    assert_no_trace(world, (3,))


async def test_a_killed_ray_worker_costs_an_attempt_and_nothing_else(world: World, head: RayHead) -> None:
    await fitted(world)
    job = await world.queue_erasure(rendered().images[3])
    async with running(world.dispatcher()):
        (await head.until_running("heddle_refit")).kill()
        ended = await world.until(job.id)
    result_of(ended)
    assert ended.attempt == 2
    assert len(await world.versions()) == 2
    assert_no_trace(world, (3,))


async def given_back(world: World, job: Job) -> bool:
    now = await world.job(job.id)
    assert now.error is None
    return (now.attempt, now.status) == (1, "queued")


async def claim(world: World) -> list[Job]:
    async with world.database.platform_transaction() as session:
        return await queue.claim(session, owner="test", limit=9, lease_seconds=300, max_attempts=9)


async def expire(world: World, job: Job) -> None:
    async with world.database.platform_transaction() as session:
        await session.execute(
            text("update jobs set lease_expires_at = now() - interval '1 second' where id = :id"), {"id": job.id}
        )
