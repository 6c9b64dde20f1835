"""The queue against real PostgreSQL: fairness, leases, fencing, cancellation, exactly one version per job."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, bases, factor_sets, jobs, queue, tenants, versions
from heddle_infra.database.engine import Database
from heddle_platform.errors import Conflict, LeaseLost, NotFound, PreconditionFailed, PreconditionRequired
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.records import AdapterVersion, Job, Tenant
from heddle_platform.settings import DatabaseSettings
from tests.set_rows import set_rows

FACTORS: FactorSet = parse_factor_set({"name": "avatars", "factors": [{"name": "smile", "kind": "binary"}]})


@pytest.fixture
async def database(empty_postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    yield opened
    await opened.close()


async def new_tenant(session: AsyncSession) -> Tenant:
    return await tenants.create_tenant(session, "acme")


async def queue_job(session: AsyncSession, tenant: Tenant) -> Job:
    return await jobs.create(session, tenant.id, job_type="fit", spec={}, dataset_id=None)


async def claim(database: Database, *, limit: int = 10, lease_seconds: float = 30, max_attempts: int = 5) -> list[Job]:
    async with database.platform_transaction() as session:
        return await queue.claim(
            session, owner="test", limit=limit, lease_seconds=lease_seconds, max_attempts=max_attempts
        )


async def test_a_flood_of_one_tenant_lets_anothers_single_job_go_second(database: Database) -> None:
    async with database.platform_transaction() as session:
        loud, quiet = await new_tenant(session), await new_tenant(session)
        flood = [await queue_job(session, loud) for _ in range(20)]
        single = await queue_job(session, quiet)
        assert await queue.position(session, single.id) == 1
        assert await queue.position(session, flood[-1].id) == 20
    assert [job.id for job in await claim(database, limit=2)] == [flood[0].id, single.id]


async def test_concurrent_claims_never_share_a_job(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        for _ in range(30):
            await queue_job(session, tenant)
    taken: list[Job] = []
    for _ in range(10):
        for part in await asyncio.gather(*(claim(database, limit=3) for _ in range(4))):
            taken += part
    assert len(taken) == 30
    assert len({job.id for job in taken}) == 30


async def test_an_expired_lease_is_taken_over_and_the_old_holder_is_fenced_off(database: Database) -> None:
    async with database.platform_transaction() as session:
        job = await queue_job(session, await new_tenant(session))
    (first,) = await claim(database, lease_seconds=0)
    (second,) = await claim(database)
    assert (first.id, first.attempt, second.id, second.attempt) == (job.id, 1, job.id, 2)
    with pytest.raises(LeaseLost):
        async with database.platform_transaction() as session:
            await queue.fence(session, job.id, first.attempt)
    async with database.platform_transaction() as session:
        beats = [queue.Beat(job.id, first.attempt, "fitting", 0.5), queue.Beat(job.id, second.attempt, "scoring", 0.7)]
        assert await queue.beat(session, beats[:1], lease_seconds=30) == {job.id: "lost"}
        assert await queue.beat(session, beats[1:], lease_seconds=30) == {}
        assert (await queue.fence(session, job.id, second.attempt)).status == "scoring"


async def test_a_job_whose_attempts_all_failed_fails_with_the_reason(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        job = await queue_job(session, tenant)
    for attempt in range(1, 4):
        assert len(await claim(database, max_attempts=3)) == 1
        async with database.platform_transaction() as session:
            await queue.give_back(session, job.id, attempt, after_seconds=0, why="the worker died")
    assert await claim(database, max_attempts=3) == []
    async with database.platform_transaction() as session:
        found = await jobs.get(session, tenant.id, job.id)
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.code == "attempts_exhausted"
    assert "3 times" in found.error.message


async def test_leases_that_ran_out_are_the_dispatchers_failures_but_not_without_end(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        job = await queue_job(session, tenant)
    most = queue.FORGIVING * 2
    for attempt in range(1, most + 1):
        (taken,) = await claim(database, lease_seconds=0, max_attempts=2)
        assert (taken.attempt, taken.tries) == (attempt, 1)
    assert await claim(database, lease_seconds=0, max_attempts=2) == []
    async with database.platform_transaction() as session:
        found = await jobs.get(session, tenant.id, job.id)
    assert found.status == "failed"
    assert found.error is not None
    assert f"{most} times" in found.error.message


async def test_an_attempt_that_failed_counts_though_leases_ran_out_between(database: Database) -> None:
    async with database.platform_transaction() as session:
        job = await queue_job(session, await new_tenant(session))
    for _ in range(2):
        (first,) = await claim(database, lease_seconds=0, max_attempts=2)
        (second,) = await claim(database, max_attempts=2)
        async with database.platform_transaction() as session:
            await queue.give_back(session, job.id, second.attempt, after_seconds=0, why="the worker died")
        assert second.tries == first.tries
    assert await claim(database, max_attempts=2) == []


async def test_give_back_waits_before_it_is_claimed_again(database: Database) -> None:
    async with database.platform_transaction() as session:
        await queue_job(session, await new_tenant(session))
    (job,) = await claim(database)
    async with database.platform_transaction() as session:
        await queue.give_back(session, job.id, job.attempt, after_seconds=60, why="the worker died")
    assert await claim(database) == []
    async with database.platform_transaction() as session:
        await session.execute(text("update jobs set not_before = now()"))
    assert [again.attempt for again in await claim(database)] == [2]


async def test_cancelling_a_waiting_job_is_immediate_and_a_running_one_is_told_at_its_beat(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        running, waiting = await queue_job(session, tenant), await queue_job(session, tenant)
    (held,) = await claim(database, limit=1)
    assert held.id == running.id
    async with database.platform_transaction() as session:
        assert (await jobs.cancel(session, tenant.id, waiting.id)).status == "cancelled"
        assert (await jobs.cancel(session, tenant.id, running.id)).cancel_requested
        beat = queue.Beat(held.id, held.attempt, "fitting", 0.1)
        assert await queue.beat(session, [beat], lease_seconds=30) == {held.id: "cancelled"}
        await jobs.close(session, held.id, status="succeeded")
    with pytest.raises(Conflict, match="succeeded already"):
        async with database.platform_transaction() as session:
            await jobs.cancel(session, tenant.id, running.id)


async def test_another_tenants_job_does_not_exist(database: Database) -> None:
    async with database.platform_transaction() as session:
        mine, theirs = await new_tenant(session), await new_tenant(session)
        job = await queue_job(session, mine)
        with pytest.raises(NotFound):
            await jobs.get(session, theirs.id, job.id)
        with pytest.raises(NotFound):
            await jobs.cancel(session, theirs.id, job.id)


async def fitted(session: AsyncSession, tenant: Tenant, verdict: Any = "pass") -> AdapterVersion:
    base, _ = await bases.publish(session, name="default", digest="b" * 64, manifest={})
    factor_set = await factor_sets.register(session, tenant.id, FACTORS)
    dataset = await set_rows(session, factor_set)
    job = await jobs.create(session, tenant.id, job_type="fit", spec={}, dataset_id=dataset.id)
    version = await versions.add_version(
        session,
        tenant.id,
        job.id,
        versions.NewVersion(
            adapter_name="avatars",
            digest="a" * 64,
            base_id=base.id,
            base_digest=base.digest,
            factor_set_id=factor_set.id,
            factor_set_version=1,
            dataset_id=dataset.id,
            verdict=verdict,
            gate={"reasons": ["smile reads .50, chance is .50"]},
            card={},
            files={},
        ),
    )
    status: Any = {"pass": "succeeded", "needs_approval": "awaiting_approval", "fail": "failed"}[verdict]
    await jobs.close(session, job.id, status=status)
    return version


async def test_one_job_writes_one_version(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fitted(session, tenant)
    with pytest.raises(IntegrityError):
        async with database.platform_transaction() as session:
            await versions.add_version(
                session,
                tenant.id,
                version.job_id,
                versions.NewVersion(
                    adapter_name="avatars",
                    **{name: getattr(version, name) for name in versions._COPIED},
                ),
            )


async def test_approval_moves_production_and_rollback_moves_it_back(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        first, second = await fitted(session, tenant), await fitted(session, tenant, "needs_approval")
        assert (first.version, second.version) == (1, 2)
        with pytest.raises(Conflict, match="awaiting_approval"):
            await adapters.move_alias(session, tenant.id, first.adapter_id, "production", 2, if_match=None)
        for version in (first, second):
            await adapters.decide(
                session,
                tenant.id,
                version.adapter_id,
                version.version,
                decision="approve",
                comment="",
                key_id="key_x",
            )
        assert (await jobs.get(session, tenant.id, second.job_id)).status == "succeeded"
        alias = await adapters.get_alias(session, tenant.id, first.adapter_id, "production")
        assert (alias.version, alias.previous_version, alias.revision) == (2, 1, 2)
        back = await adapters.roll_back(session, tenant.id, first.adapter_id, "production")
        assert (back.version, back.revision) == (1, 3)


async def test_an_alias_moves_only_for_who_saw_its_last_state(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        adapter_id = (await fitted(session, tenant)).adapter_id
        await fitted(session, tenant)

        async def move(number: int, if_match: int | None) -> int:
            moved = await adapters.move_alias(session, tenant.id, adapter_id, "canary", number, if_match=if_match)
            return moved.revision

        assert await move(1, None) == 1
        assert await move(1, None) == 1
        with pytest.raises(PreconditionRequired, match='If-Match: "1"'):
            await move(2, None)
        with pytest.raises(PreconditionFailed, match="revision 1, If-Match says 7"):
            await move(2, 7)
        assert await move(2, 1) == 2


async def test_a_refused_version_cannot_be_approved(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fitted(session, tenant, "fail")
        with pytest.raises(Conflict, match=r"smile reads \.50"):
            await adapters.decide(
                session, tenant.id, version.adapter_id, 1, decision="approve", comment="", key_id="key_x"
            )


async def test_jobs_wait_for_their_sets_validation(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fitted(session, tenant)
        waiting = await jobs.create(
            session, tenant.id, job_type="fit", spec={}, dataset_id=version.dataset_id, status="validating"
        )
        assert await queue.claim(session, owner="x", limit=5, lease_seconds=5, max_attempts=2) == []
        await jobs.release_waiting(session, version.dataset_id, error=None)
        assert (await jobs.get(session, tenant.id, waiting.id)).status == "queued"
        history = await jobs.events(session, waiting.id, after=0, limit=10)
        assert [event.type for event in history] == ["created", "queued"]
