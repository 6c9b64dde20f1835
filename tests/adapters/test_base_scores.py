"""What is read off a base: the panel's own figures under their names, and nothing where a score is not defined."""

import numpy as np

from heddle_adapters.base_scores import base_scores, base_scores_with_intervals, one_base_score
from heddle_adapters.scores import mig


def sample(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Three codes, the first two of which are a factor each, and the two factors."""
    random = np.random.default_rng(0)
    labels = np.stack([np.arange(rows) % 2, np.arange(rows) // 2 % 2], axis=1)
    noise = random.normal(size=(rows, 3))
    codes = np.concatenate([labels * 4.0, np.zeros((rows, 1))], axis=1) + 0.1 * noise
    return codes, labels


def test_codes_that_are_factors_are_read_as_such() -> None:
    codes, labels = sample()
    found = base_scores(codes, labels)
    assert set(found) == {"mig", "mig_20_bins", "dci", "dci_completeness", "dci_informativeness", "lps"}
    assert found["mig_20_bins"].value == mig(codes, labels).value
    assert found["mig"].value > 0.9
    assert found["dci"].value > 0.9
    assert found["dci_informativeness"].value == 1
    assert found["lps"].value < 0.05
    assert found["mig"].by == "3 neighbours, n = 200"


def test_the_card_has_a_probe_and_an_interval_around_every_score() -> None:
    codes, labels = sample(100)
    found = base_scores_with_intervals(codes, labels)
    assert found["probe"].value == 1
    assert {name: reading.value for name, reading in base_scores(codes, labels).items()}.items() <= {
        name: reading.value for name, reading in found.items()
    }.items()
    for reading in found.values():
        assert reading.low is not None
        assert reading.high is not None
        assert reading.low <= reading.value <= reading.high


def test_one_score_alone_is_what_it_is_among_all() -> None:
    codes, labels = sample(100)
    assert one_base_score("mig")(codes, labels) == {"mig": base_scores(codes, labels)["mig"]}
    assert one_base_score("lps", interval=True)(codes, labels)["lps"].low is not None
    assert one_base_score("dci")(codes, labels).keys() == {"dci", "dci_completeness", "dci_informativeness"}


def test_what_is_not_defined_is_left_out() -> None:
    codes, labels = sample()
    assert "mig" not in base_scores(codes[:, :1], labels), "a gap needs two codes"
    few = base_scores_with_intervals(codes[:60], labels[:60])
    assert few["mig"].low is None, "too few rows for an interval"
