import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from heddle_adapters.scores.information import (
    binned,
    checked,
    entropy,
    levels_of,
    mutual_information,
    mutual_information_knn,
)
from heddle_platform.errors import InvalidInput

RANDOM = np.random.default_rng(0)


def test_a_uniform_factor_has_the_entropy_of_its_levels() -> None:
    assert entropy(np.tile(np.arange(8), 5)) == pytest.approx(np.log(8))
    assert entropy(np.zeros(5, dtype=np.int64)) == 0.0


def test_information_of_itself_is_entropy_and_of_chance_nothing() -> None:
    levels_N = np.repeat(np.arange(4), 4)
    assert mutual_information(levels_N, levels_N) == pytest.approx(np.log(4))
    assert mutual_information(levels_N, np.tile(np.arange(4), 4)) == pytest.approx(0.0, abs=1e-12)


def test_information_equals_scikit_learns() -> None:
    one, other = RANDOM.integers(5, size=300), RANDOM.integers(7, size=300)
    assert mutual_information(one, other) == pytest.approx(mutual_info_score(one, other))


def test_bins_are_those_of_the_published_code() -> None:
    column_N = RANDOM.normal(size=1000)
    expected = np.digitize(column_N, np.histogram(column_N, 20)[1][:-1]) - 1
    assert np.array_equal(binned(column_N, 20), expected)
    assert binned(np.full(5, 3.0)).tolist() == [0] * 5


def test_nearest_neighbours_equal_scikit_learns_on_continuous_codes() -> None:
    levels_N = RANDOM.integers(4, size=500)
    code_N = RANDOM.normal(size=500) + levels_N
    theirs = mutual_info_classif(code_N[:, None], levels_N, random_state=0)[0]
    assert mutual_information_knn(code_N, levels_N) == pytest.approx(theirs, abs=0.01)
    assert mutual_information_knn(RANDOM.normal(size=500), levels_N) < 0.05


def test_equal_values_are_neighbours() -> None:
    levels_N = np.repeat(np.arange(4), 50)
    assert mutual_information_knn(levels_N.astype(float), levels_N) == pytest.approx(np.log(4), abs=0.03)


@pytest.mark.parametrize("scale", [-3.0, 1e-6, 1e6])
def test_scale_and_sign_of_codes_do_not_matter(scale: float) -> None:
    levels_N = RANDOM.integers(4, size=300)
    code_N = RANDOM.normal(size=300) + levels_N
    assert mutual_information_knn(scale * code_N, levels_N) == pytest.approx(
        mutual_information_knn(code_N, levels_N), abs=1e-6
    )


@pytest.mark.parametrize(
    ("codes", "factors", "code"),
    [
        (np.zeros((4, 2)), np.zeros((4, 1)), "constant_factor"),
        (np.zeros((4, 2)), np.arange(3.0)[:, None], "row_count_mismatch"),
        (np.full((4, 2), np.nan), np.arange(4.0)[:, None], "not_finite"),
        (np.zeros(4), np.arange(4.0)[:, None], "wrong_shape"),
        (np.zeros((4, 2)), np.array([[0.0], [1.0], [np.inf], [1.0]]), "not_finite"),
    ],
)
def test_bad_input_is_an_error_and_not_a_number(codes: np.ndarray, factors: np.ndarray, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        checked(codes, factors)
    assert error.value.code == code


def test_numbers_are_not_taken_for_categories() -> None:
    with pytest.raises(InvalidInput) as error:
        levels_of(np.arange(50.0)[:, None])
    assert error.value.code == "unique_labels"
    with pytest.raises(InvalidInput) as error:
        levels_of(np.repeat(np.arange(30.0), 2)[:51, None])
    assert error.value.code == "too_few_rows"
