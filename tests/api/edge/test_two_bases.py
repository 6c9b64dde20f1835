"""Two bases at once: what a rollout needs of the edge. Versions of both are served, batched apart, and let go."""

import asyncio
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heddle_adapters.adapter import Adapter
from heddle_adapters.bank import AdapterBank
from heddle_adapters.transport import dictionary, transported
from heddle_api.edge.batcher import Batcher
from heddle_api.edge.draw import Work
from heddle_api.edge.loader import Loader
from heddle_api.edge.serving import LoadedBase
from heddle_infra.database.serving import ServedBase, ServedVersion
from heddle_platform import keys
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from tests.api.edge.edge_world import TENANT, Fitted, World, running_edge
from tests.turned_base import turned_base


@pytest.fixture(scope="module")
def turned(bundle: BaseBundle) -> tuple[BaseBundle, Any]:
    return turned_base(bundle)


@pytest.fixture
def moved(fitted: Fitted, turned: tuple[BaseBundle, Any]) -> Adapter:
    """The tenant's adapter on the turned base: the same edits of the same pictures."""
    latents_NL = np.random.default_rng(0).normal(size=(400, fitted.adapter.latents))
    return transported(fitted.adapter, dictionary(latents_NL, latents_NL @ turned[1]), turned[0].digest)


@pytest.fixture
def rolled(world: World, turned: tuple[BaseBundle, Any], moved: Adapter) -> World:
    """Version 2 lies on the turned base; production still points at version 1."""
    base = turned[0]
    for file, data in base.all_files().items():
        world.objects.put(keys.base_file("turned", base.digest, file), data)
    now = world.source.now
    second = ServedVersion(TENANT, "ada_1", "avatars", 2, world.store(moved), base.digest)
    world.source.change(
        versions=(*now.versions, second),
        bases={**now.bases, base.digest: ServedBase("bas_2", "turned", base.digest)},
    )
    return world


def pixels_of(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), dtype=np.int16)


async def test_versions_of_two_bases_are_served_side_by_side(rolled: World, fitted: Fitted) -> None:
    picture = fitted.images[-1]
    async with running_edge(rolled) as edge:
        old = await edge.edit(picture, set={"hair_color": "blue"})
        new = await edge.edit(picture, adapter="avatars@2", set={"hair_color": "blue"})
        assert (old.headers["x-adapter-version"], new.headers["x-adapter-version"]) == ("avatars@1", "avatars@2")
        # the same picture of the same tenant, and yet neither base may take the other's latents or pictures
        assert (old.headers["x-cache"], new.headers["x-cache"]) == ("miss", "miss")
        assert (await edge.edit(picture, adapter="avatars@2", shift={}, set={"glasses": "round"})).headers[
            "x-cache"
        ] == "latent"
        assert np.abs(pixels_of(old) - pixels_of(new)).max() <= 3
        # the alias moves and moves back: nothing is loaded, nothing waits
        rolled.source.change(aliases={(TENANT, "avatars", "production"): 2})
        await edge.state["readiness"].refresh()
        assert (await edge.edit(picture, set={"hair_color": "blue"})).headers["x-cache"] == "hit"
        rolled.source.change(aliases={(TENANT, "avatars", "production"): 1})
        await edge.state["readiness"].refresh()
        back = await edge.edit(picture, set={"hair_color": "blue"})
        assert (back.headers["x-adapter-version"], back.headers["x-cache"]) == ("avatars@1", "hit")


async def test_the_old_base_goes_when_nothing_names_it(rolled: World, turned: tuple[BaseBundle, Any]) -> None:
    loader = Loader(rolled.source, rolled.objects, grace_seconds=0.0)
    await loader.refresh()
    old, new = rolled.source.now.versions
    assert set(loader.bases) == {old.base_digest, new.base_digest}
    rolled.source.change(aliases={(TENANT, "avatars", "production"): 2})
    for _ in range(3):
        await loader.refresh()
    assert old.base_digest in loader.bases  # version 1 can be asked for by its number, and `default` names its base
    rolled.source.change(versions=(new,), base_aliases={"default": new.base_digest})
    for _ in range(3):
        await asyncio.sleep(0.001)
        await loader.refresh()
    assert list(loader.bases) == [new.base_digest]
    assert loader.serving is not None
    assert loader.serving.resolve(TENANT, EditRequest(adapter="avatars")).version == 2
    rolled.source.change(versions=(old, new))  # rolled back to after all
    await loader.refresh()
    assert loader.serving.resolve(TENANT, EditRequest(adapter="avatars@1")).version == 1


async def test_mixed_requests_make_one_batch_per_base(
    runtime: BaseRuntime, fitted: Fitted, turned: tuple[BaseBundle, Any], moved: Adapter
) -> None:
    other = BaseRuntime.from_bundle(turned[0])
    bases = []
    for base, adapter in ((runtime, fitted.adapter), (other, moved)):
        bank = AdapterBank(base.latents)
        bank.add("one", adapter)
        bases.append(LoadedBase("any", base.digest, base, bank))
    latents = [fitted.latents_NL[:6], fitted.latents_NL[:6] @ turned[1].astype(np.float32)]
    request = EditRequest(adapter="avatars", set={"hair_color": "blue"})
    rows: list[int] = []
    batcher = Batcher(queue_max=100, observe_rows=rows.append)
    loop = asyncio.get_running_loop()
    works = [
        Work(bases[index % 2], None, latents[index % 2][index // 2], (("one", request),), loop.time() + 1e6)
        for index in range(12)
    ]
    waiting = [asyncio.create_task(batcher.do(replace(work, deadline=1e12))) for work in works]
    await asyncio.sleep(0)  # each task runs up to its wait
    assert batcher.waiting_rows == 12
    batcher.start()
    done = await asyncio.gather(*waiting)
    batcher.close()
    assert rows == [6, 6]
    for old, new in zip(done[::2], done[1::2], strict=True):
        assert np.abs(old.drawn[0].after_HWC - new.drawn[0].after_HWC).max() < 0.01
