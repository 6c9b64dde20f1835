import numpy as np
import pytest

from heddle_adapters.scores import jackknife, mig, wilson
from heddle_adapters.scores.jackknife import jackknife_each
from heddle_platform.errors import InvalidInput


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    values_N = np.random.default_rng(0).normal(size=1_000)
    interval = jackknife(lambda codes, _: float(codes.mean()), values_N[:, None], np.zeros((1_000, 1)))
    middle, reach = (interval.low + interval.high) / 2, (interval.high - interval.low) / 2
    assert middle == pytest.approx(values_N.mean())
    # Student's t with 9 degrees of freedom, and a standard error itself known to a quarter
    assert reach == pytest.approx(2.262 * values_N.std() / np.sqrt(1_000), rel=0.6)


def test_numbers_computed_together_have_the_intervals_they_have_alone() -> None:
    codes, factors = np.random.default_rng(2).normal(size=(60, 2)), np.zeros((60, 1))
    alone = {
        "mean": jackknife(lambda left, _: float(left.mean()), codes, factors, groups=5, seed=3),
        "most": jackknife(lambda left, _: float(left.max()), codes, factors, groups=5, seed=3),
    }
    both = jackknife_each(
        lambda left, _: {"mean": float(left.mean()), "most": float(left.max())}, codes, factors, groups=5, seed=3
    )
    assert {name: (each.low, each.high) for name, each in both.items()} == {
        name: (each.low, each.high) for name, each in alone.items()
    }


def test_it_covers_the_truth_of_a_gap() -> None:
    random = np.random.default_rng(1)

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        level_N = random.integers(4, size=rows)
        return np.stack([level_N + 0.5 * random.normal(size=rows), random.normal(size=rows)], axis=1), level_N[:, None]

    def score(codes: np.ndarray, factors: np.ndarray) -> float:
        return mig(codes, factors, "knn").value

    truth = score(*draw(20_000))
    covered = 0
    for _ in range(20):
        interval = jackknife(score, *draw(400))
        covered += interval.low <= truth <= interval.high
    assert covered >= 16


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="5 rows, 10 groups need at least 20"):
        jackknife(lambda codes, _: 0.0, np.zeros((5, 1)), np.zeros((5, 1)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_equals_the_published_table(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials).as_pair() == pytest.approx((low, high), abs=1e-4)
