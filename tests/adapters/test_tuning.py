import numpy as np
import pytest

from heddle_adapters.schedule import GAINS, MOST_ROWS, reporting_rows, tuning_rows
from heddle_adapters.trial import Outcome
from heddle_adapters.tuning import Tried, best_gain, best_mode, tried_of


def tried(effect: float, leak: float = 0.0, damage: float = 0.0) -> Tried:
    return Tried(effect, leak, damage)


def test_the_smallest_sufficient_gain_is_taken() -> None:
    assert best_gain({1.0: tried(0.96), 1.5: tried(1.0)}) == 1.0
    assert best_gain({1.0: tried(0.90), 1.25: tried(0.95), 1.5: tried(1.0)}) == 1.25


def test_effect_is_not_bought_with_leakage() -> None:
    assert best_gain({1.0: tried(0.9, 0.02), 2.0: tried(0.96, 0.3)}) == 1.0
    assert best_gain({1.0: tried(0.5, 0.02), 2.0: tried(0.9, 0.2)}) == 2.0
    assert best_gain({1.0: tried(0.5, 0.02), 2.0: tried(0.5, 0.02)}) == 1.0


def test_of_two_good_modes_the_gentler_is_taken() -> None:
    assert best_mode(tried(1.0, 0.0, 0.2), tried(0.97, 0.05, 0.05)) == "preserve"
    assert best_mode(tried(1.0, 0.0, 0.02), tried(1.0, 0.05, 0.05)) == "decode"


def test_a_mode_that_leaks_or_misses_is_not_taken() -> None:
    assert best_mode(tried(1.0, 0.02, 0.2), tried(1.0, 0.3, 0.1)) == "decode"
    assert best_mode(tried(0.9, 0.02, 0.2), tried(0.6, 0.0, 0.0)) == "decode"
    assert best_mode(tried(0.5, 0.02, 0.2), tried(0.9, 0.0, 0.1)) == "preserve"


def test_leakage_is_what_an_edit_adds_to_the_noise() -> None:
    left_BF = np.array([[True, True], [True, False], [True, True], [True, True]])
    lost_BF = np.array([[False, True], [False, False], [False, False], [False, True]])
    outcome = Outcome(np.array([True, False, True, True]), left_BF, left_BF, lost_BF)
    assert outcome.leak_F.tolist() == [1.0, 0.25]
    summed = tried_of(outcome, 0, np.array([True, True]))
    assert (summed.effect, summed.leak, summed.damage) == (0.75, 0.25, 0.75)
    assert tried_of(outcome, 0, np.array([True, False])).leak == 0.0
    both = outcome.beside(outcome)
    assert len(both.reached_B) == 8
    assert both.leak_F.tolist() == outcome.leak_F.tolist()


@pytest.mark.parametrize(("factors", "modes", "budget"), [(6, 2, 2400), (13, 2, 2400), (1, 1, 500)])
def test_rows_that_tune_do_not_report_and_the_budget_holds(factors: int, modes: int, budget: int) -> None:
    fold_N = np.arange(1000) % 5
    tuning = tuning_rows(fold_N, factors, modes, budget, seed=0)
    worst = len(tuning) * (1 + factors * (len(GAINS) + modes - 1))
    reporting = reporting_rows(fold_N, factors, modes, budget - worst, seed=0)
    rows = np.concatenate(list(reporting.values()))
    assert set(fold_N[tuning]) == {0}
    assert 0 not in reporting
    assert len(np.unique(rows)) == len(rows) <= MOST_ROWS
    assert worst + len(rows) * (1 + factors * modes) <= budget
