"""Warnings of a training: each speaks when it should, with its numbers, and advises what the recipe can change."""

import numpy as np
import pytest

from heddle_platform.base.alarms import Alarm, find_alarms
from heddle_platform.base.config import Recipe
from heddle_platform.base.sharpness import edge_share

CORPUS = {"images": {"dsprites": 10}}


def recipe(beta: float = 1.0, sigma: float | str = 0.1) -> Recipe:
    terms = [{"kind": "reconstruction", "sigma": sigma}, {"kind": "kl", "schedule": {"weight": beta}}]
    return Recipe.model_validate({"name": "alarmed", "corpus": CORPUS, "steps": 1, "terms": terms})


def alarms(recipe: Recipe, *, kl: float = 3.0, active: int = 8, most: int = 8, edges: float = 0.9) -> dict[str, Alarm]:
    found = find_alarms(
        recipe, edges={"dsprites": edges}, kl_per_latent=[kl / 8] * 8, active_units=active, most_active=most
    )
    return {alarm.name: alarm for alarm in found}


def test_a_healthy_training_is_left_in_peace() -> None:
    assert alarms(recipe()) == {}


def test_collapse_under_a_large_beta_names_beta() -> None:
    alarm = alarms(recipe(beta=12), kl=0.1, active=0)["posterior_collapse"]
    assert "0.10 nats" in alarm.finding
    assert "0 of 8" in alarm.finding
    assert "schedule.weight, is 12" in alarm.advice


def test_collapse_under_a_small_beta_names_the_decoder() -> None:
    alarm = alarms(recipe(), active=4)["posterior_collapse"]
    assert "fell from 8 to 4" in alarm.finding
    assert "decoder weaker" in alarm.advice


@pytest.mark.parametrize(("sigma", "advice"), [(0.3, "sigma is 0.3"), ("fitted", "train longer")])
def test_blur_is_told_with_the_worst_part(sigma: float | str, advice: str) -> None:
    alarm = alarms(recipe(sigma=sigma), edges=0.2)["blurry"]
    assert "dsprites have 20%" in alarm.finding
    assert advice in alarm.advice


def test_edge_share_of_known_pictures() -> None:
    stripes = np.zeros((2, 8, 8, 3))
    stripes[:, :, ::2] = 1
    assert edge_share(stripes, stripes) == 1
    assert edge_share(stripes / 2, stripes) == pytest.approx(0.25), "half the contrast, a quarter of the energy"
    assert edge_share(np.full_like(stripes, 0.5), stripes) == 0
    assert edge_share(stripes * 0, stripes * 0) == 1, "nothing to lose"
