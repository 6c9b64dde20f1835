"""Parquet files and photos with metadata through the dispatcher, on real stores: what is kept, what a fit sees."""

import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from heddle_platform import keys
from heddle_platform.manifest import Manifest

from .conftest import packed
from .world import FACTORS, World, avatar_zip, rendered, running


def avatar_parquet() -> bytes:
    """Return the set of `avatar_zip` as a table."""
    found = rendered()
    columns = [found.factors.index(name) for name in FACTORS]
    rows = [
        {"image": png, **{name: found.levels[at][row[at]] for name, at in zip(FACTORS, columns, strict=True)}}
        for png, row in zip(found.images, found.labels, strict=True)
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


async def test_a_parquet_file_gives_the_adapter_that_its_zip_gives(world: World) -> None:
    table, _ = await world.upload(avatar_parquet())
    zipped, _ = await world.upload(avatar_zip())
    first, second = [await world.queue_fit(dataset, waiting=True) for dataset in (table, zipped)]
    async with running(world.dispatcher()):
        for fit in (first, second):
            assert (await world.until(fit.id)).error is None
    versions = await world.versions()
    assert len({version.digest for version in versions}) == 1
    ready = await world.dataset(table.id)
    assert ready.digest is not None
    data = world.objects.get(keys.dataset_images(world.tenant.id, ready.digest))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read(archive.namelist()[1]) == rendered().images[0]
    assert [key for key in await world.stored() if key.startswith("uploads/")] == []


async def test_photos_are_kept_without_their_metadata(world: World) -> None:
    secret = b"53.5511 N, 9.9937 E"
    with zipfile.ZipFile(io.BytesIO(avatar_zip())) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    out = io.BytesIO()
    Image.open(io.BytesIO(entries["3.png"])).convert("RGB").save(out, "JPEG", exif=exif.tobytes(), quality=95)
    entries["3.png"] = out.getvalue()
    dataset, validation = await world.upload(packed(entries))
    async with running(world.dispatcher()):
        assert (await world.until(validation.id)).error is None
    ready = await world.dataset(dataset.id)
    assert ready.digest is not None
    assert ready.report is not None
    assert ready.report["stripped"] == 1
    for key in await world.stored():
        assert secret not in world.objects.get(keys.tenant_prefix(world.tenant.id) + key)
    stored = await world.stored()
    assert stored == [f"datasets/{ready.digest}/images.zip", f"datasets/{ready.digest}/manifest.json"]
    manifest = Manifest.from_bytes(world.objects.get(keys.dataset_manifest(world.tenant.id, ready.digest)))
    assert manifest.images == ready.digest
