import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from heddle_adapters.solve import (
    encode_jointly,
    pooled_covariance,
    shrink_residual,
    shrunk_covariance,
    solve_symmetric,
)

RANDOM = np.random.default_rng(3)
DESIGN_NP = RANDOM.normal(size=(200, 4))
LATENTS_NL = DESIGN_NP @ RANDOM.normal(size=(4, 6)) + RANDOM.normal(size=(200, 6))


def test_without_ridge_it_is_least_squares_with_intercept() -> None:
    encoding = encode_jointly(LATENTS_NL, DESIGN_NP, np.zeros((4, 4)), None)
    with_one = np.hstack([DESIGN_NP, np.ones((200, 1))])
    expected = np.linalg.lstsq(with_one, LATENTS_NL, rcond=None)[0][:4]
    assert encoding.effects_PL == pytest.approx(expected, abs=1e-10)


def test_ridge_shrinks_the_mean_of_one_level_by_its_pseudo_counts() -> None:
    design_NP = np.array([[0.5]] * 6 + [[-0.5]] * 6)
    latents_NL = np.array([[1.0]] * 6 + [[-1.0]] * 6)
    encoding = encode_jointly(latents_NL, design_NP, np.array([[1.5]]), None)
    # 6 images a level against 3 imagined ones at nothing: two thirds of the offset stay
    assert encoding.effects_PL[0, 0] * 0.5 == pytest.approx(6 / (6 + 3))


def test_joint_effects_do_not_take_over_a_correlated_label() -> None:
    one = RANDOM.integers(2, size=4000) - 0.5
    other = np.where(RANDOM.random(4000) < 0.9, one, -one)
    latents_NL = np.outer(one, [1.0, 0.0]) + np.outer(other, [0.0, 1.0]) + 0.1 * RANDOM.normal(size=(4000, 2))
    effects = encode_jointly(latents_NL, np.stack([one, other], axis=1), np.zeros((2, 2)), None).effects_PL
    difference = latents_NL[one > 0].mean(axis=0) - latents_NL[one < 0].mean(axis=0)
    assert effects == pytest.approx(np.eye(2), abs=0.03)
    assert difference[1] > 0.7  # what a plain difference of means would have edited along with it


def test_covariance_is_exact_where_there_is_nothing_to_shrink() -> None:
    rows = np.vstack([np.eye(3), -np.eye(3)])
    assert shrunk_covariance(rows) == pytest.approx(np.eye(3) / 3)


def test_pool_is_centred_on_itself() -> None:
    labelled = LATENTS_NL - LATENTS_NL.mean(axis=0)
    assert pooled_covariance(labelled, labelled + 100.0) == pytest.approx(
        pooled_covariance(labelled, labelled), abs=1e-9
    )


def test_solve_survives_exact_dependence() -> None:
    matrix = np.array([[1.0, 1.0], [1.0, 1.0]])
    found = solve_symmetric(matrix, np.array([[1.0], [1.0]]))
    assert matrix @ found == pytest.approx(np.array([[1.0], [1.0]]), rel=1e-6)


def test_shrinkage_is_scikit_learns() -> None:
    for rows, size in ((40, 64), (500, 6), (5, 1)):
        centred = np.random.default_rng(rows).normal(size=(rows, size)) * np.linspace(0.5, 2, size)
        expected = ledoit_wolf(centred, assume_centered=True)[0]
        assert shrunk_covariance(centred) == pytest.approx(expected, abs=1e-12)


def test_the_residual_is_pulled_by_a_quarter_of_the_gaussian_share() -> None:
    covariance = np.diag([3.0, 1.0])
    # Chen et al. 2010, eq. 17 with 10 degrees of freedom: (8/10 * 10 + 16) / (12 * (10 - 16 / 2)) = 1
    assert shrink_residual(covariance, 10.0) == pytest.approx(0.75 * covariance + 0.25 * 2.0 * np.eye(2))
    assert shrink_residual(covariance, 1e9) == pytest.approx(covariance, abs=1e-6)
    assert shrink_residual(np.eye(3), 5.0) == pytest.approx(np.eye(3))
    assert shrink_residual(covariance, 10.0, 1.0) == pytest.approx(2.0 * np.eye(2))
