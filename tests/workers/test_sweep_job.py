"""Sweeps through the dispatcher on real stores and real Ray: whatever dies, each training is run to its end once."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from heddle_infra.database import jobs
from heddle_infra.reconcile.owner import Seen
from heddle_infra.reconcile.shared import hold_shared
from heddle_platform import keys
from heddle_platform.base.config import read_recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.sweeps.plan import SweepPlan
from heddle_platform.base.sweeps.verdict import SweepResult
from heddle_platform.base.train import run_training
from heddle_platform.digest import sha256_hex
from heddle_platform.records import Job
from heddle_workers.sweep_task import sweep_room

from .polling import until, until_told
from .ray_head import RayHead
from .test_base_sweep import PLAN, RECIPE
from .test_pretrain import ended
from .world import World, running

pytestmark = pytest.mark.timeout(900)  # a driver joins Ray, Tune starts, trainings import torch
FIRST, SECOND = "trials/000-seed-0", "trials/001-seed-0"


async def queue_sweep(world: World, **changes: Any) -> Job:
    spec = {"plan": {**PLAN, **changes}}
    async with world.database.platform_transaction() as session:
        return await jobs.create(session, None, job_type="sweep", spec=spec, dataset_id=None)


async def told(world: World, job: Job, attempt: int) -> list[dict[str, Any]]:
    """Return what was told of the sweep in one attempt."""
    async with world.database.platform_transaction() as session:
        events = await jobs.events(session, job.id, after=0, limit=1000)
    at, found = 0, []
    for event in events:
        at = event.data["attempt"] if event.type == "started" else at
        if event.type == "sweeping" and at == attempt:
            found.append(event.data)
    return found


async def kept(world: World, job: Job) -> dict[str, str]:
    """Return path -> key of what another attempt would go on from."""

    def read() -> dict[str, str]:
        found = [info.key for info in world.objects.list(keys.sweep_prefix(job.id)) if info.key.endswith(".json")]
        index: dict[str, str] = json.loads(world.objects.get(found[-1])) if found else {}
        return index

    return await asyncio.to_thread(read)


async def nothing_kept(world: World, job: Job) -> bool:
    return not await asyncio.to_thread(lambda: list(world.objects.list(keys.sweep_prefix(job.id))))


async def found(world: World, job: Job) -> SweepResult:
    """Return what a job found, as it is stored."""
    assert job.result is not None
    assert job.result["report"]["url"] == f"/v1/jobs/{job.id}/report"
    stored = {}
    for kind, digest in job.result["report"]["sha256"].items():
        stored[kind] = await asyncio.to_thread(world.objects.get, keys.sweep_report(job.id, digest, kind))
        assert sha256_hex(stored[kind]) == digest
    assert stored["html"].startswith(b"<!doctype html>")
    return SweepResult.model_validate_json(stored["json"])


async def nothing_is_orphaned(world: World) -> None:
    seen = Seen()
    await hold_shared(world.database, world.objects, seen, before=datetime.now(UTC) + timedelta(hours=1), repair=True)
    assert [each for each in seen.findings if "sweep" in each.subject] == []


async def test_killed_half_way_it_goes_on_and_ends_with_the_same_trainings(
    world: World, head: RayHead, tmp_path: Path
) -> None:
    job = await queue_sweep(world, steps=600, concurrent=1)

    async def second_is_under_way() -> bool:
        return f"{SECOND}/checkpoint.pt" in await kept(world, job)

    async with running(world.dispatcher()):
        process = await head.until_running("heddle_sweep")
        await until_told(second_is_under_way, seconds=600)
        [driver] = process.children()
        process.kill()
        await until(lambda: not driver.is_running() or driver.status() == psutil.STATUS_ZOMBIE)
        files = await kept(world, job)
        assert {f"{FIRST}/outcome.json", "settings.jsonl", "plan.json"} < set(files)
        assert f"{FIRST}/checkpoint.pt" not in files, "nobody needs it any more"
        await nothing_is_orphaned(world)
        done = await ended(world, job)
    assert (done.status, done.error, done.attempt) == ("succeeded", None, 2)
    assert done.result is not None
    assert done.result["trainings"] == {"finished": 2, "stopped": 0, "failed": 0}
    assert (await told(world, job, 2))[0]["trainings"] == 1, "the first is not run again"
    result = await found(world, done)
    assert result.complete
    assert [setting.setting["terms.kl.schedule.weight"] for setting in result.settings] == ["1", "4"]
    assert result.best is not None
    assert done.result["chosen"] == result.best.setting
    assert done.result["criterion"]["value"] == result.best.criterion
    assert done.result["why"] == read_recipe(done.result["recipe"]).chosen == result.why

    swept = SweepPlan.model_validate({**PLAN, "steps": 600})
    for setting in result.settings:
        recipe = swept.trained_recipe(setting.setting, 0)
        folder = tmp_path / str(setting.number)
        await asyncio.to_thread(run_training, recipe, build_corpus(recipe.corpus), folder, resume=False)
        alone = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        assert setting.trials[0].measurement is not None
        assert setting.trials[0].measurement.kl_per_latent == tuple(alone["kl_per_latent"]), "as if never killed"
    assert await until_told(lambda: nothing_kept(world, job))
    await nothing_is_orphaned(world)
    await found(world, done)


async def test_cancelled_it_stops_with_its_trainings_and_leaves_nothing(world: World, head: RayHead) -> None:
    job = await queue_sweep(world, steps=1_000_000, concurrent=2)

    async def under_way() -> bool:
        return f"{FIRST}/checkpoint.pt" in await kept(world, job)

    async with running(world.dispatcher()):
        process = await head.until_running("heddle_sweep")
        await until_told(under_way, seconds=600)
        [driver] = process.children()
        room = Path(next(each for each in driver.cmdline() if each.startswith("--plan=")).partition("=")[2]).parent
        assert room.exists()
        trainings = head.tasks("run_trial") or head.tasks("ImplicitFunc")
        assert trainings
        async with world.database.platform_transaction() as session:
            await jobs.cancel(session, None, job.id)
        done = await ended(world, job)
        await until(lambda: not head.tasks("heddle_sweep"))
        await until(lambda: not driver.is_running() or driver.status() == psutil.STATUS_ZOMBIE)
        await until(lambda: not any(training.is_running() for training in trainings))
        assert await until_told(lambda: nothing_kept(world, job))
    assert (done.status, done.result) == ("cancelled", None)
    if room.exists():  # a busy machine's task did not heed in time and was ended by force: the next one tidies up
        os.utime(room / "held", (0, 0))
        with sweep_room():
            pass
    assert not room.exists()


async def test_what_no_setting_survives_fails_and_the_report_says_why(world: World) -> None:
    pins = {"kind": "pin", "pins": [{"factor": "nothing", "latents": [0]}]}
    job = await queue_sweep(world, recipe={**RECIPE, "terms": [*RECIPE["terms"], pins]})
    async with running(world.dispatcher()):
        done = await ended(world, job)
    assert done.error is not None
    assert (done.status, done.error.code, done.attempt) == ("failed", "no_setting_chosen", 1)
    result = await found(world, done)
    assert [trial.status for setting in result.settings for trial in setting.trials] == ["failed", "failed"]
    assert "nothing" in result.settings[0].trials[0].why


async def test_a_plan_that_only_torch_can_refuse_fails_at_once_and_names_the_field(world: World) -> None:
    job = await queue_sweep(world, recipe={**RECIPE, "terms": [{"kind": "bernoulli"}, {"kind": "kl"}]})
    async with running(world.dispatcher()):
        done = await ended(world, job)
    assert done.error is not None
    assert (done.status, done.error.code, done.attempt) == ("failed", "invalid_recipe", 1)
    assert "give the network `output: sigmoid`" in done.error.message
