from typing import Any

import pytest

from heddle_adapters.gate import GateThresholds, judge
from heddle_adapters.report import Card, FactorCard, ScoreCard
from heddle_platform.factors import FactorSet, parse_factor_set


def factor_set(accept: Any = None, **wishes: Any) -> FactorSet:
    return parse_factor_set(
        {
            "name": "f",
            "factors": [
                {"name": "pose", "kind": "categorical", "levels": ["left", "right"], "accept": accept or {}},
                {"name": "eyes", "kind": "binary"},
            ],
            "accept": wishes,
        }
    )


def factor(name: str, **changes: Any) -> FactorCard:
    fields: dict[str, Any] = {
        "name": name,
        "kind": "categorical" if name == "pose" else "binary",
        "coded_as": "categorical" if name == "pose" else "binary",
        "labels": 500,
        "counts": {},
        "measure": "accuracy",
        "accuracy": 0.9,
        "accuracy_interval": (0.87, 0.93),
        "chance": 0.5,
        "calibration_error": 0.02,
        "readable": True,
        "survives": 0.95,
        "effect": 0.9,
        "leakage": 0.05,
        "leakage_mean": 0.05,
        "leakage_into": "eyes",
        "effect_by_detail": {},
        "detail": "decode",
        "gain": 1.0,
        "mig": 0.7,
        "ceiling": 1.0,
        "read": "closed_form",
    }
    return FactorCard(**{**fields, **changes})


def card(*factors: FactorCard, **changes: Any) -> Card:
    fields: dict[str, Any] = {
        "factor_set": "f",
        "base_digest": "b",
        "labels": 500,
        "pool": 0,
        "folds": 5,
        "seed": 0,
        "factors": factors or (factor("pose"), factor("eyes")),
        "accuracy": 0.9,
        "effect": 0.9,
        "leakage_max": 0.05,
        "leakage": {},
        "changed": {},
        "mig": ScoreCard(value=0.7),
        "mig_latents": ScoreCard(value=0.1),
        "dci": ScoreCard(value=0.9),
        "dci_latents": ScoreCard(value=0.3),
        "associations": (),
        "warnings": (),
        "latents": 64,
        "active_latents": 64,
        "write_kind": "hybrid",
        "write_condition": 10.0,
        "round_trips": 2000,
        "protocol": {},
    }
    return Card(**{**fields, **changes})


def test_a_good_card_passes_without_a_word() -> None:
    verdict = judge(card(), factor_set())
    assert (verdict.verdict, verdict.reasons, verdict.refused) == ("pass", (), ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accuracy": 0.53, "accuracy_interval": (0.49, 0.57)}, ("0.53", "0.49", "0.50", "more than 500 images")),
        ({"accuracy": 0.66, "accuracy_interval": (0.62, 0.70)}, ("0.66", "at least 0.70")),
        ({"effect": 0.55}, ("0.55", "at least 0.60", "rarer levels")),
        ({"effect": 0.55, "survives": 0.4}, ("0.55", "at least 0.60", "only in 0.40", "a base trained on")),
        ({"effect": None}, ("0 edits",)),
        ({"leakage": 0.31}, ("'eyes' in 0.31", "at most 0.20", "leakage_max")),
    ],
)
def test_a_weak_factor_is_refused_with_both_numbers(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    verdict = judge(card(factor("pose", **changes), factor("eyes")), factor_set())
    assert verdict.verdict == "needs_approval"
    assert verdict.refused == ("pose",)
    assert "1 of 2 factors" in verdict.reasons[0]
    reason = verdict.factors["pose"].reasons[0]
    for word in words:
        assert word in reason


def test_many_levels_need_only_half_the_way_from_chance() -> None:
    # twenty persons: .60 is far above chance, three poses: .60 is not
    hard = factor("pose", chance=0.05, accuracy=0.6, accuracy_interval=(0.56, 0.64))
    assert judge(card(hard, factor("eyes")), factor_set()).factors["pose"].passed


def test_a_high_share_of_one_level_is_not_skill() -> None:
    # always guessing gives .93; an accuracy of .935 is over every floor and worth nothing
    easy = factor("pose", chance=0.93, accuracy=0.935, accuracy_interval=(0.91, 0.95))
    assert not judge(card(easy, factor("eyes")), factor_set()).factors["pose"].passed


def test_the_tenants_own_floor_goes_before_the_defaults() -> None:
    strict = judge(card(), factor_set({"accuracy": 0.95}))
    assert "you asked for 0.95" in strict.factors["pose"].reasons[0]
    asked = factor_set({"accuracy": 0.6, "effect": 0.3})
    unsure = factor("pose", accuracy=0.62, accuracy_interval=(0.58, 0.66), effect=0.4)
    assert judge(card(unsure, factor("eyes")), asked).verdict == "needs_approval"  # its lower bound misses the floor
    low = factor("pose", accuracy=0.62, accuracy_interval=(0.60, 0.64), effect=0.4)
    assert judge(card(low, factor("eyes")), asked).verdict == "pass"
    assert not judge(card(low, factor("eyes")), factor_set()).factors["pose"].passed
    wide = factor("pose", leakage=0.3)
    assert judge(card(wide, factor("eyes")), factor_set(leakage_max=0.4)).verdict == "pass"


def test_r_squared_has_its_own_wish() -> None:
    number = factor("pose", measure="r2", chance=0.0, accuracy=0.75, accuracy_interval=(0.7, 0.8))
    found = judge(card(number, factor("eyes")), factor_set({"r2": 0.8, "accuracy": 0.1}))
    assert "the R squared of 'pose' is 0.75, you asked for 0.80" in found.factors["pose"].reasons[0]


@pytest.mark.parametrize(
    ("wishes", "changes", "words"),
    [
        ({"mig": 0.8}, {}, "0.70, you asked for 0.80"),
        ({"mig": 0.8}, {"mig": ScoreCard(value=None)}, "not defined"),
        ({"leakage_max": 0.01}, {}, "0.05, you asked for at most 0.01"),
    ],
)
def test_a_missed_wish_needs_approval(wishes: dict[str, float], changes: dict[str, Any], words: str) -> None:
    verdict = judge(card(**changes), factor_set(**wishes))
    assert verdict.verdict == "needs_approval"
    assert verdict.refused == ()
    assert words in verdict.reasons[0]


def test_too_few_labels_or_no_good_factor_fails() -> None:
    few = judge(card(), factor_set(labels_min=1000))
    assert few.verdict == "fail"
    assert "500 labelled images, you asked for at least 1000" in few.reasons[0]
    bad = judge(card(factor("pose", effect=0.1), factor("eyes", effect=0.2)), factor_set())
    assert bad.verdict == "fail"
    assert "0 of 2 factors passed" in bad.reasons[0]


def test_thresholds_are_data() -> None:
    assert judge(card(), factor_set(), GateThresholds(effect=0.95)).verdict == "fail"
