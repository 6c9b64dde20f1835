"""The dispatcher against a real database, object store and Ray: every job ends once, whatever dies meanwhile."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs, queue
from heddle_platform.errors import InvalidInput, Unavailable
from heddle_platform.records import Job, JobError, JobType
from heddle_workers.cluster import NodeLost, WorkerLost
from heddle_workers.progress import Report
from heddle_workers.work import Ending, Work

from .polling import until
from .world import QUICK, World, running


class Scripted:
    """Work that does as it is told, to bring a dispatcher into a state that real work reaches by chance."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.recorded = 0

    async def run(self, job: Job, report: Report) -> Ending:
        report("encoding", 0.5)
        self.started.set()
        if self.outcomes:
            outcome = self.outcomes.pop(0)
            if outcome is not None:
                raise outcome
        else:
            await self.release.wait()
        return Ending(lambda session: self._record(session, job), "succeeded")

    def give_up(self, job: Job, error: JobError) -> Ending:
        return Ending(lambda session: jobs.close(session, job.id, status="failed", error=error), "failed")

    def cancel(self, job: Job) -> Ending:
        return Ending(lambda session: jobs.close(session, job.id, status="cancelled"), "cancelled")

    async def _record(self, session: AsyncSession, job: Job) -> None:
        self.recorded += 1
        await jobs.close(session, job.id, status="succeeded", result={"recorded": self.recorded})


def only(work: Work) -> dict[JobType, Work]:
    return {"fit": work, "validate": work, "pretrain": work}


async def a_job(world: World) -> Job:
    async with world.database.platform_transaction() as session:
        return await jobs.create(session, world.tenant.id, job_type="fit", spec={}, dataset_id=None)


async def test_an_outcome_under_a_lost_lease_is_not_written(world: World) -> None:
    job = await a_job(world)
    work = Scripted()
    # heartbeats so rare that the loss is noticed by the fence alone
    async with running(world.dispatcher(QUICK.model_copy(update={"heartbeat_seconds": 600.0}), only(work))):
        await asyncio.wait_for(work.started.wait(), 30)
        stolen = await steal(world, job)
        work.release.set()
        await until(lambda: not tasks_of(job))
        left = await world.job(job.id)
        assert (left.status, left.attempt, left.result) == ("running", stolen.attempt, None)
        assert work.recorded == 0
        async with world.database.platform_transaction() as session:
            await queue.fence(session, job.id, stolen.attempt)
            await jobs.close(session, job.id, status="succeeded", result={"by": "thief"})
    assert (await world.job(job.id)).result == {"by": "thief"}


async def test_work_whose_lease_was_taken_is_stopped_by_the_next_heartbeat(world: World) -> None:
    job = await a_job(world)
    work = Scripted()
    async with running(world.dispatcher(works=only(work))):
        await asyncio.wait_for(work.started.wait(), 30)
        await steal(world, job)
        await until(lambda: not tasks_of(job))
    assert work.recorded == 0
    assert (await world.job(job.id)).status == "running", "the thief's"


async def test_a_dispatcher_that_is_called_looks_at_once(world: World) -> None:
    work = Scripted()
    rarely = QUICK.model_copy(update={"heartbeat_seconds": 600.0, "poll_seconds": 600.0, "lease_seconds": 900.0})
    dispatcher = world.dispatcher(rarely, only(work))
    async with running(dispatcher):
        await asyncio.sleep(0.5)  # its first turn is over
        job = await a_job(world)
        dispatcher.call()
        await asyncio.wait_for(work.started.wait(), 30)
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, world.tenant.id, job.id)
        dispatcher.call()
        assert (await world.until(job.id)).status == "cancelled"


async def test_heartbeats_keep_a_lease_longer_than_it_lasts_and_tell_the_progress(world: World) -> None:
    job = await a_job(world)
    work = Scripted()
    async with running(world.dispatcher(QUICK.model_copy(update={"lease_seconds": 0.5}), only(work))):
        await asyncio.wait_for(work.started.wait(), 30)
        await asyncio.sleep(1.5)
        seen = await world.job(job.id)
        assert (seen.status, seen.attempt, seen.stage, seen.progress) == ("running", 1, "encoding", 0.5)
        work.release.set()
        assert (await world.until(job.id)).status == "succeeded"
    assert work.recorded == 1


