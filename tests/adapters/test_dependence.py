"""Tests of dependence against exact values: known statistics, known p, known power."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, spearmanr

from heddle_adapters.associations import associations
from heddle_adapters.chance import holm
from heddle_adapters.dependence import (
    affordable,
    block_of,
    condition_between,
    dependence,
    smallest_detectable,
)
from heddle_platform.factors import FactorSet, parse_factor_set


def pair_of(first: str, second: str) -> FactorSet:
    made: dict[str, dict[str, object]] = {
        "binary": {"kind": "binary"},
        "categorical": {"kind": "categorical", "levels": ["a", "b", "c"]},
        "continuous": {"kind": "continuous", "range": [-9, 9]},
        "periodic": {"kind": "periodic", "period": 360},
    }
    return parse_factor_set({"name": "p", "factors": [{"name": "one", **made[first]}, {"name": "two", **made[second]}]})


def correlated(rows: int, correlation: float, seed: int = 0) -> NDArray[np.float64]:
    """Two binary columns whose correlation is exactly as asked, to one row."""
    same = round(rows * (1 + correlation) / 2)
    one = np.arange(rows) % 2
    two = np.where(np.random.default_rng(seed).permutation(rows) < same, one, 1 - one)
    return np.stack([one, two], axis=1).astype(float)


def test_the_statistic_is_chi_square_and_spearman_squared() -> None:
    random = np.random.default_rng(1)
    levels = random.integers(3, size=(400, 2)).astype(float)
    levels[:100, 1] = levels[:100, 0]
    found = dependence(levels, pair_of("categorical", "categorical"), permutations=20)
    table = np.histogram2d(levels[:, 0], levels[:, 1], bins=3)[0]
    assert found.strength_FF[0, 1] == pytest.approx(chi2_contingency(table, correction=False).statistic / 400, rel=1e-4)
    numbers = random.normal(size=(300, 2))
    numbers[:, 1] += numbers[:, 0]
    found = dependence(numbers, pair_of("continuous", "continuous"), permutations=20)
    assert found.strength_FF[0, 1] == pytest.approx(spearmanr(*numbers.T).statistic ** 2, rel=1e-4)


def test_permutation_p_agrees_with_the_chi_square_test_far_into_the_tail() -> None:
    for correlation in (0.05, 0.1, 0.2, 0.3):
        values_NF = correlated(400, correlation)
        exact = chi2_contingency(np.histogram2d(values_NF[:, 0], values_NF[:, 1], bins=2)[0], correction=False).pvalue
        found = dependence(values_NF, pair_of("binary", "binary"), permutations=999).p_FF[0, 1]
        # a decade of p is half of what a decision by it would notice
        assert abs(np.log10(found) - np.log10(exact)) < 1.0 + 0.15 * abs(np.log10(exact))


def test_p_of_independent_labels_is_uniform() -> None:
    random = np.random.default_rng(5)
    factor_set = parse_factor_set(
        {
            "name": "p",
            "factors": [{"name": f"f{k}", "kind": "categorical", "levels": ["a", "b", "c"]} for k in range(16)],
        }
    )
    p_FF = dependence(random.integers(3, size=(300, 16)).astype(float), factor_set).p_FF
    p_M = p_FF[np.triu_indices(16, 1)]
    assert 0.40 < p_M.mean() < 0.60
    assert (p_M < 0.05).mean() < 0.12


def test_hundreds_of_levels_get_fewer_permutations_and_still_an_honest_p() -> None:
    assert (affordable(1_000, 40), affordable(1_000, 2_000)) == (299, 19)
    values_NF = correlated(400, 0.4)
    found = dependence(values_NF, pair_of("binary", "binary"), permutations=19)
    assert found.permutations == 19
    assert found.p_FF[0, 1] < 1e-6
    none = dependence(correlated(400, 0.0), pair_of("binary", "binary"), permutations=19)
    assert none.p_FF[0, 1] > 0.2


def test_holm_is_the_textbooks() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_smallest_detectable_correlations_are_those_of_the_notes() -> None:
    assert [round(smallest_detectable(rows), 2) for rows in (100, 300, 1_000)] == [0.28, 0.16, 0.09]
    assert smallest_detectable(3) == 1.0


def test_the_smallest_detectable_correlation_is_detected_four_times_in_five() -> None:
    rows, random = 200, np.random.default_rng(3)
    correlation = smallest_detectable(rows)
    hits = 0
    for seed in range(60):
        one = random.normal(size=rows)
        two = correlation * one + np.sqrt(1 - correlation**2) * random.normal(size=rows)
        values_NF = np.stack([one, two], axis=1).clip(-9, 9)
        found = dependence(values_NF, pair_of("continuous", "continuous"), permutations=60, seed=seed)
        hits += bool(found.p_FF[0, 1] < 0.05)
    assert 0.60 < hits / 60 < 0.95


def test_condition_between_two_binary_factors_is_exact() -> None:
    for correlation in (0.0, 0.5, 0.9):
        found = condition_between(correlated(400, correlation), pair_of("binary", "binary"))
        values_NF = correlated(400, correlation)
        real = float(np.asarray(np.corrcoef(values_NF.T))[0, 1])
        assert found == pytest.approx((1 + abs(real)) / (1 - abs(real)), rel=1e-6)
    same = np.repeat(np.arange(40) % 2, 2).reshape(-1, 2).astype(float)
    assert condition_between(same, pair_of("binary", "binary")) == 1e300


def test_angles_are_followed_by_no_rank_and_found_all_the_same() -> None:
    angle = np.random.default_rng(0).uniform(0, 360, size=400)
    number = 5 * np.cos(np.deg2rad(angle))
    [found] = associations(np.stack([number, angle], axis=1), pair_of("continuous", "periodic"))
    assert (found.measure, found.claim) == ("canonical", "associated")
    assert found.value > 0.95
    assert found.p_holm < 1e-6


def test_blocks_are_orthonormal_and_missing_labels_are_zero() -> None:
    values_N = np.array([0.0, 1.0, 2.0, np.nan, 0.0, 1.0, 2.0, 2.0])
    block = block_of(values_N, pair_of("categorical", "binary").factors[0])
    assert block.shape == (8, 2)
    np.testing.assert_allclose(block.T @ block, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(block.sum(axis=0), 0.0, atol=1e-12)
    assert not block[3].any()
    assert block_of(np.ones(5), pair_of("binary", "binary").factors[0]).shape == (5, 0)


def test_an_empty_cell_refuses_the_claim_whatever_p_says() -> None:
    values_NF = np.array([[0.0, 0.0]] * 40 + [[0.0, 1.0]] + [[1.0, 0.0]] * 2)
    [found] = associations(values_NF, pair_of("binary", "binary"))
    assert found.empty_cells == 1
    assert found.thin_cells == 2
    assert found.p_holm > 0.05
    assert found.claim == "refused"
    [known] = associations(correlated(400, 0.6), pair_of("binary", "binary"))
    assert known.claim == "associated"
    assert known.detectable == smallest_detectable(400)
    [none] = associations(correlated(400, 0.0), pair_of("binary", "binary"))
    assert none.claim == "none_found"
