"""Erasures in the database: a barrier in the queue, and one transaction that puts versions in the place of others."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, alias_moves, erasures, jobs, queue, versions
from heddle_infra.database.engine import Database
from heddle_infra.database.erasures import Replacement
from heddle_infra.database.versions import NewVersion
from heddle_platform.errors import NotFound
from heddle_platform.records import AdapterVersion, Job, Tenant
from heddle_platform.settings import DatabaseSettings
from tests.infra.test_queue import claim, fitted, new_tenant, queue_job


@pytest.fixture
async def database(empty_postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    yield opened
    await opened.close()


async def queue_erasure(session: AsyncSession, tenant: Tenant) -> Job:
    return await erasures.create(session, tenant.id, {"images": [], "key_id": "key_x"})


async def close(database: Database, job: Job) -> None:
    async with database.platform_transaction() as session:
        await jobs.close(session, job.id, status="succeeded", result={})


async def test_an_erasure_starts_when_the_jobs_before_it_are_over_and_those_behind_it_then(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant, other = await new_tenant(session), await new_tenant(session)
    made = []
    for add in (queue_job, queue_erasure, queue_job, queue_erasure):  # each in its own transaction, as requests are
        async with database.platform_transaction() as session:
            made.append(await add(session, tenant))
    async with database.platform_transaction() as session:
        elsewhere = await queue_job(session, other)
        assert await queue.position(session, made[2].id) == 3, "who waits for an erasure has a place in the queue"
    before, erasure, behind, last = made
    assert {job.id for job in await claim(database)} == {before.id, elsewhere.id}
    for one, following in ((before, erasure), (erasure, behind), (behind, last)):
        assert await claim(database) == []
        await close(database, one)
        assert [job.id for job in await claim(database)] == [following.id]


async def test_a_running_erasure_bars_a_job_whose_request_was_committed_late(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
    async with database.platform_transaction() as late:
        fit = await queue_job(late, tenant)
        async with database.platform_transaction() as session:
            erasure = await queue_erasure(session, tenant)
        assert [job.id for job in await claim(database)] == [erasure.id]
    assert fit.created_at < erasure.created_at
    assert await claim(database) == []
    await close(database, erasure)
    assert [job.id for job in await claim(database)] == [fit.id]


async def test_what_noted_a_result_is_tried_beyond_the_limit(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        erasure = await queue_erasure(session, tenant)
    await claim(database, lease_seconds=0, max_attempts=1)
    async with database.platform_transaction() as session:
        await erasures.note(session, erasure.id, {"erased": {}})
    [again] = await claim(database, max_attempts=1)
    assert (again.id, again.attempt, again.result) == (erasure.id, 2, {"erased": {}})


def successor(old: AdapterVersion, verdict: Any = "pass") -> NewVersion:
    """Return what a refit of a version would bring."""
    return NewVersion(
        adapter_name="avatars",
        digest="e" * 64,
        base_id=old.base_id,
        base_digest=old.base_digest,
        factor_set_id=old.factor_set_id,
        factor_set_version=old.factor_set_version,
        dataset_id=old.dataset_id,
        verdict=verdict,
        gate={"reasons": []},
        card={"fresh": True},
        files={"adapter.npz": "e" * 64},
    )


@pytest.mark.parametrize(
    ("before", "verdict", "after"),
    [
        ("passed", "pass", "passed"),
        ("passed", "needs_approval", "approved"),
        ("approved", "fail", "approved"),
        ("awaiting_approval", "pass", "passed"),
        ("awaiting_approval", "needs_approval", "awaiting_approval"),
        ("awaiting_approval", "fail", "refused"),
        ("rejected", "pass", "rejected"),
        ("refused", "needs_approval", "awaiting_approval"),
    ],
)
async def test_what_was_served_stays_served_and_nothing_else_becomes_so_unjudged(
    database: Database, before: str, verdict: Any, after: str
) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        old = await fitted(session, tenant)
        await session.execute(text("update adapter_versions set status = :status"), {"status": before})
        erasure = await queue_erasure(session, tenant)
        replacement = Replacement(old.adapter_id, (old.version,), successor(old, verdict))
        new = await erasures.replace(session, erasure, replacement)
        assert new is not None
        assert (new.version, new.replaces, new.status) == (2, 1, after)
        session.expire_all()
        gone = await adapters.version(session, tenant.id, old.adapter_id, 1)
        assert (gone.status, gone.replaced_by, gone.card, gone.files) == ("erased", 2, {}, {})
        carried = (await session.execute(text("select comment, key_id from approvals"))).all()
        wanted = [(f"carried over from version 1 by erasure {erasure.id}", "key_x")] if after == "approved" else []
        assert [tuple(row) for row in carried] == wanted


async def test_aliases_follow_and_no_way_back_to_what_was_erased_is_left(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        old = await fitted(session, tenant)
        second = await versions.add_version(
            session, tenant.id, (await queue_job(session, tenant)).id, replace(successor(old), digest="c" * 64)
        )
        move = {"if_match": None, "checked": False}
        place = (session, tenant.id, old.adapter_id)
        await adapters.move_alias(*place, "production", 1, **move)  # type: ignore[arg-type]
        await adapters.move_alias(*place, "production", 2, **move)  # type: ignore[arg-type]
        await adapters.move_alias(*place, "canary", 1, **move)  # type: ignore[arg-type]
        erasure = await queue_erasure(session, tenant)
        new = await erasures.replace(session, erasure, Replacement(old.adapter_id, (1,), successor(old)))
        assert new is not None
        session.expire_all()
        aliases = {alias.alias: alias for alias in await adapters.list_aliases(*place)}
        assert (aliases["canary"].version, aliases["canary"].previous_version, aliases["canary"].revision) == (
            *(3, None),
            2,
        )
        assert (aliases["production"].version, aliases["production"].previous_version) == (second.version, 3)
        both = Replacement(old.adapter_id, (2, 3), None)
        assert await erasures.replace(session, await queue_erasure(session, tenant), both) is None
        assert await adapters.list_aliases(*place) == []
        moves, _ = await alias_moves.list_moves(*place, alias=None, limit=3, after=None)
        assert [(one.version, one.from_version, one.reason, one.key_id) for one in moves] == [
            (None, one.from_version, "erased", erasure.spec["key_id"]) for one in moves[:2]
        ] + [(3, 1, "erased", erasure.spec["key_id"])]
        assert {(one.alias, one.from_version) for one in moves[:2]} == {("production", 2), ("canary", 3)}
        assert moves[2].comment == f"erasure {erasure.id}"
        assert await erasures.versions_of(session, tenant.id, [old.dataset_id]) == []
        assert await erasures.digests_named(session, tenant.id) == (set(), set())


async def test_one_erasure_replaces_a_version_once(database: Database) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        old = await fitted(session, tenant)
        erasure = await queue_erasure(session, tenant)
        replacement = Replacement(old.adapter_id, (1,), successor(old))
        await erasures.replace(session, erasure, replacement)
    with pytest.raises(IntegrityError):
        async with database.platform_transaction() as session:
            await erasures.replace(session, erasure, replacement)


async def test_another_tenants_erasure_does_not_exist(database: Database) -> None:
    async with database.platform_transaction() as session:
        mine, theirs = await new_tenant(session), await new_tenant(session)
        erasure, fit = await queue_erasure(session, theirs), await queue_job(session, mine)
        for unknown in (erasure.id, fit.id):
            with pytest.raises(NotFound) as error:
                await erasures.get(session, mine.id, unknown)
            assert error.value.code == "unknown_erasure"
