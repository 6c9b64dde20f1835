"""The preview against sets whose gaps are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.preview import preview
from heddle_adapters.read import read
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import parse_factor_set


def forget(values_NF: Any, rows: slice) -> Any:
    values_NF = values_NF.copy()
    values_NF[rows] = np.nan
    return values_NF


def test_scores_are_what_rows_never_labelled_show(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=300, noise=1.0)
    found = preview(tenant.latents_NL, forget(tenant.values_NF, slice(200, 300)), tenant.factor_set)
    assert (found.rows, found.candidates) == (200, 100)
    fresh = draw_tenant(rows=2000, seed=1, noise=1.0)
    readings = read(tenant.fit(slice(200)), fresh.latents_NL)
    for place, factor in enumerate(found.factors[:3]):
        assert factor.score == pytest.approx(
            (readings.values_BF[:, place] == fresh.values_NF[:, place]).mean(), abs=0.1
        )
    assert [factor.measure for factor in found.factors] == ["accuracy"] * 3 + ["r2"] * 2
    assert all(factor.score is not None and factor.score > 0.5 for factor in found.factors)
    scores = [point.score for point in found.curve]
    assert scores[0] < scores[-1]


def test_a_rare_level_is_asked_for(draw_tenant: Callable[..., Any]) -> None:
    levels = {"name": "shape", "kind": "categorical", "levels": ["cube", "ball", "cone"]}
    tenant = draw_tenant(rows=400, document={"name": "things", "factors": [levels]})
    values_NF = tenant.values_NF.copy()
    values_NF[np.flatnonzero(values_NF[:, 0] == 2)[3:]] = np.nan  # three cones stay labelled
    values_NF[300:] = np.nan
    found = preview(tenant.latents_NL, values_NF, tenant.factor_set)
    rare = [one for one in found.label_next if one.reason == "rare_level"]
    assert len(rare) >= 3
    assert all(tenant.values_NF[one.row, 0] == 2 for one in rare)
    assert "'cone'" in rare[0].sentence
    assert "about 3 labelled" in rare[0].sentence
    assert "about 4 labelled" in rare[1].sentence  # the first choice counts as labelled
    assert [one.value for one in rare] == sorted((one.value for one in rare), reverse=True)


def test_an_empty_cell_and_a_stranger_are_asked_for(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=400)
    latents_NL, values_NF = tenant.latents_NL.copy(), tenant.values_NF.copy()
    pair_N = (values_NF[:, 0] == 1) & (values_NF[:, 1] == 2)
    values_NF[pair_N] = np.nan
    values_NF[300:] = np.nan
    latents_NL[399] += 6.0
    found = preview(latents_NL, values_NF, tenant.factor_set)
    by_row = {one.row: one for one in found.label_next}
    assert by_row[399].reason == "leverage"
    cells = [one for one in found.label_next if one.reason == "empty_cell"]
    assert len(cells) >= 2
    assert all(pair_N[one.row] and one.factors == ("lit", "shape") for one in cells)


def test_one_label_missing_of_a_row_makes_it_a_candidate_for_that_factor(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=80, noise=1.0)
    values_NF = tenant.values_NF.copy()
    values_NF[:20, 1] = np.nan
    found = preview(tenant.latents_NL, values_NF, tenant.factor_set)
    assert (found.rows, found.candidates) == (80, 20)
    assert {one.row for one in found.label_next} <= set(range(20))
    assert {name for one in found.label_next for name in one.factors} == {"shape"}


def test_a_factor_without_two_labels_is_named_and_waits(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=80)
    values_NF = tenant.values_NF.copy()
    values_NF[:, 0] = 1.0
    values_NF[:, 3] = np.nan
    found = preview(tenant.latents_NL, values_NF, tenant.factor_set)
    assert [factor.score is None for factor in found.factors] == [True, False, False, True, False]
    assert [factor.labels for factor in found.factors] == [80, 80, 80, 0, 80]


def test_everything_labelled_leaves_nothing_to_ask_for(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=40)
    assert preview(tenant.latents_NL, tenant.values_NF, tenant.factor_set).label_next == ()


def test_too_little_is_refused_with_both_numbers(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=40)
    with pytest.raises(InvalidInput, match="7 images are labelled") as error:
        preview(tenant.latents_NL, forget(tenant.values_NF, slice(7, 40)), tenant.factor_set)
    assert error.value.code == "too_few_labels"


def test_numbers_may_be_negative_and_large(draw_tenant: Callable[..., Any]) -> None:
    depth = {"name": "depth", "kind": "continuous", "range": [-1e12, 1e12]}
    tenant = draw_tenant(rows=80)
    document = {"name": "dives", "factors": [depth, {"name": "lit", "kind": "binary"}]}
    values_NF = np.stack([1e11 * tenant.latents_NL[:, 0], tenant.latents_NL[:, 1] > 0], axis=1)
    found = preview(tenant.latents_NL, forget(values_NF, slice(60, 80)), parse_factor_set(document))
    assert [factor.measure for factor in found.factors] == ["r2", "accuracy"]
    assert found.factors[0].score is not None
    assert found.factors[0].score > 0.5


def test_labels_that_weigh_next_to_nothing_teach_nothing(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=300)
    values_NF = forget(tenant.values_NF, slice(280, 300))
    values_NF[150:280] = np.random.default_rng(3).permutation(values_NF[150:280])
    plain = preview(tenant.latents_NL, values_NF, tenant.factor_set)
    weighted = preview(
        tenant.latents_NL, values_NF, tenant.factor_set, weight_N=np.where(np.arange(300) < 150, 1.0, 1e-6)
    )
    for one, other in zip(plain.factors, weighted.factors, strict=True):
        assert one.score is not None
        assert other.score is not None
        assert one.score < 0.8 < 0.9 < other.score
    assert preview(tenant.latents_NL, values_NF, tenant.factor_set, weight_N=np.full(300, 2.0)) == plain
    with pytest.raises(InvalidInput, match="row 299"):
        preview(tenant.latents_NL, values_NF, tenant.factor_set, weight_N=np.append(np.ones(299), 0.0))
