"""Pretraining through the dispatcher on real stores and real Ray: it ends with the same base whatever dies."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from heddle_infra.database import bases, jobs
from heddle_platform import keys
from heddle_platform.base.bundle import CARD_FILES, WEIGHTS, load_bundle, parse_bundle
from heddle_platform.base.config import Recipe
from heddle_platform.base.train import train
from heddle_platform.digest import sha256_hex
from heddle_platform.records import Job

from .polling import until, until_told
from .ray_head import RayHead
from .world import World, running

pytestmark = pytest.mark.timeout(900)  # a worker imports torch, Ray Train starts a group: slow on a busy machine

TINY: dict[str, Any] = {
    "name": "tiny",
    "corpus": {"images": {"dsprites": 60}, "held_out": 60, "processes": 1},
    "network": {
        "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "optimiser": {"kind": "adamw", "batch": 8, "warmup_steps": 5, "learning_rate": 0.01},
    "steps": 80,
    "checkpoint_seconds": 0.05,
}  # fmt: skip


async def queue_pretraining(world: World, *, workers: int = 1, **changes: Any) -> Job:
    spec = {"recipe": {**TINY, **changes}, "workers": workers}
    async with world.database.platform_transaction() as session:
        return await jobs.create(session, None, job_type="pretrain", spec=spec, dataset_id=None)


async def ended(world: World, job: Job) -> Job:
    async def over() -> Job | None:
        async with world.database.platform_transaction() as session:
            found = await jobs.get(session, None, job.id)
        return found if found.finished_at is not None else None

    return await until_told(over, seconds=600)


async def kept(world: World, job: Job) -> list[str]:
    prefix = keys.pretrain_prefix(job.id)
    return await asyncio.to_thread(lambda: [info.key for info in world.objects.list(prefix)])


async def events(world: World, job: Job) -> list[str]:
    async with world.database.platform_transaction() as session:
        return [event.type for event in await jobs.events(session, job.id, after=0, limit=1000)]


async def test_killed_it_goes_on_and_publishes_what_an_uninterrupted_run_gives(
    world: World, head: RayHead, tmp_path: Path
) -> None:
    job = await queue_pretraining(world, steps=600)  # over a second even where it is fast: progress is told
    async with running(world.dispatcher()):
        process = await head.until_running("heddle_pretrain")
        await until_told(lambda: kept(world, job), seconds=600)
        process.kill()
        done = await ended(world, job)
    assert (done.status, done.error, done.attempt) == ("succeeded", None, 2)
    assert done.result is not None
    assert done.result["steps"] == 600
    assert done.result["card"] == f"/v1/bases/{done.result['base']['id']}/card"
    history = await events(world, job)
    assert history[:2] == ["created", "started"]
    assert "retrying" in history
    assert {"training", "measured"} <= set(history)

    async with world.database.platform_transaction() as session:
        base = await bases.resolve(session, "tiny")
        assert await bases.aliases(session) == {}, "an alias is moved by people"
    stored = [info.key for info in world.objects.list(f"bases/tiny/{base.digest}/")]
    names = [key.rpartition("/")[2] for key in stored]
    assert set(CARD_FILES) < set(names)
    bundle = parse_bundle(
        {name: world.objects.get(key) for name, key in zip(names, stored, strict=True) if name not in CARD_FILES}
    )
    assert bundle.digest == base.digest == done.result["base"]["digest"]
    whole = load_bundle(await asyncio.to_thread(train, Recipe.model_validate({**TINY, "steps": 600}), tmp_path))
    assert sha256_hex(bundle.files[WEIGHTS]) == whole.manifest.files[WEIGHTS], "to the bit"
    assert await until_told(lambda: nothing_kept(world, job))


async def nothing_kept(world: World, job: Job) -> bool:
    return not await kept(world, job)


async def test_two_workers_end_where_one_does(world: World, tmp_path: Path) -> None:
    job = await queue_pretraining(world, workers=2, steps=20)
    async with running(world.dispatcher()):
        done = await ended(world, job)
    assert (done.status, done.error) == ("succeeded", None)
    assert done.result is not None
    assert done.result["steps"] == 20
    alone = load_bundle(
        await asyncio.to_thread(train, Recipe.model_validate({**TINY, "steps": 20}), tmp_path)
    ).manifest.metrics
    # equal batches and noise: what differs is the order of sums
    assert done.result["mse"]["dsprites"] == pytest.approx(alone.mse["dsprites"], rel=0.02)
    assert done.result["active_units"] == alone.active_units


async def test_cancelled_it_stops_and_leaves_nothing(world: World, head: RayHead) -> None:
    job = await queue_pretraining(world, steps=1_000_000)
    async with running(world.dispatcher()):
        await head.until_running("heddle_pretrain")
        await until_told(lambda: kept(world, job), seconds=600)
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, None, job.id)
        done = await ended(world, job)
        await until(lambda: not head.tasks("heddle_pretrain"))
        assert await until_told(lambda: nothing_kept(world, job))
    assert done.status == "cancelled"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": None}, "exactly one of steps and minutes"),
        ({"network": {"latents": 0}}, "network.patch.latents: Input should be greater"),
    ],
)
async def test_a_recipe_that_is_none_fails_at_once_and_names_the_field(
    world: World, change: dict[str, Any], words: str
) -> None:
    job = await queue_pretraining(world, **change)
    async with running(world.dispatcher()):
        done = await ended(world, job)
    assert (done.status, done.attempt) == ("failed", 1)
    assert done.error is not None
    assert done.error.code == "invalid_recipe"
    assert words in done.error.message
