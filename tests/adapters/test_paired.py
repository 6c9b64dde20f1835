"""Two bases on one labelled set: differences pair up row by row, and say better, equal or worse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.fit import fit_adapter
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.gate import FactorVerdict, Verdict
from heddle_adapters.gate_check import Check
from heddle_adapters.paired import FOLDS, paired_differences
from heddle_adapters.read import read
from heddle_adapters.rebase import judge_mapped
from heddle_adapters.transport import FactorLoss, Loss
from tests.turned_base import rotation


def test_a_turned_base_is_equal_in_every_factor(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=300, noise=0.8)
    found = paired_differences(
        tenant.latents_NL, tenant.latents_NL @ rotation(16, 1), tenant.values_NF, tenant.factor_set
    )
    assert [one.factor for one in found] == [*tenant.factor_set.names, None]
    assert {one.outcome for one in found} == {"equal"}
    assert max(abs(one.difference) for one in found) < 0.01
    assert all(one.interval[0] <= one.difference <= one.interval[1] for one in found)


def test_noise_makes_it_worse_and_its_absence_better(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=300, noise=0.5)
    noisy_NL = tenant.latents_NL + np.random.default_rng(4).normal(size=tenant.latents_NL.shape)
    worse = paired_differences(tenant.latents_NL, noisy_NL, tenant.values_NF, tenant.factor_set)
    better = paired_differences(noisy_NL, tenant.latents_NL, tenant.values_NF, tenant.factor_set)
    assert worse[-1].outcome == "worse"
    assert better[-1].outcome == "better"
    assert worse[-1].difference == pytest.approx(-better[-1].difference)
    assert worse[-1].interval == pytest.approx((-better[-1].interval[1], -better[-1].interval[0]))


def test_the_numbers_are_those_of_the_cards_folds(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=150, noise=1.0)
    values_NF = tenant.values_NF.copy()
    values_NF[::7, 1] = np.nan
    found = paired_differences(tenant.latents_NL, tenant.latents_NL, values_NF, tenant.factor_set)
    fold_N = fold_of_rows(values_NF, FOLDS, 0)
    right = []
    for fold in range(FOLDS):
        held_N = fold_N == fold
        adapter = fit_adapter(
            tenant.latents_NL[~held_N],
            values_NF[~held_N],
            tenant.factor_set,
            base_digest="b",
            ridge=3.0,
            residual_share=0.25,
            refine=False,
        )
        told_N = read(adapter, tenant.latents_NL[held_N]).values_BF[:, 1]
        known_N = ~np.isnan(values_NF[held_N, 1])
        right += (told_N == values_NF[held_N, 1])[known_N].tolist()
    assert found[1].rows == len(right) == int((~np.isnan(values_NF[:, 1])).sum())
    assert found[1].before == found[1].after == pytest.approx(np.mean(right), abs=1e-6)


def test_the_interval_of_paired_shares_holds_its_level() -> None:
    from heddle_adapters.paired import _discordant

    random, covered = np.random.default_rng(0), 0
    for _ in range(2_000):
        gained, lost, _ = random.multinomial(100, [0.06, 0.03, 0.91])
        low, high = _discordant(int(gained), int(lost), 100)
        covered += low <= 0.03 <= high
    assert covered / 2_000 > 0.93


def _verdict(*missed: Check) -> Verdict:
    factors = {
        "hair": FactorVerdict(passed=True, reasons=(), checks=missed),
        "hat": FactorVerdict(passed=False, reasons=()),
    }
    return Verdict(verdict="needs_approval" if missed else "pass", factors=factors, reasons=())


def test_a_mapped_adapter_passes_where_its_editable_factors_read_as_before() -> None:
    good = FactorLoss("hair", "agreement", 0.97, (0.95, 0.98))
    poor = FactorLoss("hat", "agreement", 0.50, (0.45, 0.55))
    passed = judge_mapped(Loss(300, 0.9, 0.9, (good, poor)), _verdict(), approved=True)
    assert (passed.outcome, passed.passed, passed.carried, passed.reasons) == ("equal", True, True, ())
    unsure = FactorLoss("hair", "agreement", 0.92, (0.88, 0.95))
    refused = judge_mapped(Loss(300, 0.9, 0.9, (unsure, poor)), _verdict(), approved=True)
    assert (refused.outcome, refused.passed, refused.carried) == ("worse", False, False)
    assert "0.92 (95 % 0.88 to 0.95, agreement) on 300 public pictures" in refused.reasons[0]


def test_rows_of_next_to_no_weight_are_no_evidence(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=400, noise=0.5)
    noisy_NL = tenant.latents_NL.copy()
    noisy_NL[200:] += 3 * np.random.default_rng(4).normal(size=(200, 16))
    values = tenant.values_NF, tenant.factor_set
    plain = paired_differences(tenant.latents_NL, noisy_NL, *values)
    weight_N = np.where(np.arange(400) < 200, 1.0, 1e-6)
    weighted = paired_differences(tenant.latents_NL, noisy_NL, *values, weight_N=weight_N)
    assert paired_differences(tenant.latents_NL, noisy_NL, *values, weight_N=np.full(400, 3.0)) == plain
    assert plain[-1].outcome == "worse"
    assert {one.outcome for one in weighted} == {"equal"}
    assert abs(weighted[-1].difference) < 0.01
    half = paired_differences(tenant.latents_NL[:200], noisy_NL[:200], tenant.values_NF[:200], tenant.factor_set)
    for one, other in zip(weighted[:-1], half[:-1], strict=True):
        reach = [two.interval[1] - two.interval[0] for two in (one, other)]
        assert reach[0] == pytest.approx(reach[1], abs=0.02)  # of 200 rows, not of 400
