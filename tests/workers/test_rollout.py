"""Rollouts through the dispatcher on real stores and real Ray: a second base, three tenants, one without its images."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from heddle_adapters.artifact import unpack
from heddle_adapters.read import read
from heddle_infra.database import adapters, bases, factor_sets, rollout_moves, rollouts, tenants
from heddle_platform import keys
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import unpack_latents
from heddle_platform.packs import PACK_FILE, unpacked
from heddle_platform.records import Alias, Base, JobType
from heddle_platform.rollout_records import Rollout, RolloutItem
from heddle_workers.fitted import ADAPTER_FILE, CARD_PAGE, PLAYBOOK_PAGE
from heddle_workers.rollout_job import RolloutWork
from heddle_workers.work import Work
from tests.second_base import second_base
from tests.turned_base import turned_base

from .polling import until_told
from .world import World, avatar_factors, avatar_zip, default_bundle, running


def works(world: World) -> dict[JobType, Work]:
    return {"rollout": RolloutWork(world.database, world.objects, world.cache, world.cluster, world.limits)}


async def neighbour(world: World, name: str) -> World:
    """Return the same world as another tenant sees it."""
    async with world.database.platform_transaction() as session:
        tenant = await tenants.create_tenant(session, name)
        factors = await factor_sets.register(session, tenant.id, parse_factor_set(avatar_factors()))
    return replace(world, tenant=tenant, factors=factors)


async def served(world: World) -> Alias:
    """Upload, fit, and put the version into production."""
    dataset, _ = await world.upload(avatar_zip())
    job = await world.until((await world.queue_fit(dataset, waiting=True)).id)
    assert job.result is not None, job.error
    async with world.database.platform_transaction() as session:
        found = await adapters.resolve(session, world.tenant.id, "avatars")
        version = await adapters.version(session, world.tenant.id, found.id, 1)
        if version.status == "awaiting_approval":
            await adapters.decide(
                session, world.tenant.id, found.id, 1, decision="approve", comment="", key_id="key_test"
            )
            return await adapters.get_alias(session, world.tenant.id, found.id, adapters.PRODUCTION)
        return await adapters.move_alias(
            session, world.tenant.id, found.id, adapters.PRODUCTION, 1, if_match=None, checked=False
        )


async def publish(world: World, silent: Sequence[int] = ()) -> tuple[Base, Any]:
    bundle, turn_LL = turned_base(default_bundle(), silent=silent)
    return await put(world, bundle), turn_LL


async def put(world: World, bundle: BaseBundle) -> Base:
    name = bundle.manifest.name
    for file, data in bundle.all_files().items():
        await asyncio.to_thread(world.objects.put, keys.base_file(name, bundle.digest, file), data)
    async with world.database.platform_transaction() as session:
        base, _ = await bases.publish(session, name=name, digest=bundle.digest, manifest={})
    return base


async def ask(world: World, base: Base, **options: Any) -> Rollout:
    asked: dict[str, Any] = {"canary_share": 1.0, "max_wait_seconds": None, "dry_run": False, "tenants": None}
    async with world.database.platform_transaction() as session:
        return await rollouts.create(session, base, **{**asked, **options}, key_id="key_test")


async def until(world: World, rollout: Rollout, *statuses: str) -> Rollout:
    async def there() -> Rollout | None:
        async with world.database.platform_transaction() as session:
            await rollouts.settle(session)
            found = await rollouts.get(session, rollout.id)
        return found if found.status in statuses else None

    return await until_told(there, seconds=120)


async def rows(world: World, rollout: Rollout) -> dict[str, RolloutItem]:
    async with world.database.platform_transaction() as session:
        return {item.tenant_id: item for item in await rollouts.items(session, rollout.id)}


async def production(world: World) -> Alias:
    async with world.database.platform_transaction() as session:
        found = await adapters.resolve(session, world.tenant.id, "avatars")
        return await adapters.get_alias(session, world.tenant.id, found.id, adapters.PRODUCTION)


async def test_a_base_is_rolled_out_canary_first_and_back_with_one_call(world: World) -> None:
    people = [world, await neighbour(world, "rival"), await neighbour(world, "third")]
    async with running(world.dispatcher()):
        before = [await served(person) for person in people]
    base, turn_LL = await publish(world)
    gone = people[2]
    [first] = await gone.versions()
    dataset = await gone.dataset(first.dataset_id)
    old = unpack(gone.objects.get(keys.adapter_file(gone.tenant.id, first.digest, ADAPTER_FILE)))
    old_latents = unpack_latents(
        gone.objects.get(keys.latents(gone.tenant.id, str(dataset.digest), gone.base.digest)), rows=120
    )
    await asyncio.to_thread(gone.objects.delete, keys.dataset_images(gone.tenant.id, str(dataset.digest)))

    # a dry run says what would come of it and stores no version
    dry = await ask(world, base, dry_run=True)
    async with running(world.dispatcher(works=works(world))):
        await until(world, dry, "reported")
    told = await rows(world, dry)
    assert len(told) == 3
    assert all(item.to_version is None and item.outcome in ("equal", "better") for item in told.values())
    assert [len(await person.versions()) for person in people] == [1, 1, 1]

    rollout = await ask(world, base, canary_share=0.3)
    async with running(world.dispatcher(works=works(world))):
        await until(world, rollout, "canary")
    found = await rows(world, rollout)
    assert all(item.passed and item.to_version == 2 for item in found.values()), found
    assert [item.mapped for item in found.values()].count(True) == 1
    assert [item.moved for item in found.values()].count(True) == 1
    moved = [(await production(person)).version for person in people]
    assert sorted(moved) == [1, 1, 2]
    # what was re-encoded is kept like a fit's latents, and is the old ones turned
    own = (await world.versions())[0]
    digest = str((await world.dataset(own.dataset_id)).digest)
    new_latents = unpack_latents(world.objects.get(keys.latents(world.tenant.id, digest, base.digest)), rows=120)
    assert (own.base_digest, own.replaces) == (base.digest, 1)
    one = found[world.tenant.id]
    assert {part["factor"] for part in one.numbers["differences"]} == {"hair_color", "background", None}
    assert all(abs(part["difference"]) < 0.05 for part in one.numbers["differences"])
    assert np.abs(old_latents @ turn_LL - new_latents).max() < 1e-3  # the tenants uploaded the same pictures
    # the one without images was carried over, marked, and reads as it did
    mapped = (await gone.versions())[0]
    pack = gone.objects.get(keys.adapter_file(gone.tenant.id, mapped.digest, PACK_FILE))
    for file in (CARD_PAGE, PLAYBOOK_PAGE):
        page = unpacked(pack, file)
        assert b"was carried over from version 1" in page
        assert b"public pictures" in page
    assert mapped.card["mapped"]["from_version"] == 1
    assert mapped.card["base_digest"] == base.digest
    new = unpack(gone.objects.get(keys.adapter_file(gone.tenant.id, mapped.digest, ADAPTER_FILE)))
    readings = read(old, old_latents).values_BF, read(new, old_latents @ turn_LL).values_BF
    assert (readings[0] == readings[1]).mean() > 0.99

    async with world.database.platform_transaction() as session:
        assert (await rollout_moves.go_on(session, rollout.id)).status == "complete"
    assert [(await production(person)).version for person in people] == [2, 2, 2]
    # a tenant who moved the alias since keeps it; the others are exactly where they were
    async with world.database.platform_transaction() as session:
        await adapters.roll_back(session, people[1].tenant.id, before[1].adapter_id, adapters.PRODUCTION)
        back_and_forth = await adapters.roll_back(session, people[1].tenant.id, before[1].adapter_id, "production")
        assert back_and_forth.version == 2
    async with world.database.platform_transaction() as session:
        back, counted = await rollout_moves.roll_back(session, rollout.id)
    assert (back.status, counted.undone, counted.kept) == ("rolled_back", 2, 1)
    after = [await production(person) for person in people]
    assert [alias.version for alias in after] == [1, 2, 1]
    for was, alias in zip(before, after, strict=True):
        if alias.version == 1:
            assert alias.previous_version == was.previous_version
    async with world.database.platform_transaction() as session:
        again, counted = await rollout_moves.roll_back(session, rollout.id)
        assert (again.status, counted.undone, counted.kept) == ("rolled_back", 0, 0)


async def test_a_worse_base_moves_nobody_and_a_stopped_dispatcher_goes_on_where_it_was(world: World) -> None:
    people = [world, await neighbour(world, "rival")]
    async with running(world.dispatcher()):
        for person in people:
            await served(person)
    base, _ = await publish(world, silent=range(8, 64))
    rollout = await ask(world, base)
    async with running(world.dispatcher(works=works(world))) as stop:

        async def one_done() -> bool | None:
            return any(item.outcome for item in (await rows(world, rollout)).values()) or None

        await until_told(one_done, seconds=60)
        stop.set()
    kept = {tenant: item.done_at for tenant, item in (await rows(world, rollout)).items() if item.outcome}
    assert kept
    async with running(world.dispatcher(works=works(world))):
        await until(world, rollout, "complete")
    found = await rows(world, rollout)
    assert {item.outcome for item in found.values()} == {"worse"}
    assert not any(item.passed or item.moved for item in found.values())
    assert all(item.reasons for item in found.values())
    assert {tenant: found[tenant].done_at for tenant in kept} == kept
    for person in people:
        assert (await production(person)).version == 1
        new, _ = await person.versions()  # exactly once, and not servable without a person
        assert new.status in ("awaiting_approval", "refused")


async def test_a_canary_that_nobody_decides_on_is_rolled_back(world: World) -> None:
    async with running(world.dispatcher()):
        await served(world)
    base, _ = await publish(world)
    rollout = await ask(world, base, canary_share=0.5, max_wait_seconds=1)
    async with running(world.dispatcher(works=works(world))):
        await until(world, rollout, "rolled_back")
    assert (await production(world)).version == 1
    assert len(await world.versions()) == 2


async def test_a_base_trained_apart_is_judged_by_what_it_knows(world: World) -> None:
    second = await asyncio.to_thread(second_base)
    assert second.manifest.latents != default_bundle().manifest.latents
    gone = await neighbour(world, "rival")
    async with running(world.dispatcher()):
        await served(world)
        await served(gone)
    [version] = await gone.versions()
    images = keys.dataset_images(gone.tenant.id, str((await gone.dataset(version.dataset_id)).digest))
    await asyncio.to_thread(gone.objects.delete, images)
    rollout = await ask(world, await put(world, second))
    async with running(world.dispatcher(works=works(world))):
        await until(world, rollout, "complete")
    found = await rows(world, rollout)
    # it has seen a hundredth of the pictures, and draws none of the parts sharply
    assert {item.outcome for item in found.values()} == {"worse"}, found
    assert not any(item.passed or item.moved for item in found.values())
    differences = {part["factor"]: part for part in found[world.tenant.id].numbers["differences"]}
    assert differences[None]["after"] > 0.5  # it is a base all the same: far above chance
    lost = found[gone.tenant.id].numbers["mapped"]
    assert lost["explained_back"] < lost["explained_forward"] < 1.0  # forty latents cannot tell sixty-four
    assert [(await production(person)).version for person in (world, gone)] == [1, 1]
