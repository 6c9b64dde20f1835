"""Sweeps without a training: the file, what it varies, how seeds become a choice, what the report says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from heddle_platform import pixels
from heddle_platform.base.alarms import Alarm
from heddle_platform.base.corpus import build_corpus
from heddle_platform.base.evaluate import evaluate
from heddle_platform.base.objectives.kl import KlConfig
from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.base.sweeps.collapse import find_collapses
from heddle_platform.base.sweeps.folder import Outcome, SweepFolder
from heddle_platform.base.sweeps.page import report_page
from heddle_platform.base.sweeps.plan import SweepPlan, load_plan, read_plan
from heddle_platform.base.sweeps.verdict import (
    SettingResult,
    SweepResult,
    Trial,
    choose,
    median_of_seeds,
    read_trial,
    short_names,
    summarise,
)
from heddle_platform.base.train import run_training
from heddle_platform.errors import Conflict, InvalidInput

SWEEPS = Path(__file__).parents[2] / "platform/heddle_platform/base/recipes/sweeps"
BETA = "terms.kl.schedule.weight"
RECIPE: dict[str, Any] = {
    "name": "base",
    "corpus": {"images": {"dsprites-exact": 100}, "held_out": 200},
    "network": {"latents": 4},
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "minutes": 3,
}
PLAN: dict[str, Any] = {
    "name": "swept",
    "notes": "<script>alert(1)</script>",
    "recipe": RECIPE,
    "space": {BETA: [1, 4, 12]},
    "steps": 90,
    "criterion": {"score": "mig", "labels": 200},
}


def plan(**changes: Any) -> SweepPlan:
    return read_plan({**PLAN, **changes}, "sweep.yaml", Path("."))


def test_a_sweep_is_every_combination_with_the_plans_seeds_and_steps() -> None:
    read = plan(space={BETA: [1, 4], "network.latents": [4, 8]}, seeds=[7, 8])
    assert [tuple(each.values()) for each in read.combinations] == [("1", "4"), ("1", "8"), ("4", "4"), ("4", "8")]
    recipe = read.recipe_of(read.combinations[1], 8)
    assert (recipe.terms[1].schedule.weight, recipe.network.latents) == (1, 8)
    assert (recipe.seed, recipe.steps, recipe.minutes, recipe.name) == (8, 90, None, "swept")


def test_a_mapping_is_laid_over_what_the_recipe_says() -> None:
    cures = {"none": {}, "free": {"free_nats": 0.25}, "late": {"schedule": {"warmup": 0.5}}}
    read = plan(space={"terms.kl": {"options": cures}})
    terms = [read.recipe_of(setting, 0).terms[1] for setting in read.combinations]
    kls = [term for term in terms if isinstance(term, KlConfig)]
    assert [(kl.free_nats, kl.schedule.warmup) for kl in kls] == [(0, 0.1), (0.25, 0.1), (0, 0.5)]


def test_a_training_is_measured_where_it_may_be_stopped() -> None:
    read = plan(stop={"grace": 10, "reduction": 3})
    assert read.stop is not None
    assert read.stop.rungs(90) == (10, 30), "at 90 it is over"
    assert read.measured_steps == {10, 30, 22, 45, 67}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {"terms.kl.schedule.wieght": [1]}}, "has no field 'wieght'; it has weight, warmup, final, hold"),
        ({"space": {"terms.critic.width": [1]}}, "space.terms.critic.width: terms has no field 'critic'"),
        ({"space": {"terms.kl.capacity.nats": [1]}}, "terms.kl.capacity is empty in the recipe"),
        ({"space": {"network.latents": [4, 0]}}, "network.latents = 0 is not a base recipe"),
        ({"space": {"network.latents": {"integer": [-1, 9]}}, "trials": 3}, "network.latents = -1"),
        ({"space": {"seed": [1, 2]}}, "space.seed: a sweep says that itself, by its seeds"),
        ({"space": {BETA: [1, 1]}}, "a value stands in the list twice"),
        ({"space": {BETA: {"uniform": [4, 1]}}, "trials": 3}, "not from 4 to 1"),
        ({"space": {BETA: {"loguniform": [0, 1]}}, "trials": 3}, "loguniform starts above 0"),
        ({"space": {BETA: {"uniform": [1, 4]}}}, "say how many settings to try (trials)"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"criterion": {"score": "mig", "labels": 50}}, "criterion.labels"),
        ({"criterion": {"score": "mig", "labels": 500}}, "raise the recipe's corpus.held_out from 200"),
        ({"criterion": {"score": "beauty", "labels": 100}}, "criterion.score"),
        ({"stop": {"grace": 90}}, "nothing would ever be stopped"),
        ({"recipe": "nowhere.yaml"}, "nowhere.yaml cannot be read"),
        ({"speed": 3}, "speed: Extra inputs are not permitted"),
    ],
)
def test_a_fault_is_named_by_its_field(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(**changes)
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["beta", "collapse"])
def test_the_sweeps_that_are_shipped_can_be_run(name: str) -> None:
    assert load_plan(SWEEPS / f"{name}.yaml").name == name


def test_a_recipe_may_be_a_file_beside_the_sweeps(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(RECIPE))
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**PLAN, "recipe": "base.yaml"}))
    assert load_plan(tmp_path / "sweep.yaml") == plan()


@pytest.mark.parametrize(
    ("values", "lost", "goal", "median"),
    [
        ([0.1, 0.3, 0.2], 0, "highest", 0.2),
        ([0.1, 0.3], 1, "highest", 0.1),
        ([0.1, 0.3], 1, "lowest", 0.3),
        ([0.3], 2, "highest", None),
        ([0.3], 1, "highest", None),
        ([], 0, "highest", None),
    ],
)
def test_a_lost_seed_is_worse_than_any_other(values: list[float], lost: int, goal: Any, median: float | None) -> None:
    assert median_of_seeds(values, lost, goal) == (None if median is None else pytest.approx(median))


def measured(
    mig: float, kl: float = 8.0, active: int = 4, mse: float = 0.01, *, collapsed: bool = False
) -> Measurement:
    alarm = Alarm(name="posterior_collapse", finding="KL is 0.1 nats per image", advice="lower beta")
    reading = Reading(value=mig, low=mig - 0.05, high=mig + 0.05, by="n = 200")
    return Measurement(
        step=90,
        elapsed_seconds=1,
        losses={"reconstruction": 5.0},
        mse={"dsprites-exact": mse},
        edges={"dsprites-exact": 0.5},
        active_units=active,
        kl_per_latent=(kl / 4,) * 4,
        scores={"dsprites-exact": {"mig": reading}},
        warnings=(alarm,) if collapsed else (),
    )


def result(read: SweepPlan, number: int, migs: list[float | None], **figures: Any) -> SettingResult:
    trials = [
        Trial(seed=seed, status="stopped", why="slow")
        if mig is None
        else Trial(seed=seed, status="finished", step=90, criterion=mig, measurement=measured(mig, **figures))
        for seed, mig in enumerate(migs)
    ]
    return summarise(read, number, read.combinations[number], trials)


def test_the_best_median_is_chosen_and_the_sentence_says_how_sure_it_is() -> None:
    read = plan()
    settings = [
        result(read, 0, [0.10, 0.12, 0.50]),
        result(read, 1, [0.20, 0.21, 0.30]),
        result(read, 2, [0.9, None, None]),
    ]
    chosen, why = choose(read, settings)
    assert chosen == 1, "not the best seed, and not the best of which most seeds were stopped"
    assert why.startswith("beta 4 was chosen of 3 settings for the highest median MIG over 3 seeds, 0.21 (0.2 to 0.3)")
    assert "with 200 labels" in why
    assert "The next, beta 1, has 0.12 (0.1 to 0.5); with the same seed the chosen one is better in 2 of 3" in why
    assert "Their seeds overlap" in why
    assert "do not overlap" in choose(read, [result(read, 0, [0.1] * 3), settings[1]])[1]
    lowest = plan(criterion={"score": "mig", "labels": 200, "goal": "lowest"})
    assert choose(lowest, [result(lowest, 0, [0.1] * 3), result(lowest, 1, [0.2] * 3)])[0] == 0
    assert choose(read, settings[2:]) == (None, choose(read, [])[1])


def test_a_cure_is_the_healthy_setting_that_differs_least() -> None:
    read = plan(space={BETA: [1, 4], "terms.kl.free_nats": [0.0, 0.5]})
    sick = result(read, 2, [0.0] * 3, kl=0.1, active=0, collapsed=True)
    [found] = find_collapses([result(read, 0, [0.1] * 3), result(read, 1, [0.1] * 3), sick, result(read, 3, [0.1] * 3)])
    assert (found.setting.number, found.count) == (2, 3)
    assert [cure.words for cure in found.cures] == ["beta: 4 → 1", "free_nats: 0.0 → 0.5"]


def test_names_are_short_but_differ() -> None:
    fields = [BETA, "terms.mmd.schedule.weight", "terms.critic.schedule.weight", "optimiser.batch"]
    assert short_names(fields) == ["beta", "mmd.schedule.weight", "critic.schedule.weight", "batch"]


def test_the_report_is_whole_and_escapes_what_people_wrote() -> None:
    read = plan()
    settings = [
        result(read, 0, [0.10, 0.12, 0.14], kl=12, active=4, mse=0.01),
        result(read, 1, [0.20, 0.21, 0.30], kl=7, active=3, mse=0.02),
        result(read, 2, [0.0, 0.0, None], kl=0.1, active=0, mse=0.05, collapsed=True),
    ]
    chosen, why = choose(read, settings)
    told = SweepResult(
        name=read.name, notes=read.notes, made_at="2026-01-01T00:00:00+00:00", code_version="0", complete=True,
        plan={}, settings=tuple(settings), chosen=chosen, why=why,
    )  # fmt: skip
    picture = pixels.encode(np.zeros((8, 8, 3), dtype=np.uint8), "image/png")
    page = report_page(read, told, {(1, 1): picture, (0, 1): picture}).decode()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    for words in (
        why.partition(";")[0], "MSE over KL, nats per image", "MIG over beta", "Active units over beta",
        "from 4 at 1 to 0 at 12", "2 of 3 collapsed", "beta: 12 → 1", "active units 0 → 4", "stopped: slow",
        "0.160–0.260", "Traversals with beta 4", "prefers-color-scheme: dark",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("data:image/png;base64,") == 2
    assert len(page) < 300_000


def test_a_folder_goes_on_with_its_own_plan_only(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path, plan())
    with pytest.raises(Conflict):
        SweepFolder(tmp_path, plan())
    folder.add_setting({BETA: "4"})
    folder.trial(0, 1).end(Outcome(status="finished", step=90, measurement=measured(0.2)))
    folder.trial(0, 1).end(Outcome(status="failed", step=0, why="too late"))
    folder.close()
    with pytest.raises(InvalidInput, match=r"another criterion, another steps; take another folder"):
        SweepFolder(tmp_path, plan(steps=80, criterion={"score": "probe", "labels": 200}))
    more = SweepFolder(tmp_path, plan(seeds=[0, 1, 2, 3], concurrent=1))
    assert more.settings() == [{BETA: "4"}]
    assert read_trial(more, 0, 1).criterion == 0.2
    assert read_trial(more, 0, 3).status == "open"
    more.close()
    anew = SweepFolder(tmp_path, plan(steps=80), anew=True)
    assert anew.settings() == []
    assert read_trial(anew, 0, 1).status == "open"
    anew.close()


def test_more_beta_fewer_active_units(tmp_path: Path) -> None:
    shipped = load_plan(SWEEPS / "beta.yaml")
    few = {**shipped.recipe["corpus"], "images": {"dsprites-exact": 500}, "held_out": 100, "processes": 1}
    drawn, narrowed = shipped.recipe["terms"]
    at_once = [drawn, {**narrowed, "schedule": {"weight": 1.0, "warmup": 0.0}}]  # so that a hundred steps show it
    optimiser = {**shipped.recipe["optimiser"], "batch": 32}
    recipe = {**shipped.recipe, "corpus": few, "terms": at_once, "optimiser": optimiser}
    small = plan(recipe=recipe, steps=100, criterion={"score": "mig", "labels": 100})
    corpus = build_corpus(small.recipe_of(small.combinations[0], 0).corpus, cache_dir=tmp_path)
    active = []
    for setting in small.combinations:
        learner, _ = run_training(small.trained_recipe(setting, 0), corpus, tmp_path / str(setting[BETA]), resume=False)
        active.append(evaluate(learner.averaged, corpus.held_out).active_units)
    at_1, at_4, at_12 = active
    assert at_1 > at_12 == 0
    assert at_1 >= at_4 >= at_12
