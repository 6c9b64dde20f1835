"""Drift checks through the dispatcher, on real stores and real Ray."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from heddle_infra.database import adapters, drift, drift_checks, webhooks
from heddle_infra.database.referred import referred
from heddle_platform.drift import DriftSlot, DriftSums
from heddle_platform.records import Job
from heddle_platform.usage import hour_of

from .world import FACTORS, World, avatar_zip, rendered, running


async def check(world: World, reference: str, hours: int = 168) -> Job:
    async with world.database.platform_transaction() as session:
        adapter, version = await referred(session, world.tenant.id, reference)
        return await drift_checks.queue(session, adapter, version, window_hours=hours)


async def see_other_pictures(world: World, images: int = 80) -> None:
    """Play an edge that saw pictures which all lie far outside of what the version was fitted on."""
    found = rendered()
    levels = [len(found.levels[found.factors.index(name)]) for name in FACTORS]
    read = [count for many in levels for count in (images, *[0] * (many - 1))]
    latents = 64
    sums = DriftSums(
        images, images, 200.0 * images, images - 10, 70.0, 70.0, (3.0 * images, *[0.0] * (latents - 1)), tuple(read)
    )
    slot = DriftSlot(world.tenant.id, world.tenant.epoch, "avatars", 1, hour_of(datetime.now(UTC)))
    async with world.database.platform_transaction() as session:
        await drift.flush(session, "an edge", 1, {slot: sums})


async def told(world: World) -> int:
    async with world.database.platform_transaction() as session:
        found = await session.scalar(
            text("select count(*) from webhook_deliveries where tenant_id = :id").bindparams(id=world.tenant.id)
        )
    return int(found or 0)


@pytest.fixture
async def watched(world: World) -> World:
    """A tenant with a version in production and an endpoint that hears of drift."""
    async with world.database.platform_transaction() as session:
        await session.execute(text("delete from platform_notes where name like 'drifted/%'"))
        await webhooks.create(
            session,
            world.tenant.id,
            url="https://hooks.invalid/",
            description="",
            events=("adapter.drifted",),
            sealed_secret=b"sealed",
            most=1,
        )
    return world


async def test_a_version_is_looked_at_now_and_its_drift_told_once(watched: World) -> None:
    world = watched
    dataset, _ = await world.upload(avatar_zip())
    async with running(world.dispatcher()):
        fitted = await world.until((await world.queue_fit(dataset, waiting=True, card="brief")).id)
        assert fitted.result is not None
        early = await world.until((await check(world, "avatars@1")).id)
        await see_other_pictures(world)
        idle = await world.until((await check(world, "avatars@1")).id)
        async with world.database.platform_transaction() as session:
            adapter = await adapters.resolve(session, world.tenant.id, "avatars")
            await session.execute(
                text(
                    "insert into aliases (adapter_id, tenant_id, alias, version, revision) "
                    "values (:adapter, :tenant, 'production', 1, 1)"
                ).bindparams(adapter=adapter.id, tenant=world.tenant.id)
            )
        short = await world.until((await check(world, "avatars", hours=2)).id)
        first = await world.until((await check(world, "avatars")).id)
        second = await world.until((await check(world, "avatars")).id)
    verdicts = []
    for job in (early, idle, short, first, second):
        assert (job.status, job.error) == ("succeeded", None)
        assert job.result is not None
        verdicts.append((job.result["verdict"], job.result["in_production"], job.result["webhooks_told"]))
    assert verdicts == [
        ("too_few", False, False),
        ("drifted", False, False),  # nobody is edited with it
        ("drifted", True, False),  # another window than the hourly look's
        ("drifted", True, True),
        ("drifted", True, False),
    ]
    assert first.result is not None
    assert first.result["outside"]["share"] == 1.0
    assert "label images" in first.result["advice"].lower()
    assert await told(world) == 1


async def test_an_erasure_empties_checks_and_an_erased_version_is_refused(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    async with running(world.dispatcher()):
        await world.until((await world.queue_fit(dataset, waiting=True, card="brief")).id)
        async with world.database.platform_transaction() as session:
            adapter, version = await referred(session, world.tenant.id, "avatars@1")
        early = await world.until((await check(world, "avatars@1")).id)
        erasure = await world.until((await world.queue_erasure(rendered().images[0])).id)
        async with world.database.platform_transaction() as session:
            late = await drift_checks.queue(session, adapter, version, window_hours=168)
        done = await world.until(late.id)
    forgotten = await world.job(early.id)
    kept = {"adapter": "avatars", "adapter_id": adapter.id, "version": 1, "window_hours": 168}
    assert forgotten.result == {**kept, "erased_by": erasure.id}
    assert done.status == "failed"
    assert done.error is not None
    assert done.error.code == "version_erased"
