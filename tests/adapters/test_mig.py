from pathlib import Path

import numpy as np
import pytest

from heddle_adapters.scores import mig
from heddle_platform.errors import InvalidInput

RANDOM = np.random.default_rng(0)
FACTORS_NF = np.stack(np.unravel_index(np.arange(10_000) % 60, (3, 4, 5)), axis=1).astype(float)


def test_one_code_for_each_factor_gives_one() -> None:
    result = mig(FACTORS_NF, FACTORS_NF)
    assert result.value == pytest.approx(1.0, abs=1e-3)
    assert result.per_factor == pytest.approx(np.ones(3), abs=1e-3)
    assert result.ceiling == pytest.approx(np.ones(3), abs=1e-3)
    assert result.protocol["bins"] == 20


def test_duplicated_codes_have_no_gap() -> None:
    assert mig(np.hstack([FACTORS_NF, FACTORS_NF]), FACTORS_NF).value == pytest.approx(0.0, abs=1e-12)


def test_noise_has_next_to_no_gap() -> None:
    assert mig(RANDOM.normal(size=(10_000, 10)), FACTORS_NF).value < 0.005
    assert mig(RANDOM.normal(size=(2_000, 5)), FACTORS_NF[:2_000], "knn").value < 0.05


def test_permuted_scaled_and_dead_codes_change_nothing() -> None:
    codes_NL = FACTORS_NF + 0.3 * RANDOM.normal(size=FACTORS_NF.shape)
    value = mig(codes_NL, FACTORS_NF).value
    # a sign turns the bins round, and a value on an edge falls to the other side
    assert mig(-7.0 * codes_NL, FACTORS_NF).value == pytest.approx(value, abs=1e-3)
    assert mig(codes_NL[:, [2, 0, 1]], FACTORS_NF).value == pytest.approx(value, abs=1e-12)
    dead = np.hstack([np.zeros((10_000, 1)), codes_NL, np.ones((10_000, 2))])
    assert mig(dead, FACTORS_NF).value == pytest.approx(value, abs=1e-12)


def test_correlated_factors_have_a_ceiling() -> None:
    twin_NF = np.repeat(FACTORS_NF[:, :1], 2, axis=1)
    result = mig(twin_NF + 0.0, twin_NF)
    assert result.ceiling == pytest.approx([0.0, 0.0], abs=1e-9)
    assert result.value == pytest.approx(0.0, abs=1e-9)


def test_numbers_are_binned_where_they_are_declared() -> None:
    number_N1 = RANDOM.uniform(size=(2_000, 1))
    codes_NL = np.hstack([number_N1, RANDOM.uniform(size=(2_000, 1))])
    assert mig(codes_NL, number_N1, kinds=["continuous"]).value > 0.9
    with pytest.raises(InvalidInput) as error:
        mig(codes_NL, number_N1)
    assert error.value.code == "unique_labels"


def test_few_rows_are_told_better_by_neighbours_than_by_bins() -> None:
    level_N = RANDOM.integers(4, size=100)
    codes_NL = np.stack([level_N + 0.4 * RANDOM.normal(size=100), RANDOM.normal(size=100)], axis=1)
    big_N = RANDOM.integers(4, size=50_000)
    truth_NL = np.stack([big_N + 0.4 * RANDOM.normal(size=50_000), RANDOM.normal(size=50_000)], axis=1)
    truth = mig(truth_NL, big_N[:, None]).value
    assert abs(mig(codes_NL, level_N[:, None], "knn").value - truth) < abs(
        mig(codes_NL, level_N[:, None]).value - truth
    )


def test_a_gap_needs_two_codes() -> None:
    with pytest.raises(InvalidInput, match="at least 2 codes, got 1") as error:
        mig(FACTORS_NF[:, :1], FACTORS_NF)
    assert error.value.code == "one_latent"


@pytest.mark.parametrize(
    ("codes", "value"), [("codes_good", 0.7391277), ("codes_rotated", 0.0488449), ("codes_random", 0.0002429)]
)
def test_published_values_are_reproduced(shared_data: Path, codes: str, value: float) -> None:
    golden = np.load(shared_data / "metric_golden.npz")
    assert mig(golden[codes], golden["factors"]).value == pytest.approx(value, abs=1e-6)
