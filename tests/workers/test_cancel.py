"""Cancelling where a job stands: waiting for its set, queued, and in the middle of work on Ray, which then ends."""

import asyncio
from collections.abc import Callable

import pytest
import ray

from heddle_infra.database import jobs
from heddle_platform.records import Job

from .polling import until_told
from .world import QUICK, World, avatar_zip, running


async def cancel(world: World, job: Job) -> Job:
    async with world.database.platform_transaction() as session:
        return await jobs.cancel(session, world.tenant.id, job.id)


async def test_a_job_that_waits_is_cancelled_in_the_same_moment(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    waiting, queued = await world.queue_fit(dataset, waiting=True), await world.queue_fit(dataset)
    assert (await cancel(world, waiting)).status == "cancelled"
    assert (await cancel(world, queued)).status == "cancelled"
    assert (await cancel(world, queued)).status == "cancelled", "twice is once"
    async with running(world.dispatcher()):
        await asyncio.sleep(0.5)
    assert world.cluster.ran == ["heddle_validate"]
    assert [(await world.job(job.id)).attempt for job in (waiting, queued)] == [0, 0]


@pytest.mark.parametrize(
    ("card", "under_way"),
    [
        ("full", lambda job: job.status == "running" and job.stage not in ("starting", None)),
        ("full", lambda job: job.status == "scoring"),
        ("brief", lambda job: job.status in ("running", "scoring")),
    ],
    ids=["running", "scoring", "in a chunk"],
)
async def test_a_job_that_runs_is_cancelled_and_its_task_ends(
    world: World, card: str, under_way: Callable[[Job], bool]
) -> None:
    dataset, validation = await world.upload(avatar_zip())
    async with running(world.dispatcher(QUICK)):
        await world.until(validation.id)
        job = await world.queue_fit(dataset, card="brief" if card == "brief" else "full")

        async def reached() -> bool:
            return under_way(await world.job(job.id))

        await until_told(reached)
        assert (await cancel(world, job)).status in ("running", "scoring", "cancelled")
        done = await world.until(job.id)
        assert (done.status, done.result, done.error, done.attempt) == ("cancelled", None, None, 1)

        async def quiet() -> bool:
            """Tell whether no task holds a CPU any more, as Ray sees it."""
            return await asyncio.to_thread(free_cpus) == await asyncio.to_thread(all_cpus)

        await until_told(quiet, seconds=30)
    assert await world.events(job.id) in (
        ["created", "started", "cancel_requested", "cancelled"],
        ["created", "queued", "started", "cancel_requested", "cancelled"],
    )
    assert not [key for key in await world.stored() if key.startswith("adapters/")], "nothing of it is kept"


def free_cpus() -> float:
    return float(ray.available_resources().get("CPU", 0.0))  # type: ignore[no-untyped-call]


def all_cpus() -> float:
    return float(ray.cluster_resources()["CPU"])  # type: ignore[no-untyped-call]
