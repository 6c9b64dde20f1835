"""Canaries and shadows: the same image goes the same way everywhere, every answer says which, shadows answer nobody."""

from dataclasses import replace

from heddle_adapters.adapter import Adapter
from heddle_infra.database.serving import ServedTrial
from heddle_platform.edits import EditRequest
from tests.api.edge.edge_world import TENANT, Edge, World, running_edge

SPOT = (TENANT, "avatars", "production")


def on_trial(world: World, trial: ServedTrial, adapter: Adapter | None = None) -> None:
    second = adapter or world.fitted.adapter.with_gains({"glasses": 1.5})
    row = replace(world.source.now.versions[0], version=2, digest=world.store(second))
    world.source.change(versions=(world.source.now.versions[0], row), trials={SPOT: trial})


async def versions_of(edge: Edge, count: int = 20) -> list[str]:
    answers = [await edge.edit(edge.world.fitted.images[row], set={"glasses": "none"}) for row in range(count)]
    assert all(answer.status_code == 200 for answer in answers)
    return [answer.headers["x-adapter-version"] for answer in answers]


async def test_a_canary_takes_its_share_always_of_the_same_images_on_every_replica(world: World, edge: Edge) -> None:
    on_trial(world, ServedTrial(2, 0.5, None))
    await edge.state["readiness"].refresh()
    first = await versions_of(edge)
    assert 4 <= first.count("avatars@2") <= 16
    assert await versions_of(edge) == first
    async with running_edge(world) as replica:
        assert await versions_of(replica) == first
    world.source.change(trials={SPOT: ServedTrial(2, 0.8, None)})
    await edge.state["readiness"].refresh()
    more = await versions_of(edge)
    assert all(now == "avatars@2" for now, before in zip(more, first, strict=True) if before == "avatars@2")
    world.source.change(trials={})  # a rollback
    await edge.state["readiness"].refresh()
    assert set(await versions_of(edge)) == {"avatars@1"}


async def test_the_share_is_the_weight(world: World, edge: Edge) -> None:
    on_trial(world, ServedTrial(2, 0.1, None))
    await edge.state["readiness"].refresh()
    serving = edge.state["readiness"].serving
    request = EditRequest(adapter="avatars")
    target = serving.resolve(TENANT, request)
    taken = sum(serving.route(target, request, f"{image:064x}")[0].version == 2 for image in range(4_000))
    assert 320 <= taken <= 480


async def test_a_named_version_is_never_routed_elsewhere(world: World, edge: Edge) -> None:
    on_trial(world, ServedTrial(2, 1.0, None))
    await edge.state["readiness"].refresh()
    image = world.fitted.images[0]
    assert (await edge.edit(image)).headers["x-adapter-version"] == "avatars@2"
    assert (await edge.edit(image, adapter="avatars@1")).headers["x-adapter-version"] == "avatars@1"


async def test_what_a_canary_cannot_do_stays_with_the_version_that_can(world: World, edge: Edge) -> None:
    on_trial(world, ServedTrial(2, 1.0, None), world.fitted.adapter.with_refused(["skin", "mouth"]))
    await edge.state["readiness"].refresh()
    image = world.fitted.images[0]
    assert (await edge.edit(image, set={"skin": "sand"})).headers["x-adapter-version"] == "avatars@1"
    assert (await edge.edit(image, set={"glasses": "none"})).headers["x-adapter-version"] == "avatars@2"


async def test_a_shadow_draws_too_and_changes_no_answer(world: World, edge: Edge) -> None:
    image = world.fitted.images[301]
    plain = await edge.edit(image, set={"glasses": "round"})
    world.source.change(epochs={**world.source.now.epochs, TENANT: 2})  # so that it is drawn anew
    on_trial(world, ServedTrial(None, 0.0, 2))
    await edge.state["readiness"].refresh()
    answer = await edge.edit(image, set={"glasses": "round"})
    assert answer.headers["x-adapter-version"] == "avatars@1"
    assert answer.content == plain.content
    await edge.state["shadows"].settle()
    text = (await edge.get("/metrics")).text
    assert 'heddle_shadow_edits_total{outcome="compared"} 1.0' in text
    assert "heddle_shadow_pixel_difference_count 1.0" in text
    assert 'heddle_shadow_readings_total{agreed="yes"} 6.0' in text


async def test_a_trial_that_cannot_be_read_is_not_on_trial(world: World, edge: Edge) -> None:
    on_trial(world, ServedTrial(2, 1.0, 2))
    row = replace(world.source.now.versions[1], digest="0" * 64)
    world.source.change(versions=(world.source.now.versions[0], row))
    await edge.state["readiness"].refresh()
    assert set(await versions_of(edge, 3)) == {"avatars@1"}
