"""The logistic regression of the scores is scikit-learn's, the unfinished ones too."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from heddle_adapters.scores.logistic import fit_logistic, ranking

RANDOM = np.random.default_rng(0)
CODES_NL = RANDOM.normal(size=(2_500, 4))
WEIGHT_N = RANDOM.integers(1, 4, size=2_500)


def levels(count: int) -> Any:
    noise_N = RANDOM.normal(size=len(CODES_NL))
    return np.digitize(CODES_NL[:, 0] + 0.5 * noise_N, np.linspace(-1.5, 1.5, count - 1)) + 3


def theirs(levels_N: Any, weight_N: Any, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(**settings).fit(CODES_NL, levels_N, sample_weight=weight_N)


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize("weight_N", [None, WEIGHT_N])
@pytest.mark.parametrize(
    ("ours", "settings"),
    [
        ({}, {}),
        ({"penalty": 20.0}, {"C": 0.05}),
        ({"penalty": 0.0, "balanced": True}, {"C": np.inf, "class_weight": "balanced"}),
        ({"steps": 4}, {"max_iter": 4}),
    ],
)
def test_weights_are_scikit_learns(count: int, weight_N: Any, ours: Any, settings: Any) -> None:
    levels_N = levels(count)
    model = theirs(levels_N, weight_N, **settings)
    reading = fit_logistic(CODES_NL, levels_N, weight_N=weight_N, **ours)
    weight_KR = np.hstack([model.coef_, model.intercept_[:, None]])
    assert reading.levels_K.tolist() == model.classes_.tolist()
    assert reading.weight_KR[-len(weight_KR) :] == pytest.approx(weight_KR, abs=1e-6)
    assert reading.shares(CODES_NL[:50]) == pytest.approx(model.predict_proba(CODES_NL[:50]), abs=1e-6)


def test_logits_beyond_what_an_exponential_holds_are_fitted_as_well() -> None:
    levels_N = levels(3)
    # quiet rows want large weights, and a few loud ones agree with them
    far_NL = CODES_NL * np.where(np.arange(len(CODES_NL)) % 50 == 0, 20.0, 0.01)[:, None]
    levels_N[::50] = np.where(far_NL[::50, 0] > 0, levels_N.max(), levels_N.min())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=np.inf, max_iter=60).fit(far_NL, levels_N)
    assert np.abs(far_NL @ model.coef_.T).max() > 1_000.0
    reading = fit_logistic(far_NL, levels_N, penalty=0.0, steps=60)
    assert reading.weight_KR[:, :-1] == pytest.approx(model.coef_, abs=1e-5 * np.abs(model.coef_).max())
    assert reading.shares(far_NL) == pytest.approx(model.predict_proba(far_NL), abs=1e-5)


def test_no_codes_and_one_level_give_shares_of_levels() -> None:
    levels_N = np.repeat([0, 5, 7], [100, 200, 200])
    assert fit_logistic(np.zeros((500, 0)), levels_N).shares(np.zeros((1, 0)))[0] == pytest.approx(
        [0.2, 0.4, 0.4], abs=1e-3
    )
    assert fit_logistic(CODES_NL, np.zeros(2_500, dtype=np.int64)).shares(CODES_NL[:2]).tolist() == [[1.0], [1.0]]


def test_ranking_is_the_area_under_the_curve_and_ties_count_half() -> None:
    truth_N = RANDOM.integers(3, size=400)
    shares_NK = np.round(RANDOM.dirichlet(np.ones(3), size=400) + 0.3 * np.eye(3)[truth_N], 1)
    areas = [roc_auc_score(truth_N == level, shares_NK[:, level]) for level in range(3)]
    assert ranking(shares_NK, np.arange(3), truth_N) == pytest.approx(np.mean(areas), abs=1e-12)
    assert ranking(shares_NK, np.arange(3), truth_N + 5) != ranking(shares_NK, np.arange(3), truth_N)
