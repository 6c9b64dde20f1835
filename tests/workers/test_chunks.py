"""Chunks of small fits on a real cluster: one task for many, each with its own outcome, and the same bytes as alone."""

import asyncio

import pytest

from heddle_adapters.statistics import unpack_statistics
from heddle_infra.database import jobs
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import NotFound
from heddle_platform.packs import PACK_FILE, unpacked
from heddle_platform.records import Dataset, Job
from heddle_workers.chunks import spread
from heddle_workers.fit import fit_set
from heddle_workers.fitted import ADAPTER_FILE, CARD_FILE, CARD_PAGE, PLAYBOOK_PAGE, STATISTICS_FILE
from heddle_workers.image_set import UnopenedSet
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips

from .polling import until_told
from .study import Study
from .world import QUICK, World, avatar_zip, running

SMALL = QUICK.model_copy(update={"chunk_fits": 10})


async def a_ready_set(world: World) -> Dataset:
    dataset, job = await world.upload(avatar_zip())
    async with running(world.dispatcher(SMALL)):
        assert (await world.until(job.id)).status == "succeeded"
        first = await world.queue_fit(dataset, "first", card="brief")
        done = await world.until(first.id)
    assert done.status in ("succeeded", "awaiting_approval", "failed"), done.error
    assert done.result is not None, done.error
    return await world.dataset(dataset.id)


async def test_many_fits_go_as_one_task_and_a_set_is_encoded_once(world: World) -> None:
    dataset = await a_ready_set(world)
    assert world.cluster.ran.count("heddle_encode") == 1
    world.cluster.ran.clear()
    world.cluster.cancels = 0
    queued = [await world.queue_fit(dataset, f"adapter-{index}", card="brief") for index in range(7)]
    broken = await broken_fit(world, dataset)
    async with running(world.dispatcher(SMALL)):
        done = [await world.until(job.id) for job in queued]
        failed = await world.until(broken.id)
    assert (failed.status, failed.error and failed.error.code) == ("failed", "labels_do_not_fit")
    assert all(job.result is not None for job in done)
    assert world.cluster.ran == ["heddle_fit_chunk"], "one task for all, and nothing encoded again"
    assert world.cluster.cancels == 0, "a task that told all ends by itself"
    digests = set()
    for index in range(7):
        [version] = await world.versions(f"adapter-{index}")
        digests.add(version.digest)
    first = (await world.versions("first"))[0]
    assert digests == {first.digest}, "a fit is the same bytes in a chunk of one and of many"
    assert "brief" in done[0].result["card"]["protocol"]  # type: ignore[index]


async def test_a_chunk_of_many_rows_goes_as_several_tasks(world: World) -> None:
    dataset = await a_ready_set(world)
    assert dataset.images is not None
    queued = [await world.queue_fit(dataset, f"adapter-{index}", card="brief") for index in range(4)]
    world.cluster.ran.clear()
    async with running(world.dispatcher(SMALL.model_copy(update={"chunk_rows": 2 * dataset.images}))):
        done = [await world.until(job.id) for job in queued]
    assert all(job.result is not None for job in done)
    assert world.cluster.ran == ["heddle_fit_chunk"] * 2


def test_fits_are_spread_by_their_rows() -> None:
    assert spread([], 10) == []
    assert spread([3, 3, 3, 3], 6) == [slice(0, 2), slice(2, 4)]
    assert spread([20, 1, 1, 9], 10) == [slice(0, 1), slice(1, 3), slice(3, 4)]


async def test_one_fit_leaves_a_chunk_and_the_others_go_on(world: World) -> None:
    dataset = await a_ready_set(world)
    queued = [await world.queue_fit(dataset, f"adapter-{index}", card="brief") for index in range(8)]

    async def under_way() -> bool:
        return (await world.job(queued[0].id)).status in ("running", "scoring")

    async with running(world.dispatcher(SMALL)):
        await until_told(under_way)
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, world.tenant.id, queued[-1].id)
        done = [await world.until(job.id) for job in queued]
    assert [job.status == "cancelled" for job in done] == [False] * 7 + [True]
    assert [job.attempt for job in done] == [1] * 8


async def test_a_brief_fit_needs_no_picture_and_gives_the_same_bytes_again(study: Study) -> None:
    unopened = UnopenedSet(study.images.files)

    def fitted() -> dict[str, bytes]:
        trips = RoundTrips(study.trips.runtime, unopened, study.trips.latents_NL)
        return fit_set(study.table, study.factor_set, trips, silent, kind="brief").files

    first, again = await asyncio.to_thread(fitted), await asyncio.to_thread(fitted)
    assert first == again
    assert set(first) == set(study.fitted.files) - {CARD_PAGE, PLAYBOOK_PAGE}, "but for pages, drawn when looked at"
    assert first[CARD_FILE] != study.fitted.files[CARD_FILE]
    with pytest.raises(Exception, match="full card"):
        unopened.original(0)


async def broken_fit(world: World, dataset: Dataset) -> Job:
    """Queue a fit whose factor set does not know the labels' levels."""
    other = await world.other_factors()
    return await world.queue_fit(dataset, "broken", card="brief", factors=other)


async def test_a_chunk_stores_what_its_keys_say(world: World) -> None:
    dataset = await a_ready_set(world)
    [version] = await world.versions("first")
    assert dataset.digest is not None
    assert set(version.files) == {ADAPTER_FILE, PACK_FILE}
    for file, digest in version.files.items():
        stored = await asyncio.to_thread(world.objects.get, keys.adapter_file(world.tenant.id, version.digest, file))
        assert sha256_hex(stored) == digest
    pack = await asyncio.to_thread(world.objects.get, keys.adapter_file(world.tenant.id, version.digest, PACK_FILE))
    assert b'"brief"' in unpacked(pack, CARD_FILE)
    with pytest.raises(NotFound):
        unpacked(pack, CARD_PAGE)  # drawn when somebody looks
    assert unpack_statistics(unpacked(pack, STATISTICS_FILE)).labelled.count
    with pytest.raises(NotFound, match="no file"):
        unpacked(pack, "nothing")
