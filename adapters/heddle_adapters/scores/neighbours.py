"""How many values lie nearer than the k-th neighbour of the same level, for all rows and levels of one code at once."""

from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats, Integers, Mask


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What Ross's estimate counts, one row each, levels one after the other and values rising within each.

    Attributes:
        near_N: values of any level strictly nearer than the k-th neighbour of the own level, itself included; where
            that neighbour is at distance 0, all that are equal.
        reach_N: which neighbour that was: k, or fewer in a small level; where it is at distance 0, all equal ones.
        size_N: rows of the own level.
    """

    near_N: Integers
    reach_N: Integers
    size_N: Integers


def count_nearer(code_N: Floats, levels_N: Integers, k: int) -> Neighbours:
    """Count the neighbours of each row; every level has two rows or more."""
    order_N = np.argsort(code_N)
    sorted_N, levels_N = code_N[order_N], levels_N[order_N]
    rank_N = np.argsort(levels_N.astype(np.uint16) if levels_N.max() < 2**16 else levels_N, kind="stable")
    own_N, levels_N = sorted_N[rank_N], levels_N[rank_N]
    fresh_level_N = _changes(levels_N)
    first_N, last_N = _runs(fresh_level_N)
    size_N = last_N - first_N
    reach_N = np.minimum(k, size_N - 1)
    at_N = np.arange(len(own_N))
    left_N = _window(own_N, at_N, first_N, last_N, reach_N)
    # the k-th neighbour ends the window of k + 1 values whose farther end is nearest: on the left, or on the right
    # of the window before; the nearer of both, the second of equals
    below_N, above_N = np.maximum(at_N - left_N, first_N), np.minimum(at_N - left_N + reach_N + 1, last_N - 1)
    down_N = np.where(at_N - left_N >= first_N, own_N - own_N[below_N], np.inf)
    up_N = np.where((left_N > 0) & (at_N - left_N + reach_N + 1 < last_N), own_N[above_N] - own_N, np.inf)
    falls_N = down_N < up_N
    distance_N = np.where(falls_N, down_N, up_N)
    # the end on the neighbour's side is the neighbour itself, so that no rounding moves it in or out
    start_N, stop_N = _runs(_changes(sorted_N))
    inside_N = np.empty(len(own_N), dtype=np.int64)
    rises_N = ~falls_N
    high_N, low_N = own_N[falls_N] + distance_N[falls_N], own_N[rises_N] - distance_N[rises_N]
    inside_N[falls_N] = np.searchsorted(sorted_N, high_N, "left") - stop_N[rank_N[below_N[falls_N]]]
    inside_N[rises_N] = start_N[rank_N[above_N[rises_N]]] - np.searchsorted(sorted_N, low_N, "right")
    inside_N = np.maximum(inside_N, 1)
    tied_N = distance_N == 0
    if tied_N.any():
        equal_start_N, equal_stop_N = _runs(fresh_level_N | _changes(own_N))
        inside_N = np.where(tied_N, (stop_N - start_N)[rank_N], inside_N)
        reach_N = np.where(tied_N, equal_stop_N - equal_start_N - 1, reach_N)
    return Neighbours(inside_N, reach_N, size_N)


def _window(own_N: Floats, at_N: Integers, first_N: Integers, last_N: Integers, reach_N: Integers) -> Integers:
    """Return how many values to the left the first window holds whose left end is at least as far as its right.

    The left end gets farther and the right end nearer as a window of `reach_N` neighbours moves to the left, so it is
    found by halving; one more than the level has means that no window is such.
    """
    low_N: Integers = np.maximum(0, at_N + reach_N + 1 - last_N)
    high_N = np.minimum(reach_N, at_N - first_N) + 1
    while (low_N < high_N).any():
        middle_N = (low_N + high_N) // 2
        left_N = np.maximum(at_N - middle_N, 0)
        right_N = np.minimum(left_N + reach_N, len(own_N) - 1)
        enough_N = (own_N - own_N[left_N] >= own_N[right_N] - own_N) | (low_N == high_N)
        high_N = np.where(enough_N & (low_N < high_N), middle_N, high_N)
        low_N = np.where(enough_N, low_N, middle_N + 1)
    return low_N


def _changes(sorted_N: Floats | Integers) -> Mask:
    """Return which values differ from the one before; the first does."""
    return np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]])


def _runs(fresh_N: Mask) -> tuple[Integers, Integers]:
    """Return where the run of each value starts and where it stops."""
    start_R = np.flatnonzero(fresh_N)
    run_N = np.cumsum(fresh_N) - 1
    stop_R: Integers = np.append(start_R[1:], len(fresh_N))
    return start_R[run_N], stop_R[run_N]
