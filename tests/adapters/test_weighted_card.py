"""Cards of weighted sets: what they say of readings is of the rows that count, and without weights nothing changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.artifact import pack
from heddle_adapters.brief import score_brief
from heddle_adapters.calibrate import calibration_error
from heddle_adapters.card import score_adapter
from heddle_adapters.discover import find_interactions, kept
from heddle_adapters.report import Card
from heddle_adapters.scores.jackknife import wilson
from heddle_adapters.skill import reading_skills
from tests.adapters.conftest import make_entwined, make_tenant


def perfect(latents: Any) -> Any:
    return latents


@pytest.fixture(scope="module")
def spoilt() -> tuple[Any, Any, Any]:
    """Two hundred sound rows, then a hundred whose labels are drawn by lot, which weigh next to nothing."""
    tenant = make_tenant(rows=300)
    values_NF = tenant.values_NF.copy()
    values_NF[200:] = np.random.default_rng(3).permutation(values_NF[200:])
    return tenant, values_NF, np.where(np.arange(300) < 200, 1.0, 1e-6)


def quick(score: Callable[..., Any], spoilt: tuple[Any, Any, Any], weight_N: Any) -> tuple[bytes, Card]:
    tenant, values_NF, _ = spoilt
    how: dict[str, Any] = {"base_digest": "b", "round_trip": perfect, "weight_N": weight_N}
    if score is score_adapter:
        how |= {"round_trips": 300, "forests": False, "curves": False}
    adapter, card = score(tenant.latents_NL, values_NF, tenant.factor_set, **how)
    return pack(adapter), card


@pytest.mark.parametrize("score", [score_adapter, score_brief])
def test_a_card_tells_of_the_rows_that_count(score: Callable[..., Any], spoilt: tuple[Any, Any, Any]) -> None:
    plain, unweighted = quick(score, spoilt, None)
    weighted, card = quick(score, spoilt, spoilt[2])
    assert weighted != plain
    for name in ("shape", "size", "age"):
        assert unweighted.factor(name).accuracy < 0.85
        assert card.factor(name).accuracy > 0.95
    assert card.labels == 300
    assert sum(card.factor("shape").counts.values()) == 300
    told = card.protocol["weights"]
    assert (told["rows"], told["effective_rows"]) == (100, 200.0)
    assert "accuracy" in told["weighted"]
    assert "effect" in told["unweighted"]
    assert "weights" not in unweighted.protocol
    equal, same = quick(score, spoilt, np.full(300, 0.7))
    assert (equal, same.document()) == (plain, unweighted.document())


def test_skills_of_whole_weights_are_those_of_repeated_rows_with_intervals_of_the_effective_number() -> None:
    tenant = make_tenant(rows=120)
    random = np.random.default_rng(1)
    times = random.integers(1, 5, size=120)
    copied = np.repeat(np.arange(120), times)
    read_NF = np.where(random.random((120, 5)) < 0.7, tenant.values_NF, random.permutation(tenant.values_NF))
    values_NF = np.where(random.random((120, 5)) < 0.1, np.nan, tenant.values_NF)
    found = reading_skills(tenant.factor_set, read_NF, values_NF, times.astype(float))
    repeated = reading_skills(tenant.factor_set, read_NF[copied], values_NF[copied])
    for index, (one, other) in enumerate(zip(found, repeated, strict=True)):
        assert (one.value, one.chance) == pytest.approx((other.value, other.chance))
        known_N = times[~np.isnan(values_NF[:, index])]
        rows = known_N.sum() ** 2 / np.square(known_N).sum()
        if index < 3:
            expected = wilson(one.value * rows, rows)
            assert (one.interval.low, one.interval.high) == pytest.approx((expected.low, expected.high))
        else:
            assert one.interval.low < one.value < one.interval.high


def test_calibration_errors_of_whole_weights_are_those_of_repeated_rows() -> None:
    random = np.random.default_rng(2)
    logits_NK, level_N, times = 2 * random.normal(size=(90, 3)), random.integers(3, size=90), random.integers(1, 6, 90)
    copied = np.repeat(np.arange(90), times)
    found = calibration_error(logits_NK, level_N, weight_N=times.astype(float))
    assert found == pytest.approx(calibration_error(logits_NK[copied], level_N[copied]))
    assert found != pytest.approx(calibration_error(logits_NK, level_N), rel=1e-3)


def test_interactions_are_looked_for_among_the_rows_that_count() -> None:
    entwined, additive = make_entwined(rows=300), make_tenant(rows=300, seed=5)
    latents_NL = np.vstack([entwined.latents_NL, additive.latents_NL])
    values_NF = np.vstack([entwined.values_NF, additive.values_NF])

    def pairs(*weights: float) -> list[tuple[int, int]]:
        weight_N = np.repeat(weights, 300)
        return [
            (one.factor, one.on)
            for one in kept(find_interactions(latents_NL, values_NF, entwined.factor_set, weight_N=weight_N))
        ]

    assert {frozenset(pair) for pair in pairs(1.0, 1e-6)} == {frozenset({0, 1})}
    assert pairs(1e-6, 1.0) == []
