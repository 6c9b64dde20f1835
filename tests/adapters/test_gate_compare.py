"""The gate on interval bounds, as data; and a new version held against production."""

import json
from typing import Any

import pytest

from heddle_adapters.gate import GateThresholds, Verdict, judge
from heddle_adapters.gate_compare import compare
from heddle_adapters.report import Card, FactorCard, ModeEffect

from .test_gate import card, factor, factor_set


def measured(name: str, effect: float = 0.9, leakage: float = 0.05, spread: float = 0.03, **more: Any) -> FactorCard:
    mode = ModeEffect(
        effect=effect,
        effect_interval=(effect - spread, min(1.0, effect + spread)),
        leakage=leakage,
        leakage_mean=0.0,
        damage=0.0,
        edits=200,
        leakage_interval=(max(0.0, leakage - spread), leakage + spread),
    )
    return factor(name, effect=effect, leakage=leakage, effect_by_detail={"decode": mode}, **more)


def compared(new: Card, old: Card, thresholds: GateThresholds | None = None) -> Verdict:
    return compare(new, judge(new, factor_set(), thresholds), old, judge(old, factor_set()), 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"effect": 0.61}, ("0.61", "may do so in 0.58 only", "at least 0.60")),
        ({"leakage": 0.18}, ("in 0.18", "may change another factor in 0.21", "at most 0.20")),
        ({"accuracy": 0.72, "accuracy_interval": (0.66, 0.78)}, ("0.72", "as low as 0.66", "at least 0.70")),
    ],
)
def test_what_passes_only_within_the_noise_needs_approval_and_stays_editable(
    changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    verdict = judge(card(measured("pose", **changes), measured("eyes")), factor_set())
    found = verdict.factors["pose"]
    assert (verdict.verdict, found.verdict, found.passed, verdict.refused) == (
        "needs_approval",
        "needs_approval",
        True,
        (),
    )
    for word in words:
        assert word in found.reasons[0]
    assert "only within the noise: pose" in verdict.reasons[0]


def test_the_whole_is_held_against_its_own_threshold() -> None:
    weak = card(measured("pose", effect=0.65), measured("eyes", effect=0.65))
    verdict = judge(weak, factor_set(), GateThresholds(effect_mean=0.64))
    assert verdict.verdict == "needs_approval"
    assert "arrive in 0.65 of cases on average and may do so in 0.63 only" in verdict.reasons[0]
    assert judge(weak, factor_set()).verdict == "pass"


def test_every_check_is_data() -> None:
    document = json.loads(judge(card(measured("pose"), measured("eyes")), factor_set(mig=0.6)).model_dump_json())
    assert document["thresholds"]["effect"] == 0.6
    checks = {check["measure"]: check for check in document["factors"]["pose"]["checks"]}
    assert set(checks) == {"clear", "accuracy", "effect", "leakage"}
    assert checks["effect"] == {
        "measure": "effect",
        "value": 0.9,
        "bound": 0.87,
        "threshold": 0.6,
        "source": "default",
        "outcome": "pass",
        "reason": "",
    }
    assert {check["measure"]: check["source"] for check in document["checks"]}["mig"] == "tenant"
    assert Verdict.model_validate(document).model_dump(mode="json") == document
    # what an older version stored is still read
    assert Verdict.model_validate({"verdict": "pass", "factors": {}, "reasons": []}).refused == ()


def test_an_equal_version_passes() -> None:
    same = card(measured("pose"), measured("eyes"))
    verdict = compared(same, same)
    assert verdict.verdict == "pass"
    assert verdict.compared is not None
    assert verdict.compared.version == 3
    assert {change.outcome for change in verdict.compared.changes} == {"pass"}
    assert len(verdict.compared.changes) == 2 * 3 + 2


def test_a_fall_within_the_noise_passes_and_beyond_it_needs_approval() -> None:
    old = card(measured("pose", effect=0.90), measured("eyes"))
    # noise of the difference is .03 * sqrt(2) = .042
    assert compared(card(measured("pose", effect=0.87), measured("eyes")), old).verdict == "pass"
    verdict = compared(card(measured("pose", effect=0.84), measured("eyes")), old)
    assert verdict.verdict == "needs_approval"
    assert verdict.refused == ()
    reason = verdict.reasons[0]
    assert "the effect of 'pose' went from 0.90 (version 3, in production) to 0.84, beyond the noise of 0.04" in reason
    assert "production stays as it is" in reason


def test_more_leakage_than_production_needs_approval() -> None:
    old = card(measured("pose", leakage=0.02), measured("eyes"))
    verdict = compared(card(measured("pose", leakage=0.12), measured("eyes")), old)
    assert verdict.verdict == "needs_approval"
    assert "the leakage of 'pose' went from 0.02" in verdict.reasons[0]


def test_a_large_fall_of_the_mean_fails() -> None:
    old = card(measured("pose", effect=0.95), measured("eyes", effect=0.95))
    verdict = compared(card(measured("pose", effect=0.70), measured("eyes", effect=0.70)), old)
    assert verdict.verdict == "fail"
    assert "the mean effect of 2 factor(s) went from 0.95" in verdict.reasons[0], "the job's error shows the first"


def test_a_factor_that_production_edits_and_this_version_cannot_needs_approval() -> None:
    old = card(measured("pose"), measured("eyes"))
    refused = compared(card(measured("pose", effect=0.3), measured("eyes")), old)
    assert refused.verdict == "needs_approval"
    assert any("version 3 edits 'pose', this version must refuse it" in reason for reason in refused.reasons)
    gone = compare(
        card(measured("eyes")),
        judge(card(measured("pose"), measured("eyes")), factor_set()),
        old,
        judge(old, factor_set()),
        3,
    )
    assert any("this version has no such factor" in reason for reason in gone.reasons)


def test_what_cannot_be_compared_is_said() -> None:
    old = card(measured("pose", counts={"left": 9, "up": 9}), measured("eyes", effect=0.2))
    verdict = compared(card(measured("pose", counts={"left": 9, "right": 9}), measured("eyes")), old)
    assert verdict.compared is not None
    assert verdict.compared.changes == ()
    assert "its levels or kind are not those of version 3" in verdict.compared.skipped["pose"]
    assert "does not edit it either" in verdict.compared.skipped["eyes"]
