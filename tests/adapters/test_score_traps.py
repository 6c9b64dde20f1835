"""The traps every score must not fall into: refusals, invariances, noise, one factor, one code."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray

from heddle_adapters import scores
from heddle_adapters.scores import Score
from heddle_platform.errors import InvalidInput

Table = NDArray[Any]
ROWS = 300
RANDOM = np.random.default_rng(0)
FACTORS = np.stack([RANDOM.integers(levels, size=ROWS) for levels in (3, 4, 2)], axis=1).astype(float)
CODES = np.hstack(
    [FACTORS @ RANDOM.normal(size=(3, 3)) + 0.5 * RANDOM.normal(size=(ROWS, 3)), RANDOM.normal(size=(ROWS, 1))]
)
NOISE = RANDOM.normal(size=(ROWS, 4))

SUPERVISED: dict[str, Callable[[Table, Table], Score]] = {
    "mig": scores.mig,
    "mig_knn": partial(scores.mig, estimator="knn"),
    "dci": scores.dci,
    "dci_lasso": partial(scores.dci, estimator="lasso"),
    "sap": scores.sap,
    "factor_vae": partial(scores.factor_vae, taught=400, judged=300),
    "beta_vae": partial(scores.beta_vae, taught=400, judged=300),
    "modularity_explicitness": scores.modularity_explicitness,
    "irs": scores.irs,
    "infomec": scores.infomec,
    "probe": scores.probe,
}
ALL: dict[str, Callable[[Table, Table], Score]] = SUPERVISED | {
    "lps": lambda codes, _: scores.lps(codes),
    "active_units": lambda codes, _: scores.active_units(codes),
    "total_correlation": lambda codes, _: scores.total_correlation(codes),
}
GAPS = {"mig", "mig_knn", "sap"}
ONE_SCALE = {"irs", "infomec"}  # as published, codes weigh by their range
VALUES = {name: score(CODES, FACTORS).value for name, score in ALL.items()}


@pytest.mark.parametrize("name", ALL)
def test_results_are_frozen_and_tell_how_they_were_measured(name: str) -> None:
    result = ALL[name](CODES, FACTORS)
    assert isinstance(result.value, float)
    assert {"metric", "version", "n"} <= set(result.protocol)
    assert result.protocol["n"] == ROWS
    with pytest.raises(FrozenInstanceError):
        result.value = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        result.protocol["n"] = 1  # type: ignore[index]
    assert result.as_json()["value"] == result.value
    assert ALL[name](CODES, FACTORS).value == result.value, "equal input gives equal values"


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize(
    ("codes", "factors", "code"),
    [
        (CODES, np.ones((ROWS, 1)), "constant_factor"),
        (CODES, np.arange(float(ROWS))[:, None], "unique_labels"),
        (CODES, np.where(np.arange(ROWS) == 7, np.nan, 1.0)[:, None], "not_finite"),
        (np.where(CODES > 3, np.inf, CODES), FACTORS, "not_finite"),
        (CODES, np.repeat(np.arange(200.0), 2)[:ROWS, None], "too_few_rows"),
        (CODES, FACTORS[:10], "row_count_mismatch"),
        (CODES[:, 0], FACTORS, "wrong_shape"),
    ],
)
def test_what_is_not_defined_is_an_error_with_a_code(name: str, codes: Table, factors: Table, code: str) -> None:
    if code == "too_few_rows":
        factors = np.concatenate([np.arange(200.0), np.arange(100.0)])[:, None]
    if name == "dci_lasso" and code in ("unique_labels", "too_few_rows"):
        pytest.skip("the Lasso takes every factor as a number")
    with pytest.raises(InvalidInput) as error:
        SUPERVISED[name](codes, factors)
    assert error.value.code == code


@pytest.mark.parametrize("name", ["lps", "active_units", "total_correlation"])
def test_unsupervised_scores_refuse_what_is_no_number(name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        ALL[name](np.full((20, 2), np.nan), FACTORS)
    assert error.value.code == "not_finite"


@pytest.mark.parametrize("kinds", [["binary"], ["categorical", "ordinal", "colour"]])
def test_kinds_must_be_known_and_as_many_as_factors(kinds: list[str]) -> None:
    for score in (scores.mig, scores.dci, scores.sap, scores.irs, scores.infomec, scores.probe):
        with pytest.raises(InvalidInput) as error:
            score(CODES, FACTORS, kinds=kinds)
        assert error.value.code in ("kind_count_mismatch", "unknown_kind")


@pytest.mark.parametrize("name", sorted(GAPS))
def test_a_gap_needs_two_codes(name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        ALL[name](CODES[:, :1], FACTORS)
    assert error.value.code == "one_latent"


@pytest.mark.parametrize("name", sorted(set(ALL) - GAPS))
def test_one_code_and_one_factor_are_defined(name: str) -> None:
    assert np.isfinite(ALL[name](CODES[:, :1], FACTORS).value)
    assert np.isfinite(ALL[name](CODES, FACTORS[:, :1]).value)
    assert np.isfinite(ALL[name](CODES[:, :1], FACTORS[:, :1]).value)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"sap"}))
def test_dead_codes_alone_say_nothing(name: str) -> None:
    value = ALL[name](np.ones((ROWS, 3)), FACTORS).value
    chance = {"beta_vae": 0.45, "probe": 0.6}.get(name, 0.0)
    assert 0.0 <= value <= chance


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=4, deadline=None)
@given(
    order=some.permutations(range(4)),
    signs=some.lists(some.sampled_from([-1.0, 1.0]), min_size=4, max_size=4),
    scales=some.lists(some.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]), min_size=4, max_size=4),
    dead=some.lists(some.integers(0, 4), max_size=3),
)
def test_order_sign_scale_and_dead_codes_change_nothing(
    name: str, order: list[int], signs: list[float], scales: list[float], dead: list[int]
) -> None:
    if name in ONE_SCALE or name == "active_units":
        scales = [1.0 if name == "active_units" else scales[0]] * 4
    changed = (CODES * signs * scales)[:, order]
    for place in sorted(dead):
        changed = np.insert(changed, place, 1.5, axis=1)
    assert ALL[name](changed, FACTORS).value == pytest.approx(VALUES[name], abs=2e-3)


@pytest.mark.parametrize("name", sorted(set(SUPERVISED) - {"dci_lasso"}))
@pytest.mark.parametrize("kind", ["ordinal", "continuous", "periodic"])
def test_the_unit_of_a_factor_decides_nothing(name: str, kind: str) -> None:
    # a wavelength in metres is 5e-7: what a tree splits and a square sums must not vanish with the unit
    score, kinds = getattr(scores, name.removesuffix("_knn")), [kind] * 3
    extra: dict[str, Any] = {"estimator": "knn"} if name == "mig_knn" else {}
    extra |= {"taught": 400, "judged": 300} if name in ("factor_vae", "beta_vae") else {}
    value = score(CODES, FACTORS, kinds=kinds, **extra).value
    for unit in (2.0**-40, 2.0**-700, 2.0**-1070, 2.0**200):
        assert score(CODES, FACTORS * unit, kinds=kinds, **extra).value == pytest.approx(value, abs=1e-6), unit


@pytest.mark.parametrize("steps", [4, 16, None])
def test_a_code_on_the_circle_holds_a_periodic_factor_all_the_way_round(steps: int | None) -> None:
    turn_N = RANDOM.random(ROWS) if steps is None else RANDOM.integers(steps, size=ROWS) / steps
    angle_N1 = 360.0 * turn_N[:, None] - 90.0
    circle = np.stack([np.cos(2 * np.pi * turn_N), np.sin(2 * np.pi * turn_N), RANDOM.normal(size=ROWS)], axis=1)
    assert scores.probe(circle, angle_N1, ["periodic"]).value > 0.999
    assert scores.dci(circle, angle_N1, ["periodic"], estimator="lasso").informativeness > 0.99
    assert scores.dci(circle, angle_N1, ["periodic"]).informativeness > 0.98
    assert scores.sap(circle, angle_N1, ["periodic"]).score_LF.sum() == pytest.approx(2.0, abs=0.03)


def test_noise_stays_inside_its_null_band() -> None:
    assert scores.mig(NOISE, FACTORS).value < 0.1
    assert scores.mig(NOISE, FACTORS, "knn").value < 0.1
    assert scores.dci(NOISE, FACTORS).value == 0.0
    assert scores.sap(NOISE, FACTORS).value < 0.1
    assert scores.factor_vae(NOISE, FACTORS).value < 0.5
    assert scores.beta_vae(NOISE, FACTORS).value < 0.5
    assert scores.lps(NOISE).value < 0.02
    correlation = scores.total_correlation(NOISE)
    assert correlation.value < 5 * correlation.chance
    robust = scores.irs(NOISE, FACTORS, rows="each")
    assert robust.value == pytest.approx(robust.null, abs=0.08)
    modular = scores.modularity_explicitness(NOISE, FACTORS)
    assert modular.explicitness_held_out == pytest.approx(0.5, abs=0.08)
    assert modular.modularity == pytest.approx(modular.null, abs=0.35)
    assert scores.infomec(NOISE, FACTORS).explicitness_held_out < 0.05


def test_over_many_draws_noise_reads_its_null_and_no_bias_is_left() -> None:
    found: dict[str, list[float]] = {}
    for seed in range(8):
        random = np.random.default_rng(seed)
        factors = np.stack([random.integers(levels, size=300) for levels in (3, 4, 2)], axis=1)
        noise = random.normal(size=(300, 6))
        modular, robust = scores.modularity_explicitness(noise, factors), scores.irs(noise, factors, rows="each")
        shared = scores.factor_vae(noise, factors, taught=400, judged=300)
        paired = scores.beta_vae(noise, factors, taught=400, judged=300)
        three = scores.dci(noise, factors)
        for name, value in {
            "mig": scores.mig(noise, factors).value,
            "knn": scores.mig(noise, factors, "knn").value,
            "sap": scores.sap(noise, factors).value,
            "dci": three.value + three.completeness + three.informativeness,
            "modularity over its null": modular.modularity - modular.null,
            "explicitness": modular.explicitness_held_out - 0.5,
            "irs over its null": robust.value - robust.null,
            "factor_vae over chance": shared.value - shared.chance,
            "beta_vae over chance": paired.value - paired.chance,
            "InfoE": max(0.0, scores.infomec(noise, factors).explicitness_held_out),
        }.items():
            found.setdefault(name, []).append(value)
    most = {
        "mig": 0.02,
        "knn": 0.04,
        "sap": 0.06,
        "dci": 0.0,
        "modularity over its null": 0.1,
        "explicitness": 0.03,
        "irs over its null": 0.02,
        "factor_vae over chance": 0.1,
        "beta_vae over chance": 0.06,
        "InfoE": 0.02,
    }
    beyond = {name: np.mean(values) for name, values in found.items() if abs(np.mean(values)) > most[name]}
    assert not beyond


def test_modularity_is_never_shown_without_explicitness() -> None:
    result = scores.modularity_explicitness(NOISE, FACTORS)
    assert f"modularity {result.modularity:.4f}" in str(result)
    assert f"explicitness {result.explicitness:.4f}" in str(result)
    assert "InfoE" in str(scores.infomec(NOISE, FACTORS))


def test_a_jackknife_takes_a_score_as_it_is() -> None:
    interval = scores.jackknife(scores.mig, CODES, FACTORS)
    assert interval.low < VALUES["mig"] < interval.high


def test_lps_does_not_see_a_rotation() -> None:
    turned = NOISE @ np.linalg.qr(RANDOM.normal(size=(4, 4)))[0]
    assert scores.lps(turned).value == pytest.approx(scores.lps(NOISE).value, abs=0.02)


@pytest.mark.parametrize("estimator", ["forest", "lasso"])
def test_dci_shows_how_little_it_reads_beside_how_disentangled_it_looks(estimator: Any) -> None:
    result = scores.dci(NOISE, FACTORS, estimator=estimator)
    assert str(result.protocol["model"]) in str(result)
    assert f"{result.informativeness:.4f}" in str(result)
    assert result.informativeness < 0.1
