import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from heddle_adapters.refine import RIDGE, descend

RANDOM = np.random.default_rng(5)
LATENTS_NL = RANDOM.normal(size=(600, 5))
LOGITS_NK = LATENTS_NL @ RANDOM.normal(size=(5, 3)) + RANDOM.gumbel(size=(600, 3))
LEVELS_N = LOGITS_NK.argmax(axis=1)
TARGETS_NC = np.eye(3, dtype=np.float32)[LEVELS_N]


def test_step_nought_is_the_closed_form_itself() -> None:
    direction_LC, offset_C = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=3)
    kept = descend(LATENTS_NL, TARGETS_NC, None, [0], direction_LC, offset_C, path=(0, 1))
    assert kept[0][0] is direction_LC
    assert kept[0][1] == pytest.approx(offset_C)


def test_it_ends_at_the_ridge_logistic_regression() -> None:
    kept = descend(LATENTS_NL, TARGETS_NC, None, [0], np.zeros((5, 3)), np.zeros(3), path=(0, 2000))
    model = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=5000).fit(LATENTS_NL, LEVELS_N)
    direction_LC = kept[2000][0] - kept[2000][0].mean(axis=1, keepdims=True)
    assert direction_LC == pytest.approx(model.coef_.T, abs=2e-3)


def test_factors_side_by_side_equal_factors_alone() -> None:
    other_N = (LATENTS_NL[:, 0] > 0).astype(int)
    both = np.hstack([TARGETS_NC, np.eye(2, dtype=np.float32)[other_N]])
    together = descend(LATENTS_NL, both, None, [0, 3], np.zeros((5, 5)), np.zeros(5), path=(0, 30))[30]
    alone = descend(LATENTS_NL, TARGETS_NC, None, [0], np.zeros((5, 3)), np.zeros(3), path=(0, 30))[30]
    assert together[0][:, :3] == pytest.approx(alone[0], abs=1e-4)
    assert together[1][:3] == pytest.approx(alone[1], abs=1e-4)


def test_rows_without_a_label_teach_nothing() -> None:
    known_N = np.arange(600) < 300
    known_NC = np.repeat(known_N[:, None], 3, axis=1)
    garbage = np.where(known_N[:, None], TARGETS_NC, 1.0).astype(np.float32)
    empty = np.where(known_N[:, None], TARGETS_NC, 0.0).astype(np.float32)
    one = descend(LATENTS_NL, garbage, known_NC, [0], np.zeros((5, 3)), np.zeros(3), path=(0, 20))[20]
    other = descend(LATENTS_NL, empty, known_NC, [0], np.zeros((5, 3)), np.zeros(3), path=(0, 20))[20]
    assert np.array_equal(one[0], other[0])


def test_loss_falls_along_the_path() -> None:
    kept = descend(LATENTS_NL, TARGETS_NC, None, [0], np.zeros((5, 3)), np.zeros(3))
    losses = []
    for step in sorted(kept):
        scores_NK = LATENTS_NL @ kept[step][0] + kept[step][1]
        losses.append((np.log(np.exp(scores_NK).sum(axis=1)) - scores_NK[np.arange(600), LEVELS_N]).mean())
    assert losses[0] > losses[1] > losses[2]
    assert losses[-1] == pytest.approx(min(losses), abs=1e-3)  # the path has settled
