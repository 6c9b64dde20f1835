"""The four measurements of edits against known effects, known leaks, known damage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.card import score_adapter
from heddle_adapters.curves import monotone_share, usable_range
from heddle_adapters.fidelity import yardstick
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.judges import judges_of
from heddle_adapters.leaks import association_map, label_coordinates, signed_leak
from heddle_adapters.report import Card
from heddle_adapters.report_edits import STRENGTHS, LeakCard

PAIR = {
    "name": "pair",
    "factors": [
        {"name": "one", "kind": "continuous", "range": [-4, 4]},
        {"name": "two", "kind": "continuous", "range": [-4, 4]},
    ],
}


def perfect(latents: NDArray[Any]) -> NDArray[Any]:
    return latents


def scored(tenant: Any, round_trip: Callable[[NDArray[Any]], NDArray[Any]] = perfect, **more: Any) -> Card:
    _, card = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b" * 64, round_trip=round_trip, **more
    )
    return card


def follow(correlation: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(values_NF: NDArray[Any]) -> NDArray[Any]:
        normal = np.random.default_rng(4).normal(size=(len(values_NF), 2))
        normal[:, 1] = correlation * normal[:, 0] + np.sqrt(1 - correlation**2) * normal[:, 1]
        return normal.clip(-4, 4)

    return change


def leak(card: Card, edited: str, other: str) -> LeakCard:
    assert card.measured is not None
    return next(one for one in card.measured.leaks if (one.edited, one.other) == (edited, other))


@pytest.fixture(scope="module")
def all_kinds(draw_tenant: Callable[..., Any]) -> Card:
    return scored(draw_tenant(rows=1_200), preserve_trip=lambda _rows, edited: edited)


def test_a_perfect_base_has_unit_effect_and_rises_everywhere(all_kinds: Card) -> None:
    measured = all_kinds.measured
    assert measured is not None
    assert measured.judge.kind == "independent"
    assert measured.judge.rows >= 100
    assert measured.judge.accuracy is not None
    assert measured.judge.accuracy > 0.95
    for curve in measured.curves:
        assert curve.unit_effect == pytest.approx(1.0, abs=0.12), curve.factor
        assert [point.strength for point in curve.points] == list(STRENGTHS)
        assert curve.monotone > 0.9, curve.factor
        assert all(point.interval[0] <= point.effect <= point.interval[1] for point in curve.points)
        if curve.factor in ("lit", "shape", "age"):
            assert curve.usable == (-2.0, 2.0)
            assert curve.points[-1].effect == pytest.approx(2.0, abs=0.25)
    flips = {curve.factor: curve.points[STRENGTHS.index(1.0)].flips for curve in measured.curves}
    assert flips["age"] is None
    assert flips["shape"] is not None
    assert flips["shape"] > 0.95


def test_a_perfect_base_leaks_nothing_keeps_the_rest_and_goes_back(all_kinds: Card) -> None:
    measured = all_kinds.measured
    assert measured is not None
    for one in measured.leaks:
        assert abs(one.signed) < 0.06, one
        assert one.unsigned < 0.12, one
    assert measured.round_trip_error == 0.0
    assert 0 < measured.nuisance_latents < 16
    for found in measured.fidelity:
        assert found.preserved is not None
        assert found.preserved > 0.85, found
        assert found.faithful == 0.0
        assert found.restored > 0.9, found
        assert found.restored_reading in (None, pytest.approx(1.0, abs=0.1))


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("leaking", [0.0, 0.4, -0.4])
def test_a_known_leak_is_found_with_its_size_and_sign(
    draw_tenant: Callable[..., Any], correlation: float, leaking: float
) -> None:
    tenant = draw_tenant(document=PAIR, rows=900, noise=0.1, change_values=follow(correlation))
    one_L, two_L = tenant.effects_PL
    mean_L = tenant.latents_NL.mean(axis=0)

    def base(latents: NDArray[Any]) -> NDArray[Any]:
        # every sd of `one` that is drawn draws `leaking` sd of `two` with it
        along = (latents - mean_L) @ one_L / (one_L @ one_L)
        return np.asarray(latents + leaking * np.outer(along, two_L))

    card = scored(tenant, base)
    found = leak(card, "one", "two")
    if correlation:
        assert found.association == pytest.approx(correlation, abs=0.08)
        # signed along the labels' correlation: +.4 looks as if it had been learnt, -.4 is against it
        assert found.signed == pytest.approx(leaking, abs=0.05)
    assert leak(card, "two", "one").unsigned < 0.05
    if not leaking:
        assert found.unsigned < 0.05


def test_signed_leakage_of_known_moves_is_exact() -> None:
    labels_NF = np.random.default_rng(0).normal(size=(500, 1))
    map_DD = association_map(labels_NF, 0.5 * labels_NF)
    own_BD = np.array([[1.0], [-2.0]])
    assert signed_leak(own_BD, np.array([[0.3], [-0.6]]), map_DD) == pytest.approx(0.45)
    assert signed_leak(own_BD, np.array([[-0.3], [0.6]]), map_DD) == pytest.approx(-0.45)
    assert not association_map(np.full((3, 1), np.nan), labels_NF[:3]).any()


def test_label_coordinates_have_unit_spread(tenant: Any) -> None:
    codings = tenant.fit().codings
    for index, coding in enumerate(codings):
        coordinates_ND, spread = label_coordinates(tenant.values_NF[:, index], coding)
        assert coordinates_ND.var(axis=0).sum() == pytest.approx(1.0)
        assert spread > 0


def test_where_a_curve_stops_rising_its_usable_range_ends() -> None:
    linear = np.array(STRENGTHS)
    assert usable_range(linear) == (-2.0, 2.0)
    assert usable_range(np.clip(linear, -1.0, 1.0)) == (-1.0, 1.0)
    assert usable_range(np.array([-0.6, -0.55, -0.5, 0.5, 1.0, 0.8])) == (-0.5, 1.0)
    assert usable_range(-linear) == (0.0, 0.0)


def test_the_monotone_share_counts_steps() -> None:
    rising, falling = np.array(STRENGTHS), -np.array(STRENGTHS)
    assert monotone_share(np.stack([rising, rising])) == 1.0
    assert monotone_share(np.stack([rising, falling])) == 0.5
    one_dip = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 0.9])
    assert monotone_share(one_dip[None]) == pytest.approx(5 / 6)


def test_a_change_outside_the_labelled_span_of_half_a_random_pair_halves_preservation(tenant: Any) -> None:
    adapter = tenant.fit()
    measure = yardstick(adapter, tenant.latents_NL, tenant.values_NF)
    assert measure.dimensions == 16 - len(tenant.effects_PL)
    nuisance = np.linalg.svd(tenant.effects_PL)[2][len(tenant.effects_PL) :]
    change_BL = (nuisance * measure.nuisance_pair / 2).astype(np.float32)
    assert measure.preserved(change_BL) == pytest.approx(0.5, abs=0.03)
    assert measure.preserved(tenant.effects_PL.astype(np.float32)) == pytest.approx(1.0, abs=0.1)
    asked_BL = tenant.latents_NL[:50]
    wrong_BL = asked_BL + 0.2 * (asked_BL - adapter.mean_L)
    assert measure.error(wrong_BL, asked_BL) == pytest.approx(0.2, abs=1e-6)


def test_a_base_that_draws_something_else_is_told(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=600)
    nuisance_L = np.linalg.svd(tenant.effects_PL)[2][-1]
    lit_L = tenant.effects_PL[0]
    mean_L = tenant.latents_NL.mean(axis=0)

    def base(latents: NDArray[Any]) -> NDArray[Any]:
        # drawing `lit` also draws something that no factor names
        along = (latents - mean_L) @ lit_L / (lit_L @ lit_L)
        return np.asarray(latents + 2.0 * np.outer(along, nuisance_L))

    measured = scored(tenant, base).measured
    assert measured is not None
    kept = {one.factor: one.preserved for one in measured.fidelity}
    assert kept["lit"] is not None
    assert kept["shape"] is not None
    assert kept["lit"] < 0.2 < 0.8 < kept["shape"]
    assert measured.round_trip_error > 0.1


def test_judges_are_taught_by_rows_that_neither_made_the_direction_nor_are_edited(
    draw_tenant: Callable[..., Any],
) -> None:
    tenant = draw_tenant(rows=1_000)
    fold_N = fold_of_rows(tenant.values_NF, 5, 0)
    editors = [tenant.fit()] * 5
    edited = {fold: np.flatnonzero(fold_N == fold)[:40] for fold in (1, 2)}
    judges = judges_of(editors, tenant.latents_NL, tenant.values_NF, fold_N, edited)
    assert {fold: (judge.independent, judge.taught) for fold, judge in judges.items()} == {
        1: (True, 160),
        2: (True, 160),
    }
    assert not np.array_equal(judges[1].adapter.read_LC, editors[1].read_LC)
    # labels of edited rows or of the other folds change nothing in fold 1's judge
    other_NF = tenant.values_NF.copy()
    other_NF[(fold_N != 1), 0] = 1.0 - other_NF[(fold_N != 1), 0]
    other_NF[edited[1], 0] = 1.0 - other_NF[edited[1], 0]
    again = judges_of(editors, tenant.latents_NL, other_NF, fold_N, edited)
    np.testing.assert_array_equal(judges[1].adapter.read_LC, again[1].adapter.read_LC)
    few = judges_of(editors, tenant.latents_NL[:300], tenant.values_NF[:300], fold_N[:300], {1: np.array([0])})
    assert not few[1].independent
    assert few[1].adapter is editors[1]


def test_with_few_labels_the_card_says_that_its_judge_shares_them(draw_tenant: Callable[..., Any]) -> None:
    measured = scored(draw_tenant(rows=150), round_trips=600).measured
    assert measured is not None
    assert measured.judge.kind == "fold"
    assert "shares its labels with the direction" in measured.judge.detail
