"""Turns of tenants in a real database: weights, caps, priorities, what is charged, and what outlives a claim."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from heddle_infra.database import jobs, queue, tenants
from heddle_infra.database.engine import Database
from heddle_infra.database.queue_order import THOUGHT, in_order
from heddle_platform.errors import Conflict
from heddle_platform.records import Job
from heddle_platform.settings import DatabaseSettings

QUOTAS = (
    "create table tenant_quotas (tenant_id varchar(40) primary key, weight float not null default 1, running_jobs int)"
)


@pytest.fixture
async def database(empty_postgres_url: str, postgres_owner_url: str) -> AsyncIterator[Database]:
    owner = create_async_engine(postgres_owner_url)
    async with owner.begin() as connection:
        mine = not await connection.scalar(text("select to_regclass('tenant_quotas') is not null"))
        if mine:  # nobody has made the table of quotas yet
            await connection.execute(text(QUOTAS))
            await connection.execute(text("grant all on tenant_quotas to public"))
    opened = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    async with opened.platform_transaction() as session:
        await session.execute(text("delete from queue_shares"))
    yield opened
    await opened.close()
    if mine:
        async with owner.begin() as connection:
            await connection.execute(text("drop table tenant_quotas"))
    await owner.dispose()


async def a_tenant(session: AsyncSession, *, weight: float = 1.0, cap: int | None = None) -> str:
    tenant = await tenants.create_tenant(session, "acme")
    await session.execute(text("delete from tenant_quotas where tenant_id = :id"), {"id": tenant.id})
    await session.execute(
        text("insert into tenant_quotas (tenant_id, weight, running_jobs) values (:id, :weight, :cap)"),
        {"id": tenant.id, "weight": weight, "cap": cap},
    )
    return tenant.id


async def queued(database: Database, tenant_id: str, count: int, *, priority: int = 0) -> list[str]:
    found = []
    for _ in range(count):
        async with database.platform_transaction() as session:
            job = await jobs.create(session, tenant_id, job_type="fit", spec={}, dataset_id=None, priority=priority)
            found.append(job.id)
    return found


async def claimed(database: Database, limit: int) -> list[Job]:
    async with database.platform_transaction() as session:
        return await queue.claim(session, owner="test", limit=limit, lease_seconds=60, max_attempts=3)


async def taken(database: Database, limit: int, *claims: int) -> list[str]:
    return [job.id for each in (limit, *claims) for job in await claimed(database, each)]


async def test_weights_one_to_three_hold_over_claims_of_any_size(database: Database) -> None:
    async with database.platform_transaction() as session:
        light, heavy = await a_tenant(session), await a_tenant(session, weight=3.0)
    one, three = await queued(database, light, 4), await queued(database, heavy, 9)
    wanted = [one[0], *three[:3], one[1], *three[3:6], one[2], *three[6:9], one[3]]
    async with database.platform_transaction() as session:
        assert [job_id for job_id, _ in await in_order(session)] == wanted
    assert await taken(database, 2, 1, 3, 5, 9) == wanted


async def test_a_cap_holds_a_tenant_back_and_lets_others_by(database: Database) -> None:
    async with database.platform_transaction() as session:
        capped, other = await a_tenant(session, cap=2), await a_tenant(session)
    held, free = await queued(database, capped, 5), await queued(database, other, 3)
    first = await claimed(database, 9)
    assert [job.id for job in first] == [held[0], free[0], held[1], free[1], free[2]]
    assert await claimed(database, 9) == []
    async with database.platform_transaction() as session:
        await jobs.close(session, held[0], status="succeeded")
    assert await taken(database, 9) == [held[2]]


async def test_priorities_order_a_tenants_own_jobs_and_nobody_elses(database: Database) -> None:
    async with database.platform_transaction() as session:
        mine, theirs = await a_tenant(session), await a_tenant(session)
    usual, others = await queued(database, mine, 2), await queued(database, theirs, 3)
    urgent = await queued(database, mine, 1, priority=5)
    idle = await queued(database, mine, 1, priority=-5)
    wanted = [urgent[0], others[0], usual[0], others[1], usual[1], others[2], idle[0]]
    assert await taken(database, 3, 9) == wanted


async def test_a_job_that_comes_back_is_not_charged_again(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await a_tenant(session)
    [job_id] = await queued(database, tenant, 1)
    [job] = await claimed(database, 1)
    async with database.platform_transaction() as session:
        await queue.give_back(session, job.id, job.attempt, after_seconds=0, why="its worker was lost")
    async with database.platform_transaction() as session:
        assert await in_order(session) == [(job_id, 0.0)]
        thought = await in_order(session, thought=(tenant, 7.0))
    assert thought == [(job_id, 0.0), (THOUGHT, 7.0)]
    [again] = await claimed(database, 1)
    assert (again.attempt, again.cost) == (2, job.cost)


async def test_a_dead_letter_is_found_and_sent_again_with_fresh_attempts(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await a_tenant(session)
    [job_id] = await queued(database, tenant, 1)
    for _ in range(3):
        [job] = await claimed(database, 1)
        async with database.platform_transaction() as session:
            await queue.give_back(session, job.id, job.attempt, after_seconds=0, why="its worker was lost")
    assert await claimed(database, 1) == []
    async with database.platform_transaction() as session:
        dead, _ = await jobs.list_jobs(session, tenant, limit=9, after=None, dead_letter=True)
        assert [(job.id, job.status, job.dead_letter) for job in dead] == [(job_id, "failed", True)]
        again = await jobs.send_again(session, tenant, job_id)
        assert (again.status, again.error, again.dead_letter, again.attempt) == ("queued", None, False, 3)
        with pytest.raises(Conflict, match="only a job that failed"):
            await jobs.send_again(session, tenant, job_id)
    [job] = await claimed(database, 1)
    assert (job.attempt, job.tries) == (4, 1), "the fencing token never falls, the attempts begin anew"
    async with database.platform_transaction() as session:
        assert [each.type for each in await jobs.all_events(session, job_id)][-3:] == [
            "failed",
            "sent_again",
            "started",
        ]


async def test_what_was_done_is_not_sent_again(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await a_tenant(session)
    [job_id] = await queued(database, tenant, 1)
    async with database.platform_transaction() as session:
        await jobs.close(session, job_id, status="failed", result={"version": 1})
        with pytest.raises(Conflict, match="outcome stands"):
            await jobs.send_again(session, tenant, job_id)
