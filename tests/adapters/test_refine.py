import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from heddle_adapters.refine import RIDGE, descend

RANDOM = np.random.default_rng(5)
LATENTS_NL = RANDOM.normal(size=(600, 5))
LOGITS_NK = LATENTS_NL @ RANDOM.normal(size=(5, 3)) + RANDOM.gumbel(size=(600, 3))
LEVELS_N = LOGITS_NK.argmax(axis=1)
WIDTHS = (3,)
NOWHERE = np.zeros((5, 3)), np.zeros(3)


def test_step_nought_is_the_closed_form_itself() -> None:
    direction_LC, offset_C = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=3)
    kept = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, direction_LC, offset_C, path=(0, 1))
    assert kept[0][0] is direction_LC
    assert kept[0][1] == pytest.approx(offset_C)


def test_it_ends_at_the_ridge_logistic_regression() -> None:
    kept = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, *NOWHERE, path=(0, 60))
    model = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=5000).fit(LATENTS_NL, LEVELS_N)
    direction_LC = kept[60][0] - kept[60][0].mean(axis=1, keepdims=True)
    assert direction_LC == pytest.approx(model.coef_.T, abs=2e-3)


def test_factors_side_by_side_equal_factors_alone() -> None:
    other_N = (LATENTS_NL[:, 0] > 0).astype(int)
    both_NF = np.stack([LEVELS_N, other_N], axis=1)
    together = descend(LATENTS_NL, both_NF, (3, 2), np.zeros((5, 5)), np.zeros(5), path=(0, 8))[8]
    alone = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, *NOWHERE, path=(0, 8))[8]
    assert together[0][:, :3] == pytest.approx(alone[0], abs=1e-4)
    assert together[1][:3] == pytest.approx(alone[1], abs=1e-4)


def test_rows_without_a_label_teach_nothing() -> None:
    lost_N1 = np.where(np.arange(600) < 300, LEVELS_N, -1)[:, None]
    # the rows that stay in the Gram matrix move the coordinates alone, and those not the end of the walk
    end = descend(LATENTS_NL, lost_N1, WIDTHS, *NOWHERE, path=(0, 60))[60]
    model = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=5000).fit(LATENTS_NL[:300], LEVELS_N[:300])
    assert end[0] - end[0].mean(axis=1, keepdims=True) == pytest.approx(model.coef_.T, abs=2e-3)


def test_a_start_that_is_sure_and_wrong_is_left_though_steps_overshoot_there() -> None:
    wrong_LC = np.random.default_rng(1).normal(size=(5, 3)) * 30
    kept = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, wrong_LC, np.zeros(3), path=(0, 60))
    best = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, *NOWHERE, path=(0, 60))
    assert loss_of(*kept[0]) > 10
    assert loss_of(*kept[60]) == pytest.approx(loss_of(*best[60]), abs=0.03)  # the pull is towards its own start


def test_loss_falls_along_the_path() -> None:
    kept = descend(LATENTS_NL, LEVELS_N[:, None], WIDTHS, *NOWHERE)
    losses = [loss_of(*kept[step]) for step in sorted(kept)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[-1] == pytest.approx(min(losses), abs=1e-3)  # the path has settled


def loss_of(direction_LC: np.ndarray, offset_C: np.ndarray) -> float:
    scores_NK = LATENTS_NL @ direction_LC + offset_C
    return float((logsumexp(scores_NK, axis=1) - scores_NK[np.arange(600), LEVELS_N]).mean())
