import numpy as np
import pytest

from heddle_adapters.folds import fold_of_rows
from heddle_platform.errors import InvalidInput


def test_sizes_differ_by_at_most_one_and_the_cut_is_repeatable() -> None:
    values_NF = np.random.default_rng(0).integers(4, size=(103, 3)).astype(float)
    fold_N = fold_of_rows(values_NF, 5, seed=1)
    assert sorted(np.bincount(fold_N).tolist()) == [20, 20, 21, 21, 21]
    assert np.array_equal(fold_N, fold_of_rows(values_NF, 5, seed=1))
    assert not np.array_equal(fold_N, fold_of_rows(values_NF, 5, seed=2))


def test_a_rare_level_is_spread_over_the_folds() -> None:
    values_NF = np.zeros((100, 1))
    values_NF[[3, 4, 50, 51, 99]] = 1.0
    fold_N = fold_of_rows(values_NF, 5, seed=0)
    assert sorted(fold_N[values_NF[:, 0] == 1].tolist()) == [0, 1, 2, 3, 4]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="3 labelled images, at least 5") as error:
        fold_of_rows(np.zeros((3, 1)), 5, seed=0)
    assert error.value.code == "too_few_labels"
