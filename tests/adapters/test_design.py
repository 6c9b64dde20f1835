import numpy as np
import pytest

from heddle_adapters.design import Coding, code_all, coding_of, column_slices, pseudo_counts, score_slices
from heddle_platform.factors import Binary, Categorical, Continuous, Ordinal, Periodic

CATEGORICAL = Coding("categorical", 3)


def test_binary_is_half_below_and_half_above() -> None:
    coding = coding_of(Binary(kind="binary", name="lit"), np.array([0.0, 1.0]))
    assert coding.encode(np.array([0.0, 1.0])).tolist() == [[-0.5], [0.5]]
    assert (coding.columns, coding.scores) == (1, 2)


def test_categorical_is_effect_coded_and_its_levels_sum_to_nothing() -> None:
    coding = coding_of(Categorical(kind="categorical", name="x", levels=("a", "b", "c")), np.array([0.0]))
    assert coding.table_KP.tolist() == [[1, 0], [0, 1], [-1, -1]]
    assert coding.table_KP.sum(axis=0).tolist() == [0, 0]


def test_ordinal_and_continuous_are_standardised() -> None:
    ordinal = coding_of(Ordinal(kind="ordinal", name="size", levels=("s", "m", "l")), np.array([0.0, 1.0, 2.0]))
    assert ordinal.encode(np.array([0.0, 1.0, 2.0])).std() == pytest.approx(1.0)
    years = np.array([10.0, 20.0, 60.0])
    continuous = coding_of(Continuous(kind="continuous", name="age", range=(0, 90)), years)
    coded = continuous.encode(years)
    assert coded.mean() == pytest.approx(0.0)
    assert coded.std() == pytest.approx(1.0)


def test_periodic_meets_itself_after_one_period() -> None:
    coding = coding_of(Periodic(kind="periodic", name="hue", period=360), np.array([0.0]))
    assert coding.encode(np.array([0.0])) == pytest.approx(coding.encode(np.array([360.0])))
    assert coding.encode(np.array([90.0])) == pytest.approx(np.array([[0.0, 1.0]]))


def test_missing_labels_are_nan_in_their_own_columns_only() -> None:
    values_NF = np.array([[0.0, np.nan], [np.nan, 2.0]])
    design_NP = code_all(values_NF, [Coding("binary", 2), CATEGORICAL])
    assert np.isnan(design_NP).tolist() == [[False, True, True], [True, False, False]]


def test_slices_lie_side_by_side() -> None:
    codings = [Coding("binary", 2), CATEGORICAL, Coding("periodic", 0, 0.0, 360.0)]
    assert column_slices(codings) == (slice(0, 1), slice(1, 3), slice(3, 5))
    assert score_slices(codings) == (slice(0, 2), slice(2, 5), slice(5, 7))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_pseudo_counts_shrink_every_level_alike(level: int) -> None:
    penalty_PP = pseudo_counts([CATEGORICAL], 3.0)
    # offsets of (2, -1, -1) with any level in front cost the same
    offsets_K = np.full(3, -1.0)
    offsets_K[level] = 2.0
    row_P = offsets_K[:2]
    assert row_P @ penalty_PP @ row_P == pytest.approx(3.0 * np.square(offsets_K).sum())


def test_pseudo_counts_are_the_same_for_binary_as_for_two_levels() -> None:
    binary = float(pseudo_counts([Coding("binary", 2)], 3.0)[0, 0])
    two = float(pseudo_counts([Coding("categorical", 2)], 3.0)[0, 0])
    # an offset of 1 per level is a binary effect of 2
    assert binary * 2.0**2 == pytest.approx(two)
