"""A sweep's run: what is handed out in which order, and a real one that is killed and goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from heddle_platform.base.config import load_recipe
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.sweeps.folder import BEST, REPORT, Outcome, SweepFolder
from heddle_platform.base.sweeps.plan import SweepPlan, read_plan
from heddle_platform.base.sweeps.verdict import SweepResult
from heddle_platform.base.train import CHECKPOINT, run_training
from heddle_workers.base_sweep.desk import Desk
from heddle_workers.base_sweep.trial import Job, loss_of, worth_of
from tests.platform.test_base_sweeps import measured

LATENTS, RATE = "network.latents", "optimiser.learning_rate"
RECIPE: dict[str, Any] = {
    "name": "tiny",
    "corpus": {"images": {"dsprites-exact": 60}, "held_out": 120, "processes": 1},
    "network": {
        "latents": 4, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "optimiser": {"batch": 4, "warmup_steps": 5},
    "checkpoint_seconds": 0.2,
    "steps": 1,
}  # fmt: skip
PLAN: dict[str, Any] = {
    "name": "tiny",
    "recipe": RECIPE,
    "space": {"terms.kl.schedule.weight": [1, 4]},
    "seeds": [0],
    "steps": 90,
    "criterion": {"score": "mig", "labels": 100},
}


def plan(**changes: Any) -> SweepPlan:
    return read_plan({**PLAN, **changes}, "sweep.yaml", Path("."))


def end(desk: Desk, job: Job | None, mig: float, status: Any = "finished") -> None:
    assert job is not None
    desk.ended(job, Outcome(status=status, step=90, measurement=measured(mig)))


def test_seeds_of_a_setting_that_cannot_be_chosen_any_more_are_not_run(tmp_path: Path) -> None:
    desk = Desk(SweepFolder(tmp_path, plan(seeds=[0, 1, 2])))
    end(desk, desk.next_job(), 0.1, "stopped")
    end(desk, desk.next_job(), 0.1, "stopped")
    job = desk.next_job()
    assert job is not None
    assert (job.number, job.seed) == (1, 0)


def test_the_desk_goes_on_where_another_was_killed(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path, plan(seeds=[0, 1]))
    killed = Desk(folder)
    end(killed, killed.next_job(), 0.1)
    killed.next_job()
    end(killed, killed.next_job(), 0.2, "failed")
    desk = Desk(folder)
    jobs = iter(desk.next_job, None)
    assert [(job.number, job.seed) for job in jobs] == [(0, 1), (1, 0), (1, 1)], "a failed one is tried again"
    assert not desk.complete, "the last three have not ended"


def test_once_all_have_ended_it_is_complete_whether_or_not_more_was_asked_for(tmp_path: Path) -> None:
    desk = Desk(SweepFolder(tmp_path, plan()))
    for mig in (0.1, 0.2):
        assert not desk.complete
        end(desk, desk.next_job(), mig)
    assert desk.complete, "two settings, one seed: nobody asked for a third"


def test_suggestions_learn_from_what_was_told_and_never_come_twice(tmp_path: Path) -> None:
    space = {LATENTS: {"integer": [2, 5]}, RATE: {"loguniform": [1e-4, 1e-2]}, "optimiser.batch": [4, 8]}
    searched = plan(space=space, trials=20)
    folder = SweepFolder(tmp_path, searched)
    desk = Desk(folder)
    for _ in range(12):  # the more latents, the better
        job = desk.next_job()
        assert job is not None
        end(desk, job, float(job.setting[LATENTS]) / 10)
    desk = Desk(folder)
    later = []
    while (job := desk.next_job()) is not None:
        later.append(job.setting)
        end(desk, job, float(job.setting[LATENTS]) / 10)
    assert len(later) == 8
    assert desk.complete
    assert sum(int(setting[LATENTS]) == 5 for setting in later) >= 4, "by chance 2 of 8"
    assert all(1e-4 <= float(setting[RATE]) <= 1e-2 for setting in later)
    few = Desk(SweepFolder(tmp_path / "few", plan(space={LATENTS: {"integer": [2, 3]}}, trials=9)))
    found = [job.setting[LATENTS] for job in iter(few.next_job, None)]
    assert sorted(found) == [2, 3], "there are no more"


def test_what_early_stopping_goes_by() -> None:
    by = {by: plan(stop={"grace": 30, "reduction": 3, "by": by}) for by in ("criterion", "loss")}
    at = {step: measured(0.2, kl=8.0).model_copy(update={"step": step}) for step in (30, 31)}
    assert worth_of(by["criterion"], at[30]) == 0.2
    assert worth_of(by["loss"], at[30]) == loss_of(at[30]) == pytest.approx(13.0), "5 nats of likelihood, 8 of KL"
    assert worth_of(by["loss"], at[31]) is None
    assert worth_of(plan(), at[30]) is None


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "heddle_api.cli.main", "base", "sweep", str(folder / "sweep.yaml")]
    return subprocess.Popen(
        [*command, "--out", str(folder / "out"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_a_sweep_that_is_killed_goes_on_and_runs_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**PLAN, "steps": 600, "concurrent": 1}))
    first, second = (tmp_path / "out" / "trials" / f"00{number}-seed-0" for number in (0, 1))
    killed = start(tmp_path)
    until(second / CHECKPOINT, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    ended = (first / "outcome.json").stat().st_mtime_ns
    assert not (second / "outcome.json").exists()
    kept = (second / CHECKPOINT).stat().st_mtime_ns

    process = start(tmp_path)
    out, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    assert (first / "outcome.json").stat().st_mtime_ns == ended, "what has ended is not run again"
    assert ended < kept
    result = SweepResult.model_validate_json(out)
    assert result.complete
    assert [setting.setting["terms.kl.schedule.weight"] for setting in result.settings] == ["1", "4"]
    [trial] = result.settings[1].trials
    assert trial.measurement is not None
    swept = plan(steps=600)
    learner, _ = run_training(
        recipe := swept.trained_recipe(result.settings[1].setting, 0),
        build_corpus(recipe.corpus),
        tmp_path / "alone",
        resume=False,
    )
    assert learner is not None
    alone = json.loads((tmp_path / "alone" / "metrics.jsonl").read_text().splitlines()[-1])
    assert trial.measurement.kl_per_latent == tuple(alone["kl_per_latent"]), "as if it had never been killed"
    best = load_recipe(tmp_path / "out" / BEST)
    assert best.chosen == result.why
    assert "MIG" in (tmp_path / "out" / REPORT).read_text()
