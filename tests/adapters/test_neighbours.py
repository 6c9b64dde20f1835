"""Neighbours counted all at once are those found one row at a time."""

import numpy as np
import pytest

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.neighbours import count_nearer

RANDOM = np.random.default_rng(0)


def one_by_one(code_N: Floats, levels_N: Integers, k: int) -> list[tuple[int, int, int]]:
    """Ross 2014, with all of those at distance 0 where the k-th neighbour is."""
    found = []
    for level in np.unique(levels_N):
        own_N = np.sort(code_N[levels_N == level])
        for value in own_N:
            reach = min(k, len(own_N) - 1)
            distance = np.sort(np.abs(own_N - value))[reach]
            near = max(int((np.abs(code_N - value) < distance).sum()), 1)
            if distance == 0:
                near, reach = int((code_N == value).sum()), int((own_N == value).sum()) - 1
            found.append((near, reach, len(own_N)))
    return found


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("step", [0.0, 0.25, 1.0])
def test_counts_are_those_of_one_row_at_a_time(k: int, step: float) -> None:
    for rows in (4, 30, 150):
        # multiples of a power of two: differences are exact and ties are ties
        code_N = RANDOM.normal(size=rows)
        code_N = np.round(code_N / step) * step if step else np.round(code_N * 2**20) / 2**20
        levels_N = np.concatenate([np.arange(rows // 2) // 2, RANDOM.integers(0, 2, size=rows - rows // 2)])
        kept_N = np.bincount(levels_N)[levels_N] > 1
        code_N, levels_N = code_N[kept_N], levels_N[kept_N]
        found = count_nearer(code_N, levels_N, k)
        assert list(zip(found.near_N, found.reach_N, found.size_N, strict=True)) == one_by_one(code_N, levels_N, k)
