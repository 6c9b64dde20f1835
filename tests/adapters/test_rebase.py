"""The gate of a rollout: what moves without a person, and what a person's old approval covers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.card import score_adapter
from heddle_adapters.gate import FactorVerdict, Verdict, judge
from heddle_adapters.gate_check import Check
from heddle_adapters.paired import paired_differences
from heddle_adapters.rebase import Served, judge_rebased
from heddle_adapters.report import Card


@pytest.fixture(scope="module")
def card(draw_tenant: Callable[..., Any]) -> Card:
    tenant = draw_tenant(rows=300)

    def trip(latents_BL: NDArray[Any]) -> NDArray[np.float32]:
        return latents_BL.astype(np.float32)

    _, found = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b" * 64, round_trip=trip, round_trips=600
    )
    return found


def _with(verdict: Verdict, factor: str, *checks: Check, passed: bool = True) -> Verdict:
    changed = FactorVerdict(passed=passed, reasons=tuple(one.reason for one in checks), checks=checks)
    return verdict.model_copy(
        update={"verdict": "needs_approval", "factors": {**verdict.factors, factor: changed}, "reasons": ("look",)}
    )


def _miss(outcome: Any, reason: str = "the effect of 'age' is unsure") -> Check:
    return Check(measure="effect", value=0.7, bound=0.6, threshold=0.65, outcome=outcome, reason=reason)


def _pass(card: Card, draw_tenant: Callable[..., Any]) -> Verdict:
    everything = {factor.name: FactorVerdict(passed=True, reasons=()) for factor in card.factors}
    return Verdict(
        verdict="pass", factors=everything, reasons=(), thresholds=judge(card, draw_tenant().factor_set).thresholds
    )


def test_an_equal_card_moves(card: Card, draw_tenant: Callable[..., Any]) -> None:
    fine = _pass(card, draw_tenant)
    found = judge_rebased(card, fine, Served(3, card, fine, approved=False), ())
    assert (found.outcome, found.passed, found.carried, found.reasons) == ("equal", True, False, ())
    assert found.verdict.compared is not None
    assert found.verdict.compared.version == 3


def test_what_a_person_accepted_before_moves_and_what_is_new_does_not(
    card: Card, draw_tenant: Callable[..., Any]
) -> None:
    fine = _pass(card, draw_tenant)
    unsure, failing = (_with(fine, "age", _miss(outcome)) for outcome in ("needs_approval", "fail"))
    carried = judge_rebased(card, unsure, Served(1, card, unsure, approved=True), ())
    assert (carried.passed, carried.carried) == (True, True)
    assert not judge_rebased(card, unsure, Served(1, card, unsure, approved=False), ()).passed
    fresh = judge_rebased(card, unsure, Served(1, card, fine, approved=True), ())
    assert not fresh.passed
    assert "the effect of 'age' is unsure" in fresh.reasons
    assert not judge_rebased(card, failing, Served(1, card, unsure, approved=True), ()).passed
    assert judge_rebased(card, unsure, Served(1, card, failing, approved=True), ()).passed


def test_a_refused_factor_that_production_edits_is_worse(card: Card, draw_tenant: Callable[..., Any]) -> None:
    fine = _pass(card, draw_tenant)
    refusing = _with(fine, "age", _miss("fail"), passed=False)
    found = judge_rebased(card, refusing, Served(1, card, fine, approved=True), ())
    assert (found.outcome, found.passed) == ("worse", False)
    assert "this version must refuse it" in found.reasons[0]


def test_a_paired_fall_keeps_it_where_it_is_and_a_rise_is_better(card: Card, draw_tenant: Callable[..., Any]) -> None:
    fine = _pass(card, draw_tenant)
    tenant = draw_tenant(rows=300, noise=0.5)
    noisy_NL = tenant.latents_NL + np.random.default_rng(4).normal(size=tenant.latents_NL.shape)
    fallen = paired_differences(tenant.latents_NL, noisy_NL, tenant.values_NF, tenant.factor_set)
    risen = paired_differences(noisy_NL, tenant.latents_NL, tenant.values_NF, tenant.factor_set)
    served = Served(1, card, fine, approved=False)
    worse, better = judge_rebased(card, fine, served, fallen), judge_rebased(card, fine, served, risen)
    assert (worse.outcome, worse.passed) == ("worse", False)
    assert "on the same 300 rows, out of fold" in worse.reasons[0]
    assert (better.outcome, better.passed) == ("better", True)
    alone = judge_rebased(card, fine, None, fallen)
    assert (alone.outcome, alone.passed, alone.verdict.compared) == ("worse", False, None)
