"""The queue as a plane sees it: who waits for a look at it, and who does not."""

import asyncio

from pydantic import SecretStr
from sqlalchemy import text

from heddle_api.control.jobs.standing import Standing, Standings
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
