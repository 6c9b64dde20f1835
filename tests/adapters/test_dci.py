import numpy as np
import pytest

from heddle_adapters.scores import dci
from heddle_adapters.scores.dci import summarise
from heddle_platform.errors import InvalidInput

RANDOM = np.random.default_rng(0)
FACTORS_NF = np.stack(np.unravel_index(RANDOM.integers(60, size=1_000), (3, 4, 5)), axis=1).astype(float)


def test_a_diagonal_importance_matrix_is_perfect() -> None:
    assert summarise(np.eye(4), np.ones(4)) == (1.0, 1.0)


def test_an_even_importance_matrix_is_worthless() -> None:
    disentanglement, completeness = summarise(np.full((4, 4), 0.25), np.ones(4))
    assert disentanglement == pytest.approx(0.0, abs=1e-12)
    assert completeness == pytest.approx(0.0, abs=1e-12)


def test_a_half_shared_code_by_hand() -> None:
    # code 0 serves both factors alike, code 1 only the second
    importance = np.array([[1.0, 0.5], [0.0, 0.5]])
    disentanglement, completeness = summarise(importance, np.ones(2))
    row = -(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))
    assert disentanglement == pytest.approx(((1 - row) * 1.5 + 1.0 * 0.5) / 2)
    assert completeness == pytest.approx((1.0 + 0.0) / 2)


def test_what_cannot_be_predicted_does_not_count() -> None:
    importance = np.array([[1.0, 0.5], [0.0, 0.5]])
    assert summarise(importance, np.array([1.0, 0.0])) == (1.0, 1.0)
    assert summarise(importance, np.zeros(2)) == (0.0, 0.0)


def test_own_codes_are_perfect_and_a_rotation_is_not() -> None:
    own = dci(FACTORS_NF + 0.01 * RANDOM.normal(size=FACTORS_NF.shape), FACTORS_NF)
    assert own.value > 0.98
    assert own.completeness > 0.98
    assert own.informativeness > 0.99
    rotation = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
    rotated = dci((FACTORS_NF - FACTORS_NF.mean(axis=0)) @ rotation, FACTORS_NF)
    assert rotated.value < 0.6
    assert rotated.informativeness > 0.8


def test_pure_noise_scores_nothing() -> None:
    result = dci(RANDOM.normal(size=(1_000, 6)), FACTORS_NF)
    assert result.value == 0.0
    assert result.informativeness == 0.0


def test_ordered_and_periodic_factors_are_regressed() -> None:
    number_N1 = RANDOM.uniform(0, 360, size=(800, 1))
    angle_NL = np.hstack([np.cos(np.radians(number_N1)), np.sin(np.radians(number_N1))])
    assert dci(number_N1, number_N1, kinds=["continuous"]).informativeness > 0.98
    assert dci(angle_NL, number_N1, kinds=["periodic"]).informativeness > 0.98


def test_the_same_input_gives_the_same_value_and_scale_does_not_matter() -> None:
    codes_NL = FACTORS_NF + 0.3 * RANDOM.normal(size=FACTORS_NF.shape)
    assert dci(codes_NL, FACTORS_NF).value == dci(codes_NL, FACTORS_NF).value
    assert dci(1000 * codes_NL, FACTORS_NF).value == pytest.approx(dci(codes_NL, FACTORS_NF).value, abs=0.02)


def test_bad_input_is_an_error() -> None:
    for factors, code in ((np.zeros((1_000, 1)), "constant_factor"), (FACTORS_NF[:5], "row_count_mismatch")):
        with pytest.raises(InvalidInput) as error:
            dci(FACTORS_NF, factors)
        assert error.value.code == code
    with pytest.raises(InvalidInput) as error:
        dci(FACTORS_NF[:6], FACTORS_NF[:6])
    assert error.value.code in ("too_few_rows", "constant_factor")
