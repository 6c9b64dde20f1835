import numpy as np
import pytest

from heddle_adapters.associations import associations, correlation_ratio, cramers_v
from heddle_platform.factors import parse_factor_set

RANDOM = np.random.default_rng(0)


def test_equal_labels_are_fully_associated_and_independent_ones_hardly() -> None:
    one = RANDOM.integers(4, size=2_000)
    assert cramers_v(one, one, 4, 4) == pytest.approx(1.0)
    assert cramers_v(one, RANDOM.integers(5, size=2_000), 4, 5) < 0.06
    assert cramers_v(one, np.zeros(2_000, dtype=np.int64), 4, 2) == 0.0


def test_a_number_that_follows_its_level_has_ratio_one() -> None:
    levels_N = RANDOM.integers(3, size=500)
    assert correlation_ratio(levels_N, levels_N.astype(np.float64)) == pytest.approx(1.0)
    assert correlation_ratio(levels_N, RANDOM.normal(size=500)) < 0.15
    assert correlation_ratio(levels_N, np.zeros(500)) == 0.0


def test_every_pair_is_listed_with_its_cells_strongest_first() -> None:
    factor_set = parse_factor_set(
        {
            "name": "p",
            "factors": [
                {"name": "a", "kind": "binary"},
                {"name": "b", "kind": "binary"},
                {"name": "c", "kind": "continuous", "range": [0, 1]},
                {"name": "d", "kind": "continuous", "range": [0, 1]},
            ],
        }
    )
    a = np.array([0.0, 0.0, 1.0, 1.0] * 50)
    b = np.array([0.0, 0.0, 0.0, 1.0] * 50)
    b[0] = np.nan
    c = RANDOM.uniform(size=200)
    found = associations(np.stack([a, b, c, 1 - c], axis=1), factor_set)
    assert len(found) == 6
    assert (found[0].first, found[0].second, found[0].measure) == (2, 3, "spearman")
    assert found[0].value == pytest.approx(1.0)
    pair = next(one for one in found if (one.first, one.second) == (0, 1))
    assert (pair.measure, pair.rows, pair.smallest_cell, pair.empty_cells, pair.cells) == ("cramers_v", 199, 0, 1, 4)
    assert next(one for one in found if (one.first, one.second) == (0, 2)).measure == "correlation_ratio"
