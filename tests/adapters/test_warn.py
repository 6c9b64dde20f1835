"""Warnings are data: stable codes, factors, numbers, and what to do."""

from typing import Any

from heddle_adapters.associations import associations
from heddle_adapters.report_edits import CurveCard, CurvePoint, EditsCard, JudgeCard, LeakCard
from heddle_adapters.report_labels import LabellingCard
from heddle_adapters.warn_edits import edit_warnings, unsteady_warnings
from heddle_adapters.warn_labels import label_warnings
from heddle_platform.factors import parse_factor_set

from .test_dependence import correlated

TWO = parse_factor_set({"name": "p", "factors": [{"name": "one", "kind": "binary"}, {"name": "two", "kind": "binary"}]})


def labelling(**changes: Any) -> LabellingCard:
    fields = {
        "smallest_detectable": 0.09,
        "permutations": 299,
        "condition": 1.0,
        "condition_between": 1.0,
        "mig_ceiling": 1.0,
        "mig_share": 1.0,
        "short_pairs": 0,
    }
    return LabellingCard.model_validate({**fields, **changes})


def measured(effect: float = 1.0, reach: float = 0.05, signed: float = 0.0, association: float = 0.0) -> EditsCard:
    point = CurvePoint(strength=1.0, effect=effect, interval=(effect - reach, effect + reach), flips=1.0, outside=0.0)
    curve = CurveCard(
        factor="one", unit="level", points=(point,), unit_effect=effect, monotone=1.0, usable=(-2.0, 2.0), pictures=9
    )
    leak = LeakCard(edited="one", other="two", signed=signed, unsigned=abs(signed), association=association)
    return EditsCard(
        judge=JudgeCard(kind="fold", rows=9, accuracy=None, detail=""),
        curves=(curve,),
        leaks=(leak,),
        fidelity=(),
        preserved=None,
        round_trip_error=0.0,
        nuisance_latents=0,
        pictures=0,
    )


def codes(*found: Any) -> list[str]:
    assert all(warning.numbers and warning.action and warning.detail for warning in found)
    return [warning.code for warning in found]


def test_independent_labels_enough_of_them_are_not_warned_of() -> None:
    pairs = associations(correlated(1_000, 0.0), TWO)
    assert codes(*label_warnings(TWO, pairs, labelling())) == []


def test_labels_that_go_together_are_warned_of_and_nearly_equal_ones_more() -> None:
    assert codes(*label_warnings(TWO, associations(correlated(400, 0.6), TWO), labelling())) == ["correlated_labels"]
    found = label_warnings(TWO, associations(correlated(400, 0.95), TWO), labelling(condition_between=39.0))
    assert codes(*found) == ["correlated_labels", "collinear_labels"]
    assert found[1].numbers["condition_between"] == 39.0


def test_none_found_among_few_is_no_comfort() -> None:
    pairs = associations(correlated(100, 0.0), TWO)
    found = label_warnings(TWO, pairs, labelling(smallest_detectable=0.28))
    assert codes(*found) == ["weak_test"]
    assert "100 labels find only correlations above 0.28" in found[0].detail


def test_a_low_ceiling_is_told() -> None:
    pairs = associations(correlated(1_000, 0.0), TWO)
    assert codes(*label_warnings(TWO, pairs, labelling(mig_ceiling=0.3))) == ["low_ceiling"]


def test_effects_off_the_unit_beyond_their_noise_are_told() -> None:
    assert codes(*edit_warnings(measured())) == []
    assert codes(*edit_warnings(measured(effect=1.3, reach=0.05))) == ["overshoots"]
    assert codes(*edit_warnings(measured(effect=1.3, reach=0.2))) == []
    assert codes(*edit_warnings(measured(effect=0.6, reach=0.1))) == ["undershoots"]


def test_leakage_along_the_labels_correlation_is_told() -> None:
    assert codes(*edit_warnings(measured(signed=0.2, association=0.5))) == ["learnt_correlation"]
    assert codes(*edit_warnings(measured(signed=-0.2, association=0.5))) == []
    assert codes(*edit_warnings(measured(signed=0.2, association=0.05))) == []


def test_what_the_base_cannot_hold_still_is_told_even_where_net_leakage_is_small() -> None:
    changed = {"hair": {"glasses": 0.31, "mouth": 0.03}, "skin": {"glasses": 0.22}, "glasses": {"mouth": 0.02}}
    [found] = unsteady_warnings(changed, {"glasses": 0.82, "mouth": 0.91})
    assert codes(found) == ["unsteady"]
    assert found.factors == ("glasses", "hair", "skin")
    assert "after 0.31 of edits of 'hair'" in found.detail
    assert "keeps it in 0.82" in found.detail
    assert unsteady_warnings({"hair": {"glasses": 0.1}}, {"glasses": None}) == ()
