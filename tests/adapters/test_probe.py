import numpy as np
import pytest

from heddle_adapters.scores import probe
from heddle_adapters.scores.probe import judged_numbers, r_squared, r_squared_on_circle
from heddle_platform.errors import InvalidInput

RANDOM = np.random.default_rng(0)


def test_separable_levels_and_exact_numbers_are_read() -> None:
    level_N = RANDOM.integers(3, size=300).astype(float)
    number_N = RANDOM.uniform(size=300)
    codes_NL = np.stack([level_N == 0, level_N == 1, number_N], axis=1).astype(float)
    result = probe(codes_NL, np.stack([level_N, number_N], axis=1), ["categorical", "continuous"])
    assert result.per_factor == pytest.approx([1.0, 1.0], abs=1e-3)
    assert result.intervals[0].low > 0.98


def test_noise_reads_at_chance() -> None:
    result = probe(RANDOM.normal(size=(600, 4)), RANDOM.integers(2, size=(600, 1)))
    assert result.intervals[0].low < 0.5 < result.intervals[0].high


def test_r_squared_by_hand() -> None:
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    assert r_squared(truth, truth) == 1.0
    assert r_squared(np.full(4, 1.5), truth) == 0.0
    assert r_squared_on_circle(np.array([350.0, 10.0, 180.0]), np.array([-10.0, 370.0, 180.0]), 360.0) == pytest.approx(
        1
    )


def test_few_numbers_have_the_widest_interval() -> None:
    value, interval = judged_numbers(np.arange(5.0), np.arange(5.0))
    assert value == 1.0
    assert interval.as_pair() == (-1.0, 1.0)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        probe(np.zeros((4, 2)), np.array([[0.0], [1.0], [0.0], [1.0]]))
    assert error.value.code == "too_few_rows"
