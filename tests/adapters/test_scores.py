"""Each score against exact answers."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from heddle_adapters.scores import (
    active_units,
    beta_vae,
    dci,
    factor_vae,
    infomec,
    irs,
    lps,
    modularity_explicitness,
    sap,
    total_correlation,
)
from heddle_adapters.scores.svm import fit_svm, predict_svm
from heddle_platform.errors import InvalidInput

RANDOM = np.random.default_rng(0)
FACTORS = np.stack(np.unravel_index(RANDOM.permutation(np.arange(1_200) % 60), (3, 4, 5)), axis=1).astype(float)
OWN = FACTORS + 0.01 * RANDOM.normal(size=FACTORS.shape)


@pytest.mark.parametrize("levels", [2, 3, 12])
def test_support_vectors_are_liblinears(levels: int) -> None:
    level_N = RANDOM.integers(levels, size=900)
    code_N = (level_N + RANDOM.normal(size=900)) / levels
    theirs = LinearSVC(C=0.01, class_weight="balanced", tol=1e-10, max_iter=100_000).fit(code_N[:, None], level_N)
    slope_K, intercept_K = fit_svm(code_N, level_N, 0.01)
    if levels == 2:
        slope_K, intercept_K = slope_K[1:], intercept_K[1:]
    assert slope_K == pytest.approx(theirs.coef_[:, 0], abs=1e-4)
    assert intercept_K == pytest.approx(theirs.intercept_, abs=1e-4)
    if levels > 2:
        assert (predict_svm(code_N, slope_K, intercept_K) == theirs.predict(code_N[:, None])).mean() > 0.995


def test_own_codes_are_perfect_by_every_score() -> None:
    assert factor_vae(OWN, FACTORS, taught=600, judged=300).value == 1.0
    assert beta_vae(OWN, FACTORS, taught=600, judged=300).value == 1.0
    assert irs(OWN, FACTORS).value > 0.95
    both = modularity_explicitness(OWN, FACTORS, rows="each")
    assert both.modularity > 0.999
    assert both.explicitness > 0.9
    shares = infomec(OWN, FACTORS)
    assert min(shares.modularity, shares.compactness, shares.explicitness) > 0.9


def test_numbers_are_predicted_by_a_line_and_angles_by_both_columns() -> None:
    number_N1 = RANDOM.uniform(0, 360, size=(600, 1))
    line = sap(np.hstack([-3 * number_N1, RANDOM.normal(size=(600, 1))]), number_N1, ["continuous"])
    assert line.score_LF[0, 0] == pytest.approx(1.0)
    turn = sap(np.hstack([np.sin(np.radians(number_N1)), RANDOM.normal(size=(600, 1))]), number_N1, ["periodic"])
    assert turn.score_LF[0, 0] > 0.99


def test_twice_the_same_code_has_no_gap() -> None:
    assert sap(np.hstack([OWN, OWN]), FACTORS).value == pytest.approx(0.0, abs=1e-12)


def test_lasso_of_own_codes_is_diagonal() -> None:
    result = dci(OWN, FACTORS, estimator="lasso")
    assert result.value > 0.95
    assert result.importance.argmax(axis=0).tolist() == [0, 1, 2]


def test_lps_is_the_cross_validated_r_squared_of_each_code() -> None:
    from sklearn.linear_model import Ridge

    codes = RANDOM.normal(size=(200, 4)) @ RANDOM.normal(size=(4, 4))
    scaled = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    fold_N = np.random.default_rng(0).permutation(200) % 5
    read_N = np.empty(200)
    for fold in range(5):
        taught = fold_N != fold
        model = Ridge(alpha=1.0).fit(scaled[taught, 1:], scaled[taught, 0])
        read_N[~taught] = model.predict(scaled[~taught, 1:])
    expected = 1 - np.square(scaled[:, 0] - read_N).sum() / np.square(scaled[:, 0]).sum()
    assert lps(codes).per_code[0] == pytest.approx(expected, abs=1e-9)
    assert lps(np.hstack([codes, codes])).value > 0.99
    assert lps(codes[:, :1]).value == 0.0


def test_boosted_trees_see_what_lines_do_not() -> None:
    one_N = np.random.default_rng(0).normal(size=1_000)  # its own: what others draw varies
    codes = np.stack([one_N, one_N**2], axis=1)
    assert lps(codes, folds=2).per_code[1] < 0.3
    assert lps(codes, estimator="boosted", folds=2).per_code[1] > 0.6


def test_total_correlation_of_two_codes_is_the_textbook_one() -> None:
    one_N, other_N = RANDOM.normal(size=(2, 500))
    codes = np.stack([one_N, one_N + other_N], axis=1)
    r = np.corrcoef(codes.T)[0, 1]
    assert total_correlation(codes).value == pytest.approx(-0.5 * np.log(1 - r * r))
    with pytest.raises(InvalidInput) as error:
        total_correlation(np.hstack([codes, codes]))
    assert error.value.code == "collinear_codes"


def test_active_units_are_counted_in_the_bases_own_unit() -> None:
    result = active_units(np.stack([RANDOM.normal(size=500), 0.01 * RANDOM.normal(size=500), np.ones(500)], axis=1))
    assert (result.value, result.active_L.tolist()) == (1.0, [True, False, False])
