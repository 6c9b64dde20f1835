import numpy as np
import pytest

from heddle_adapters.calibrate import NO_LEVEL, angle_error, calibration_error, temperature_of, temperatures_of
from heddle_adapters.read import softmax


def drawn(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth_NK = random.normal(0, 2, size=(20_000, 4))
    levels_N = np.array([random.choice(4, p=row) for row in softmax(truth_NK)])
    return truth_NK * temperature, levels_N


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_temperature_of_overstated_logits_is_found(temperature: float) -> None:
    logits_NK, levels_N = drawn(temperature)
    found, loss = temperature_of(logits_NK, levels_N)
    assert found == pytest.approx(temperature, rel=0.05)
    calibrated = np.log(softmax(logits_NK / found))[np.arange(len(levels_N)), levels_N]
    assert loss == pytest.approx(-calibrated.mean(), rel=1e-6)
    assert calibration_error(logits_NK / found, levels_N) < 0.02


def test_separated_labels_may_be_sure_and_wrong_ones_may_not() -> None:
    separated = np.array([[8.0, 0.0], [0.0, 8.0]])
    sure, loss = temperature_of(separated, np.array([0, 1]))
    assert 0.05 <= sure < 0.5
    assert loss < 1e-9
    assert temperature_of(separated, np.array([1, 0]))[0] == pytest.approx(50.0, rel=0.01)


def test_calibration_error_of_a_known_case() -> None:
    # always sure, right in three of four cases
    assert calibration_error(np.array([[40.0, 0.0]] * 4), np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_angles_differ_the_short_way_round() -> None:
    assert np.degrees(angle_error(np.array([350.0]), np.array([10.0]), 360.0)) == pytest.approx([-20.0])


def test_sets_side_by_side_are_calibrated_as_each_would_be_alone() -> None:
    logits_NK, levels_N = drawn(2.0)
    few_NK, few_N = logits_NK[:300], levels_N[:300].copy()
    two_NK, two_N = logits_NK[300:600, :2], (levels_N[300:600] % 2).copy()
    missing_N = np.arange(300) % 3 == 0
    filled_NK = np.hstack([two_NK, np.full((300, 2), NO_LEVEL)])
    levels_MN = np.stack([few_N, np.where(missing_N, -1, two_N)])
    temperature_M, loss_M = temperatures_of(np.stack([few_NK.T, filled_NK.T]), levels_MN)
    alone = [temperature_of(few_NK, few_N), temperature_of(two_NK[~missing_N], two_N[~missing_N])]
    assert list(zip(temperature_M, loss_M, strict=True)) == [pytest.approx(one, rel=1e-4) for one in alone]