async def test_an_attempt_that_died_with_a_store_or_a_node_counts_against_no_limit(world: World) -> None:
    job = await a_job(world)
    work = Scripted(Unavailable("the store is away"), NodeLost("the node died"), Unavailable("the store is away"))
    async with running(world.dispatcher(QUICK.model_copy(update={"job_max_attempts": 1}), only(work))):
        await asyncio.wait_for(work.started.wait(), 30)
        work.release.set()
        ended = await world.until(job.id)
    assert (ended.status, ended.attempt, ended.tries) == ("succeeded", 4, 1)
    assert work.recorded == 1


async def test_what_may_pass_is_tried_again_up_to_the_limit(world: World) -> None:
    job = await a_job(world)
    work = Scripted(WorkerLost("the worker died"), RuntimeError("a bug"), WorkerLost("the worker died again"))
    settings = QUICK.model_copy(update={"job_max_attempts": 3})
    async with running(world.dispatcher(settings, only(work))):
        ended = await world.until(job.id)
    assert (ended.status, ended.attempt) == ("failed", 3)
    assert ended.error is not None
    assert ended.error.code == "worker_lost"
    assert "3 times" in ended.error.message
    assert "the worker died again" in ended.error.message
    assert await world.events(job.id) == [
        *("created", "started", "retrying", "started", "retrying", "started", "failed"),
    ]


async def test_a_passing_trouble_is_forgotten(world: World) -> None:
    job = await a_job(world)
    async with running(world.dispatcher(works=only(Scripted(Unavailable("down"), None)))):
        ended = await world.until(job.id)
    assert (ended.status, ended.attempt, ended.error) == ("succeeded", 2, None)


@pytest.mark.parametrize(
    ("error", "code", "param"),
    [(InvalidInput("too few labels", code="too_few_labels", param="labels"), "too_few_labels", "labels")],
)
async def test_a_tenants_mistake_is_not_tried_again(world: World, error: Exception, code: str, param: str) -> None:
    job = await a_job(world)
    async with running(world.dispatcher(works=only(Scripted(error)))):
        ended = await world.until(job.id)
    assert (ended.status, ended.attempt) == ("failed", 1)
    assert ended.error == JobError(code=code, message="too few labels", param=param)


async def test_a_job_that_takes_too_long_is_stopped_and_says_so(world: World) -> None:
    job = await a_job(world)
    settings = QUICK.model_copy(update={"task_timeout_seconds": 0.3})
    async with running(world.dispatcher(settings, only(Scripted()))):
        ended = await world.until(job.id)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "timed_out"


async def test_no_more_jobs_are_taken_than_may_be_in_flight(world: World) -> None:
    queued = [await a_job(world) for _ in range(3)]
    work = Scripted()
    settings = QUICK.model_copy(update={"jobs_in_flight": 2})
    async with running(world.dispatcher(settings, only(work))):
        await asyncio.wait_for(work.started.wait(), 30)
        await asyncio.sleep(0.5)
        assert sorted([(await world.job(job.id)).status for job in queued]) == ["queued", "running", "running"]
        work.release.set()
        for job in queued:
            assert (await world.until(job.id)).status == "succeeded"


async def steal(world: World, job: Job) -> Job:
    """Take a job over as another dispatcher would once its lease has run out."""
    async with world.database.platform_transaction() as session:
        await session.execute(
            text("update jobs set lease_expires_at = now() - interval '1 second' where id = :id"), {"id": job.id}
        )
        [stolen] = await queue.claim(session, owner="thief", limit=1, lease_seconds=600, max_attempts=9)
    return stolen


def tasks_of(job: Job) -> set[asyncio.Task[None]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == f"job {job.id}"}
