"""The gate: is this adapter good enough to serve? Thresholds are data, every refusal says what would fix it.

A number passes when the bound of its 95 % interval reaches the threshold; where only the number does, a person must
approve. A factor that misses is *refused*: it can be read, not edited. An adapter none of whose factors pass, or with
fewer labels than the tenant asked for, fails; one that misses something else waits for a person. The version now in
production is held against it in `gate_compare`.
"""

from pydantic import BaseModel, ConfigDict, Field

from heddle_adapters.gate_check import Check, at_least, at_most, worst
from heddle_adapters.gate_factor import GateThresholds, factor_checks, mean_effect
from heddle_adapters.report import Card
from heddle_platform.factors import FactorSet
from heddle_platform.records import GateVerdict

__all__ = ["Change", "Comparison", "FactorVerdict", "GateThresholds", "Verdict", "judge"]


class FactorVerdict(BaseModel):
    """Whether a factor may be edited, and every reason why not, or why somebody should look first.

    Attributes:
        passed: whether it may be edited (once a person approved, where `verdict` asks for one).
        verdict: of its checks.
        reasons: a sentence for every check that did not pass.
        checks: all of them, as data.
    """

    model_config = ConfigDict(frozen=True)
    passed: bool
    reasons: tuple[str, ...]
    verdict: GateVerdict = "pass"
    checks: tuple[Check, ...] = ()


class Change(BaseModel):
    """What became of one number since the version in production.

    Attributes:
        factor: its name; None for the whole.
        measure: what.
        before, after: values.
        noise: half the 95 % interval of their difference.
        outcome: "pass" unless it became worse by more than noise and tolerance.
        reason: why, and what would fix it; empty if it passed.
    """

    model_config = ConfigDict(frozen=True)
    factor: str | None
    measure: str
    before: float | None
    after: float | None
    noise: float | None
    outcome: GateVerdict
    reason: str


class Comparison(BaseModel):
    """Held against the version in production.

    Attributes:
        version: its number.
        changes: every number compared.
        skipped: factors that cannot be compared, each with the reason.
    """

    model_config = ConfigDict(frozen=True)
    version: int
    changes: tuple[Change, ...]
    skipped: dict[str, str] = Field(default_factory=dict)


class Verdict(BaseModel):
    """What the gate says of the whole adapter.

    Attributes:
        verdict: "pass", "needs_approval" or "fail".
        factors: by name.
        reasons: every sentence about the whole, the gravest first.
        checks: of the whole, as data.
        thresholds: the gate's defaults at the time.
        compared: with production; None for the first version, and on the stored card, which knows no production.
    """

    model_config = ConfigDict(frozen=True)
    verdict: GateVerdict
    factors: dict[str, FactorVerdict]
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    thresholds: GateThresholds | None = None
    compared: Comparison | None = None

    @property
    def refused(self) -> tuple[str, ...]:
        """Names of factors that may not be edited, for `Adapter.with_refused`."""
        return tuple(name for name, verdict in self.factors.items() if not verdict.passed)


def judge(card: Card, factor_set: FactorSet, thresholds: GateThresholds | None = None) -> Verdict:
    """Judge a card.

    A factor passes when its accuracy clearly beats chance and reaches its floor, its edits arrive, and they
    leave other factors and the rest of the picture alone. The whole fails if no factor passes or labels are fewer
    than asked for; it needs approval if a factor is refused or unsure, or a wish of the whole set is missed.

    Args:
        card: report card of the fit.
        factor_set: the factors, with the tenant's `accept`.
        thresholds: defaults where the tenant set none.
    """
    thresholds = thresholds or GateThresholds()
    factors = {}
    for factor in factor_set.factors:
        checks = factor_checks(card, factor, factor_set, thresholds)
        outcome = worst(checks)
        reasons = tuple(check.reason for check in checks if check.outcome != "pass")
        factors[factor.name] = FactorVerdict(
            passed=outcome != "fail", reasons=reasons, verdict=outcome, checks=tuple(checks)
        )
    refused = [name for name, verdict in factors.items() if not verdict.passed]
    unsure = [name for name, verdict in factors.items() if verdict.verdict == "needs_approval"]
    whole = (
        *_count_checks(card, factor_set, refused, unsure),
        *_wish_checks(card, factor_set, refused, thresholds),
    )
    ordered = sorted(whole, key=lambda check: check.outcome != "fail")
    return Verdict(
        verdict=worst(whole),
        factors=factors,
        reasons=tuple(check.reason for check in ordered if check.outcome != "pass"),
        checks=whole,
        thresholds=thresholds,
    )


