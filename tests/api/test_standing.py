"""The queue as a plane sees it: who waits for a look at it, and who does not."""

import asyncio
import time
from dataclasses import replace

from pydantic import SecretStr
from sqlalchemy import text

from heddle_api.control.jobs.standing import Standing, Standings, look
from heddle_infra.database import jobs, tenants
from heddle_infra.database.engine import Database
from heddle_platform.records import Job
from heddle_platform.settings import DatabaseSettings


async def test_only_who_misses_a_job_waits_for_a_look(empty_postgres_url: str) -> None:
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    standings = Standings(database)
    async with database.platform_transaction() as session:
        tenant_id = (await tenants.create_tenant(session, "acme")).id

    async def queued() -> Job:
        async with database.transaction(tenant_id) as session:
            return await jobs.create(session, tenant_id, job_type="fit", spec={}, dataset_id=None)

    async def read(job: Job) -> Standing:
        async with database.transaction(tenant_id) as session:
            [found] = await standings.of(session, job)
            return found

    known = await queued()
    before = await read(known)
    assert before.queue_position == 0
    async with database.platform_transaction() as slow:
        await slow.execute(text("lock table queue_shares in access exclusive mode"))  # no look can end meanwhile
        new = await queued()
        waiting = asyncio.create_task(read(new))
        assert await asyncio.wait_for(read(known), 5) == before
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done, "a job that no look has seen has no place to be told"
    assert (await waiting).queue_position == 1
    async with database.transaction(tenant_id) as session:  # other tests share the database
        for job in (known, new):
            await jobs.cancel(session, tenant_id, job.id)
    await database.close()


async def test_a_job_that_is_queued_here_joins_the_line_as_it_was_seen(empty_postgres_url: str) -> None:
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    async with database.platform_transaction() as session:
        tenant_id = (await tenants.create_tenant(session, "acme")).id

    async def queued(priority: int = 0) -> Job:
        async with database.transaction(tenant_id) as session:
            return await jobs.create(session, tenant_id, job_type="fit", spec={}, dataset_id=None, priority=priority)

    first = await queued()
    async with database.platform_transaction() as session:
        seen = replace(await look(session, None), looked=time.monotonic() + 3_600)  # it stays news for the test
    made = [await queued() for _ in range(3)]
    for job in made:
        assert not seen.tells_of([job])
        seen.put(job, 256.0)
        assert seen.tells_of([job])
    assert [seen.standing(job).queue_position for job in (first, *made)] == [0, 1, 2, 3]
    assert seen.places[made[2].id][1] == seen.places[first.id][2] + 2 * 256.0, "what goes before it, in cost units"
    urgent = await queued(priority=5)
    seen.put(urgent, 256.0)
    assert not seen.tells_of([urgent]), "it goes before others of its tenant, which only a look can tell"
    old = replace(seen, looked=time.monotonic() - 3_600)
    late = await queued()
    old.put(late, 256.0)
    assert late.id not in old.places, "a look that is due tells no new places"
    async with database.transaction(tenant_id) as session:  # other tests share the database
        for job in (first, urgent, late, *made):
            await jobs.cancel(session, tenant_id, job.id)
    await database.close()
