"""The loader: new versions appear whole, withdrawn ones go, and what is damaged or away never takes the old down."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from heddle_api.edge.loader import Loader
from heddle_infra.database.serving import CHANGED_CHANNEL, ServedVersion
from heddle_platform import keys
from heddle_platform.edits import EditRequest
from heddle_platform.errors import HeddleError, NotFound, Unavailable
from tests.api.edge.edge_world import TENANT, World

PRODUCTION = EditRequest(adapter="avatars")


@pytest.fixture
async def loader(world: World) -> Loader:
    made = Loader(world.source, world.objects, grace_seconds=0.0)
    await made.refresh()
    return made


async def until(holds: Callable[[], bool], do: Callable[[], Awaitable[None]] | None = None) -> None:
    """Look again and again, doing something in between; the enclosing timeout ends a wait in vain."""
    async with asyncio.timeout(20):
        while not holds():
            if do is not None:
                await do()
            await asyncio.sleep(0.01)


def label(loader: Loader, reference: str = "avatars") -> str:
    assert loader.serving is not None
    return loader.serving.resolve(TENANT, EditRequest(adapter=reference)).label


def refusal(loader: Loader, reference: str = "avatars") -> HeddleError:
    with pytest.raises((NotFound, Unavailable)) as caught:
        label(loader, reference)
    return caught.value


def second_version(world: World, *, stored: bool = True) -> ServedVersion:
    """Add version 2, which refuses another factor than version 1, and return its row."""
    adapter = world.fitted.adapter.with_refused(["skin"])
    digest = world.store(adapter)
    if not stored:
        world.objects.delete(keys.adapter_file(TENANT, digest, "adapter.npz"))
    row: ServedVersion = replace(world.source.now.versions[0], version=2, digest=digest)
    return row


def move(world: World, *versions: ServedVersion, to: int) -> None:
    world.source.change(versions=versions, aliases={(TENANT, "avatars", "production"): to})


async def test_an_alias_moves_and_moves_back(world: World, loader: Loader) -> None:
    first, second = world.source.now.versions[0], second_version(world)
    move(world, first, second, to=2)
    assert label(loader) == "avatars@1"
    await loader.refresh()
    assert label(loader) == "avatars@2"
    assert label(loader, "avatars@1") == "avatars@1"
    assert loader.serving is not None
    assert loader.serving.resolve(TENANT, PRODUCTION).adapter.refused == ("skin",)
    move(world, first, second, to=1)
    await loader.refresh()
    assert label(loader) == "avatars@1"


async def test_a_message_is_heard_long_before_the_next_poll(world: World) -> None:
    loader = Loader(world.source, world.objects)
    running = asyncio.create_task(loader.run(world.cache, poll_seconds=3600))
    try:
        await until(lambda: loader.serving is not None)
        move(world, world.source.now.versions[0], second_version(world), to=2)
        await until(lambda: label(loader) == "avatars@2", lambda: world.cache.publish(CHANGED_CHANNEL, "alias"))
    finally:
        running.cancel()


async def test_a_poll_finds_what_no_message_told(world: World) -> None:
    loader = Loader(world.source, world.objects)
    running = asyncio.create_task(loader.run(world.cache, poll_seconds=0.02))
    try:
        await until(lambda: loader.serving is not None)
        world.source.away = True
        await asyncio.sleep(0.1)
        assert label(loader) == "avatars@1"
        world.source.away = False
        move(world, world.source.now.versions[0], second_version(world), to=2)
        await until(lambda: label(loader) == "avatars@2")
    finally:
        running.cancel()


async def test_an_alias_stays_where_it_was_until_its_new_version_can_be_read(world: World, loader: Loader) -> None:
    first, second = world.source.now.versions[0], second_version(world, stored=False)
    move(world, first, second, to=2)
    await loader.refresh()
    assert label(loader) == "avatars@1"
    assert refusal(loader, "avatars@2").code == "adapter_not_loaded"
    second_version(world)  # now its bytes arrive
    await asyncio.sleep(0.6)  # the loader leaves a failed artifact alone for half a second
    await loader.refresh()
    assert label(loader) == "avatars@2"


async def test_what_was_withdrawn_is_not_served_while_its_successor_cannot_be_read(
    world: World, loader: Loader
) -> None:
    assert label(loader) == "avatars@1"
    move(world, second_version(world, stored=False), to=2)
    await loader.refresh()
    assert refusal(loader, "avatars").code == "adapter_not_loaded"
    second_version(world)  # now its bytes arrive
    await asyncio.sleep(0.6)
    await loader.refresh()
    assert label(loader) == "avatars@2"


async def test_damaged_bytes_are_never_served(world: World, loader: Loader) -> None:
    first, second = world.source.now.versions[0], second_version(world)
    key = keys.adapter_file(TENANT, second.digest, "adapter.npz")
    damaged = bytearray(world.objects.get(key))
    damaged[len(damaged) // 2] ^= 1
    world.objects.put(key, bytes(damaged))
    move(world, first, second, to=2)
    await loader.refresh()
    assert label(loader) == "avatars@1"


async def test_an_adapter_of_another_base_is_never_served(world: World, loader: Loader) -> None:
    stranger = replace(world.fitted.adapter, base_digest="0" * 64)
    second = replace(world.source.now.versions[0], version=2, digest=world.store(stranger))
    move(world, world.source.now.versions[0], second, to=2)
    await loader.refresh()
    assert label(loader) == "avatars@1"


async def test_a_withdrawn_version_is_not_served_on(world: World, loader: Loader) -> None:
    second = second_version(world)
    move(world, second, to=1)  # version 1 lost its approval while the alias still names it
    await loader.refresh()
    assert refusal(loader).code == "unknown_alias"
    assert refusal(loader, "avatars@1").code == "unknown_version"
    assert label(loader, "avatars@2") == "avatars@2"


async def test_a_tenant_that_is_gone_takes_its_adapters_out_of_memory(world: World, loader: Loader) -> None:
    assert loader.resident == 1
    world.source.change(versions=(), aliases={}, epochs={})
    await loader.refresh()
    await asyncio.sleep(0.01)
    await loader.refresh()
    assert loader.resident == 0
    assert refusal(loader).code == "unknown_adapter"


async def test_an_adapter_in_use_survives_its_withdrawal_for_the_grace(world: World) -> None:
    loader = Loader(world.source, world.objects, grace_seconds=60.0)
    await loader.refresh()
    world.source.change(versions=(), aliases={})
    for _ in range(3):
        await loader.refresh()
    assert loader.resident == 1


async def test_without_the_base_nothing_is_ready_and_it_is_tried_again(world: World) -> None:
    kept = dict(world.objects.objects)
    world.objects.objects.clear()
    loader = Loader(world.source, world.objects)
    assert await loader.checks() == {"snapshot": False, "base": False}
    await loader.refresh()
    assert await loader.checks() == {"snapshot": True, "base": False}
    assert refusal(loader).code == "adapter_not_loaded"
    world.objects.objects.update(kept)
    await asyncio.sleep(0.6)
    await loader.refresh()
    assert await loader.checks() == {"snapshot": True, "base": True}
    assert label(loader) == "avatars@1"


async def test_a_tampered_base_is_not_served(world: World, bundle: Any) -> None:
    key = keys.base_file("default", bundle.digest, "decoder.onnx")
    world.objects.put(key, world.objects.get(key) + b"x")
    loader = Loader(world.source, world.objects)
    await loader.refresh()
    assert (await loader.checks())["base"] is False


async def test_an_unavailable_source_is_an_error_and_the_old_state_stays(world: World, loader: Loader) -> None:
    before = loader.serving
    world.source.away = True
    with pytest.raises(Unavailable):
        await loader.refresh()
    assert loader.serving is before


async def test_nothing_new_costs_nothing(world: World, loader: Loader) -> None:
    before = loader.serving
    await loader.refresh()
    assert loader.serving is before


async def test_a_poll_reads_the_stamp_and_everything_only_when_it_changed(world: World, loader: Loader) -> None:
    world.source.stamped = "1"
    await loader.refresh()
    read = world.source.snapshots
    move(world, world.source.now.versions[0], second_version(world), to=2)
    await loader.refresh()
    assert (world.source.snapshots, label(loader)) == (read, "avatars@1")  # nobody said that anything changed
    world.source.stamped = "2"
    await loader.refresh()
    assert (world.source.snapshots, label(loader)) == (read + 1, "avatars@2")


async def test_what_could_not_be_read_is_tried_again_without_asking_for_everything(
    world: World, loader: Loader
) -> None:
    world.source.stamped = "1"
    move(world, world.source.now.versions[0], second_version(world, stored=False), to=2)
    await loader.refresh()
    read = world.source.snapshots
    second_version(world)
    await asyncio.sleep(0.6)
    await loader.refresh()
    assert (world.source.snapshots, label(loader)) == (read, "avatars@2")


async def test_thousands_of_versions_do_not_hold_the_event_loop_up(world: World, loader: Loader) -> None:
    first = world.source.now.versions[0]
    many = tuple(replace(first, adapter_name=f"avatars{number}") for number in range(5_000))
    world.source.change(versions=(first, *many))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await loader.refresh()
    counting.cancel()
    assert turns > 100  # the loop went round while it was read
    assert label(loader, "avatars4999@1") == "avatars4999@1"
    assert loader.resident == 1  # one adapter under many names is held once


async def test_a_name_not_known_yet_is_looked_for_before_it_is_called_unknown(world: World) -> None:
    loader = Loader(world.source, world.objects)
    running = asyncio.create_task(loader.run(world.cache, poll_seconds=3600))
    try:
        await until(lambda: loader.serving is not None)
        first = world.source.now.versions[0]
        world.source.change(versions=(first,), aliases={})  # approved a moment ago, not announced
        await loader.knowing(TENANT, EditRequest(adapter="avatars@2"))
        assert refusal(loader).code == "unknown_alias"
        move(world, first, second_version(world), to=2)
        found = await asyncio.gather(*(loader.knowing(TENANT, PRODUCTION) for _ in range(8)))
        assert {id(state) for state in found} == {id(loader.serving)}
        assert label(loader) == "avatars@2"
        world.source.away = True
        assert await loader.knowing(TENANT, EditRequest(adapter="avatars@3")) is loader.serving
    finally:
        running.cancel()
