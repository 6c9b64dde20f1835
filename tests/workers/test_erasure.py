"""Erasures through the dispatcher on real stores and real Ray: what is left of images, and what takes their place."""

import csv
import io
import zipfile

import numpy as np

from heddle_infra.database import adapters
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.records import AdapterVersion, Dataset, Job

from .world import World, avatar_zip, rendered, running

GONE = (3, 50, 119)


async def fitted(world: World) -> Dataset:
    """Upload the avatars and fit them."""
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        assert (await world.until(fit.id)).error is None
    return await world.dataset(dataset.id)


async def serve(world: World, version: AdapterVersion, alias: str = "production") -> None:
    async with world.database.transaction() as session:
        if version.status == "awaiting_approval":
            await adapters.decide(
                session,
                world.tenant.id,
                version.adapter_id,
                version.version,
                decision="approve",
                comment="",
                key_id="key_x",
            )
        await adapters.move_alias(
            session, world.tenant.id, version.adapter_id, alias, version.version, if_match=None, checked=False
        )


async def erased(world: World, *rows: int) -> Job:
    job = await world.queue_erasure(*(rendered().images[row] for row in rows))
    async with running(world.dispatcher()):
        return await world.until(job.id)


def contents(world: World) -> dict[str, bytes]:
    """Return every object of the tenant."""
    found = world.objects.list(keys.tenant_prefix(world.tenant.id))
    return {info.key: world.objects.get(info.key) for info in found}


def assert_no_trace(world: World, rows: tuple[int, ...]) -> None:
    """Look for pictures, whole or in parts, and for their digests, in every object and every entry of every archive."""
    for key, data in contents(world).items():
        parts = [data]
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
        for row in rows:
            image = rendered().images[row]
            middle = len(image) // 2
            for needle in (image, image[middle : middle + 64], sha256_hex(image).encode()):
                assert not any(needle in part for part in parts), (key, row)


async def test_erased_rows_leave_sets_latents_adapters_and_the_store(world: World) -> None:
    before = await fitted(world)
    [old] = await world.versions()
    await serve(world, old)
    old_latents = unpack_latents(
        world.objects.get(keys.latents(world.tenant.id, str(before.digest), world.base.digest)), rows=120
    )
    job = await erased(world, *GONE)
    assert (job.status, job.error) == ("succeeded", None)
    assert_no_trace(world, GONE)

    after = await world.dataset(before.id)
    assert after.images == 117
    assert after.digest != before.digest
    assert after.report is not None
    assert after.report["images"] == 117
    archive = zipfile.ZipFile(io.BytesIO(world.objects.get(keys.dataset_images(world.tenant.id, str(after.digest)))))
    assert (
        sha256_hex(
            archive.fp.read() if False else world.objects.get(keys.dataset_images(world.tenant.id, str(after.digest)))
        )
        == after.digest
    )
    assert len(archive.namelist()) == 118
    table = list(csv.reader(io.StringIO(archive.read("labels.csv").decode())))
    assert len(table) == 118
    manifest = Manifest.from_bytes(world.objects.get(keys.dataset_manifest(world.tenant.id, str(after.digest))))
    stays = np.setdiff1d(np.arange(120), GONE)
    assert manifest.files == tuple(f"{row}.png" for row in stays)
    latents = unpack_latents(
        world.objects.get(keys.latents(world.tenant.id, str(after.digest), world.base.digest)), rows=117
    )
    assert np.array_equal(latents, old_latents[stays])

    new, gone = await world.versions()
    assert (gone.status, gone.replaced_by, gone.files, gone.card, gone.gate) == ("erased", 2, {}, {}, {})
    assert (new.replaces, new.digest != old.digest) == (1, True)
    assert new.status in ("passed", "approved")
    async with world.database.transaction() as session:
        alias = await adapters.get_alias(session, world.tenant.id, new.adapter_id, "production")
    assert (alias.version, alias.previous_version) == (2, None)
    assert {key.split("/")[1] for key in await world.stored() if key.startswith("adapters/")} == {new.digest}
