"""The gate: is this adapter good enough to serve? Thresholds are data, every refusal says what would fix it.

A factor that does not pass is *refused*: it can be read, not edited. An adapter none of whose factors pass, or
with fewer labels than the tenant asked for, fails; one that misses something waits for a person.
"""

from pydantic import BaseModel, ConfigDict

from heddle_adapters.report import Card, FactorCard
from heddle_platform.factors import FactorSet, FactorSpec
from heddle_platform.records import GateVerdict


class GateThresholds(BaseModel):
    """Defaults of the gate, shares in 0..1; a tenant's `accept` goes before them.

    Attributes:
        clear: share of the way from chance to 1 that the lower bound of the accuracy must have gone.
        accuracy: least accuracy (or R squared), unless `lift` is reached.
        lift: least share of the way from chance to 1, sufficient in place of `accuracy`.
        effect: least share of edits that reach their target.
        leakage: most that any other readable factor may change; a tenant's looser `leakage_max` goes before it,
            a stricter one is a wish of the whole set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    clear: float = 0.10
    accuracy: float = 0.70
    lift: float = 0.50
    effect: float = 0.60
    leakage: float = 0.20


class FactorVerdict(BaseModel):
    """Whether a factor may be edited, and every reason why not."""

    model_config = ConfigDict(frozen=True)
    passed: bool
    reasons: tuple[str, ...]


class Verdict(BaseModel):
    """What the gate says of the whole adapter."""

    model_config = ConfigDict(frozen=True)
    verdict: GateVerdict
    factors: dict[str, FactorVerdict]
    reasons: tuple[str, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        """Names of factors that may not be edited, for `Adapter.with_refused`."""
        return tuple(name for name, verdict in self.factors.items() if not verdict.passed)


def judge(card: Card, factor_set: FactorSet, thresholds: GateThresholds | None = None) -> Verdict:
    """Judge a card.

    A factor passes when its accuracy clearly beats chance and reaches its floor, its edits arrive, and they
    leave other factors alone. The whole fails if no factor passes or labels are fewer than asked for; it
    needs approval if a factor is refused or a wish of the whole set is missed.

    Args:
        card: report card of the fit.
        factor_set: the factors, with the tenant's `accept`.
        thresholds: defaults where the tenant set none.
    """
    thresholds = thresholds or GateThresholds()
    leakage = max(thresholds.leakage, factor_set.accept.leakage_max or 0.0)
    factors = {}
    for factor in factor_set.factors:
        found = card.factor(factor.name)
        reasons = [
            *_accuracy_reasons(found, factor, thresholds),
            *_effect_reasons(found, factor.accept.effect or thresholds.effect),
            *_leakage_reasons(found, leakage),
        ]
        factors[factor.name] = FactorVerdict(passed=not reasons, reasons=tuple(reasons))
    refused = [name for name, verdict in factors.items() if not verdict.passed]
    failures = _failures(card, factor_set, len(refused))
    wishes = _missed_wishes(card, factor_set, refused)
    if refused and len(refused) < len(factors):
        wishes.insert(
            0, f"{len(refused)} of {len(factors)} factors did not pass and cannot be edited: {', '.join(refused)}"
        )
    verdict: GateVerdict = "fail" if failures else "needs_approval" if wishes else "pass"
    return Verdict(verdict=verdict, factors=factors, reasons=(*failures, *wishes))


def _accuracy_reasons(card: FactorCard, factor: FactorSpec, thresholds: GateThresholds) -> list[str]:
    reasons = []
    word = "accuracy" if card.measure == "accuracy" else "R squared"
    low = card.accuracy_interval[0]
    least = card.chance + thresholds.clear * (1.0 - card.chance)
    if low < least:
        reasons.append(
            f"the {word} of {card.name!r} is {card.accuracy:.2f} and may be as low as {low:.2f}, always guessing the "
            f"commonest level gives {card.chance:.2f} and {least:.2f} is needed to be sure it is read at all; label "
            f"more than {card.labels} images, or it may not be visible at this size"
        )
    asked = factor.accept.accuracy if card.measure == "accuracy" else factor.accept.r2
    if asked is not None:
        if card.accuracy < asked:
            reasons.append(
                f"the {word} of {card.name!r} is {card.accuracy:.2f}, you asked for {asked:.2f}; label more "
                f"images than its {card.labels}, most of all of levels that are mixed up, or accept less"
            )
        return reasons
    floor = min(thresholds.accuracy, card.chance + thresholds.lift * (1.0 - card.chance))
    if card.accuracy < floor:
        reasons.append(
            f"the {word} of {card.name!r} is {card.accuracy:.2f}, at least {floor:.2f} is needed; label more images "
            f"than its {card.labels}, or merge levels that look alike"
        )
    return reasons


def _effect_reasons(card: FactorCard, least: float) -> list[str]:
    if card.effect is None:
        return [f"no edit of {card.name!r} could be judged (0 edits, at least 1 is needed); label more images"]
    if card.effect >= least:
        return []
    cause = (
        f"; even unedited pictures keep their reading only in {card.survives:.2f} of cases, so the base can hardly "
        "draw it: a base trained on such pictures would help"
        if card.survives is not None and card.survives < least
        else "; label more images of its rarer levels, or accept less"
    )
    return [f"edits of {card.name!r} arrive in {card.effect:.2f} of cases, at least {least:.2f} is needed{cause}"]


def _leakage_reasons(card: FactorCard, most: float) -> list[str]:
    if card.leakage is None or card.leakage <= most:
        return []
    return [
        f"edits of {card.name!r} change {card.leakage_into!r} in {card.leakage:.2f} of cases, at most {most:.2f} is "
        f"allowed; label images in which {card.name!r} varies while {card.leakage_into!r} does not, or allow more "
        "with leakage_max"
    ]


def _failures(card: Card, factor_set: FactorSet, refused: int) -> list[str]:
    failures = []
    if refused == len(factor_set.factors):
        failures.append(
            f"0 of {refused} factors passed, at least 1 is needed; the reasons of each factor say what would help"
        )
    least = factor_set.accept.labels_min
    if least is not None and card.labels < least:
        failures.append(f"there are {card.labels} labelled images, you asked for at least {least}; label more")
    return failures


def _missed_wishes(card: Card, factor_set: FactorSet, refused: list[str]) -> list[str]:
    wishes = []
    accept = factor_set.accept
    if accept.mig is not None and (card.mig.value is None or card.mig.value < accept.mig):
        found = "not defined for these labels" if card.mig.value is None else f"{card.mig.value:.2f}"
        wishes.append(
            f"the mutual information gap of the sliders is {found}, you asked for {accept.mig:.2f}; label more images, "
            "most of all ones where factors disagree"
        )
    served = [found.leakage for found in card.factors if found.name not in refused and found.leakage is not None]
    if accept.leakage_max is not None and served and max(served) > accept.leakage_max:
        wishes.append(
            f"the largest leakage of an editable factor is {max(served):.2f}, you asked for at most "
            f"{accept.leakage_max:.2f}; label images in which factors vary one at a time"
        )
    return wishes