def _count_checks(card: Card, factor_set: FactorSet, refused: list[str], unsure: list[str]) -> list[Check]:
    total = len(factor_set.factors)
    good = total - len(refused)
    outcome: GateVerdict = "pass"
    reason = ""
    if not good:
        outcome = "fail"
        reason = f"0 of {total} factors passed, at least 1 is needed; the reasons of each factor say what would help"
    elif refused:
        outcome = "needs_approval"
        reason = f"{len(refused)} of {total} factors did not pass and cannot be edited: {', '.join(refused)}"
    checks = [Check(measure="factors", value=good, bound=good, threshold=total, outcome=outcome, reason=reason)]
    if unsure:
        reason = (
            f"{len(unsure)} of {total} factors reach their thresholds only within the noise: {', '.join(unsure)}; "
            "approve if that will do, or label more images to be sure"
        )
        sure = good - len(unsure)
        checks.append(
            Check(measure="factors", value=good, bound=sure, threshold=total, outcome="needs_approval", reason=reason)
        )
    least = factor_set.accept.labels_min
    if least is not None:
        few = card.labels < least
        checks.append(
            Check(
                measure="labels",
                value=card.labels,
                bound=card.labels,
                threshold=least,
                source="tenant",
                outcome="fail" if few else "pass",
                reason=f"there are {card.labels} labelled images, you asked for at least {least}; label more"
                if few
                else "",
            )
        )
    return checks


def _wish_checks(card: Card, factor_set: FactorSet, refused: list[str], thresholds: GateThresholds) -> list[Check]:
    """Check the whole set; nothing here fails an adapter, somebody may accept it as it is."""
    accept, checks = factor_set.accept, []
    if accept.mig is not None:
        remedy = "label more images, most of all ones where factors disagree"
        share = card.labelling.mig_ceiling if card.labelling else None
        if share is not None and share < accept.mig:
            remedy = f"these labels allow {share:.2f} at most, because factors go together; {remedy}"
        start = "the mutual information gap of the sliders is"
        value = card.mig.value
        if value is None:
            reason = f"{start} not defined for these labels, you asked for {accept.mig:.2f}; {remedy}"
            checks.append(
                Check(
                    measure="mig",
                    value=None,
                    bound=None,
                    threshold=accept.mig,
                    source="tenant",
                    outcome="fail",
                    reason=reason,
                )
            )
        else:
            low = card.mig.interval[0] if card.mig.interval else value
            miss = f"{start} {value:.2f}, you asked for {accept.mig:.2f}; {remedy}"
            doubt = f"{start} {value:.2f} and may be as low as {low:.2f}, you asked for {accept.mig:.2f}; {remedy}"
            checks.append(at_least("mig", value, low, accept.mig, True, miss, doubt))
    served = [found for found in card.factors if found.name not in refused and found.leakage is not None]
    if accept.leakage_max is not None and served:
        value = max(found.leakage or 0.0 for found in served)
        high = max(value, *(found.leakage_high for found in served))
        remedy = f"you asked for at most {accept.leakage_max:.2f}; label images in which factors vary one at a time"
        miss = f"the largest leakage of an editable factor is {value:.2f}, {remedy}"
        doubt = f"the largest leakage of an editable factor is {value:.2f} and may be as high as {high:.2f}, {remedy}"
        checks.append(at_most("leakage", value, high, accept.leakage_max, True, miss, doubt))
    mean = mean_effect(card, factor_set, refused)
    if mean is not None:
        value, low = mean
        remedy = f"at least {thresholds.effect_mean:.2f} is wanted; label more images of rare levels"
        miss = f"edits of editable factors arrive in {value:.2f} of cases on average, {remedy}"
        doubt = f"edits arrive in {value:.2f} of cases on average and may do so in {low:.2f} only, {remedy}"
        checks.append(at_least("effect", value, low, thresholds.effect_mean, False, miss, doubt))
    return [_softened(check) for check in checks]


def _softened(check: Check) -> Check:
    return check.model_copy(update={"outcome": "needs_approval"}) if check.outcome == "fail" else check
