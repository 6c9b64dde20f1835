"""Sweeps: combinations in order, recipes changed by dotted path, and what the committed sweep says."""

from pathlib import Path

import pytest

from heddle_platform.base import config
from heddle_platform.base.config import load_recipe, read_recipe
from heddle_platform.base.sweep_spec import SweepSpec, changed, load_sweep
from heddle_platform.errors import InvalidInput

BASE = Path(config.__file__).parent


def test_the_committed_sweep_tries_every_beta_on_its_recipe() -> None:
    sweep = load_sweep(BASE / "sweeps" / "dsprites-beta.yaml")
    recipe = load_recipe(BASE / "recipes" / "dsprites.yaml")
    settings = list(sweep.settings())
    assert len(settings) == 3 * 2 * 2
    betas = {read_recipe(changed(recipe.model_dump(mode="json"), each)).terms[1].schedule.weight for each in settings}
    assert betas == {1, 4, 12}
    assert len(sweep.seeds) == 5


def test_combinations_come_last_field_fastest() -> None:
    sweep = SweepSpec.model_validate({"name": "s", "space": {"a": [1, 2], "b": ["x", "y"]}})
    assert [tuple(each.values()) for each in sweep.settings()] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_change_leaves_the_recipe_alone_and_reaches_into_lists() -> None:
    recipe = {"terms": [{"kind": "kl", "schedule": {"weight": 1.0}}], "seed": 0}
    assert changed(recipe, {"terms.0.schedule.weight": 4, "seed": 2}) == {
        "terms": [{"kind": "kl", "schedule": {"weight": 4}}],
        "seed": 2,
    }
    assert recipe["terms"] == [{"kind": "kl", "schedule": {"weight": 1.0}}]


@pytest.mark.parametrize("path", ["terms.3.kind", "sneed", "terms.x", "seed.deeper"])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises((InvalidInput, TypeError)) as caught:
        changed({"terms": [{"kind": "kl"}], "seed": 0}, {path: 1})
    assert isinstance(caught.value, InvalidInput)
    assert path in caught.value.message


def test_a_range_needs_a_number_of_trials() -> None:
    sweep = SweepSpec.model_validate({"name": "s", "space": {"a": {"low": 1, "high": 2}}})
    with pytest.raises(InvalidInput) as caught:
        list(sweep.settings())
    assert caught.value.code == "range_needs_trials"
