"""The gate's checks of one factor."""

import math

from pydantic import BaseModel, ConfigDict

from heddle_adapters.gate_check import Check, at_least, at_most
from heddle_adapters.report import Card, FactorCard
from heddle_platform.factors import FactorSet, FactorSpec


class GateThresholds(BaseModel):
    """Defaults of the gate, shares in 0..1; a tenant's `accept` goes before them.

    Attributes:
        clear: share of the way from chance to 1 that the lower bound of the accuracy must have gone.
        accuracy: least accuracy (or R squared), unless `lift` is reached.
        lift: least share of the way from chance to 1, sufficient in place of `accuracy`.
        effect: least share of edits that reach their target.
        effect_mean: the same for the mean over editable factors.
        leakage: most that any other readable factor may change; a tenant's looser `leakage_max` goes before it,
            a stricter one is a wish of the whole set.
        preserved: least share of the rest of the picture that stays, below which a person must look; .85 is good.
        faithful: largest relative error between latents asked for and drawn, above which one must; .25 is good.
        regression: how much worse than production a number may be beyond noise.
        regression_fails: how much worse the mean over factors may be beyond noise before the version fails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    clear: float = 0.10
    accuracy: float = 0.70
    lift: float = 0.50
    effect: float = 0.60
    effect_mean: float = 0.60
    leakage: float = 0.20
    preserved: float = 0.60
    faithful: float = 0.50
    regression: float = 0.02
    regression_fails: float = 0.15


def factor_checks(
    card: Card, factor: FactorSpec, factor_set: FactorSet, thresholds: GateThresholds
) -> tuple[Check, ...]:
    """Return all checks of one factor."""
    found = card.factor(factor.name)
    leakage = max(thresholds.leakage, factor_set.accept.leakage_max or 0.0)
    return (
        _clear(found, thresholds),
        _accuracy(found, factor, thresholds),
        *_effect(found, factor.accept.effect, thresholds),
        *_leakage(found, leakage, leakage > thresholds.leakage),
        *_fidelity(card, found, thresholds),
    )


def mean_effect(card: Card, factor_set: FactorSet, refused: list[str]) -> tuple[float, float] | None:
    """Return the mean effect of editable factors, weighted by importance, and its lower bound; None without any."""
    weights = {factor.name: factor.importance for factor in factor_set.factors}
    served = [found for found in card.factors if found.name not in refused and found.effect is not None]
    total = sum(weights[found.name] for found in served)
    if not served:
        return None
    mean = sum(weights[found.name] * (found.effect or 0.0) for found in served) / total
    reach = math.sqrt(sum((weights[found.name] * ((found.effect or 0.0) - found.effect_low)) ** 2 for found in served))
    return mean, mean - reach / total


def _clear(card: FactorCard, thresholds: GateThresholds) -> Check:
    word, low = _word(card), card.accuracy_interval[0]
    least = card.chance + thresholds.clear * (1.0 - card.chance)
    miss = (
        f"the {word} of {card.name!r} is {card.accuracy:.2f} and may be as low as {low:.2f}, always guessing the "
        f"commonest level gives {card.chance:.2f} and {least:.2f} is needed to be sure it is read at all; label "
        f"more than {card.labels} images, or it may not be visible at this size"
    )
    found = at_least("clear", low, low, least, False, miss, miss)
    return found.model_copy(update={"value": card.accuracy})


def _accuracy(card: FactorCard, factor: FactorSpec, thresholds: GateThresholds) -> Check:
    word, low = _word(card), card.accuracy_interval[0]
    measure = card.measure
    asked = factor.accept.accuracy if card.measure == "accuracy" else factor.accept.r2
    start = f"the {word} of {card.name!r} is {card.accuracy:.2f}"
    unsure = f"{start} and may be as low as {low:.2f}"
    if asked is not None:
        remedy = (
            f"you asked for {asked:.2f}; label more images than its {card.labels}, most of all of levels that are "
            "mixed up, or accept less"
        )
        return at_least(measure, card.accuracy, low, asked, True, f"{start}, {remedy}", f"{unsure}, {remedy}")
    floor = min(thresholds.accuracy, card.chance + thresholds.lift * (1.0 - card.chance))
    remedy = (
        f"at least {floor:.2f} is needed; label more images than its {card.labels}, or merge levels that look alike"
    )
    return at_least(measure, card.accuracy, low, floor, False, f"{start}, {remedy}", f"{unsure}, {remedy}")


def _effect(card: FactorCard, asked: float | None, thresholds: GateThresholds) -> list[Check]:
    least = asked or thresholds.effect
    if card.effect is None:
        reason = f"no edit of {card.name!r} could be judged (0 edits, at least 1 is needed); label more images"
        return [Check(measure="effect", value=None, bound=None, threshold=least, outcome="fail", reason=reason)]
    cause = (
        f"; even unedited pictures keep their reading only in {card.survives:.2f} of cases, so the base can hardly "
        "draw it: a base trained on such pictures would help"
        if card.survives is not None and card.survives < least
        else "; label more images of its rarer levels, or accept less"
    )
    start = f"edits of {card.name!r} arrive in {card.effect:.2f} of cases"
    miss = f"{start}, at least {least:.2f} is needed{cause}"
    doubt = f"{start} and may do so in {card.effect_low:.2f} only, at least {least:.2f} is needed{cause}"
    return [at_least("effect", card.effect, card.effect_low, least, asked is not None, miss, doubt)]


def _leakage(card: FactorCard, most: float, tenant: bool) -> list[Check]:
    if card.leakage is None:
        return []
    remedy = (
        f"at most {most:.2f} is allowed; label images in which {card.name!r} varies while {card.leakage_into!r} does "
        "not, or allow more with leakage_max"
    )
    start = f"edits of {card.name!r} change {card.leakage_into!r} in {card.leakage:.2f} of cases"
    doubt = f"{start} and may change another factor in {card.leakage_high:.2f}, {remedy}"
    return [at_most("leakage", card.leakage, card.leakage_high, most, tenant, f"{start}, {remedy}", doubt)]


def _fidelity(card: Card, found: FactorCard, thresholds: GateThresholds) -> list[Check]:
    measured = {one.factor: one for one in card.measured.fidelity}.get(found.name) if card.measured else None
    if measured is None:
        return []
    checks = []
    if measured.preserved is not None:
        reason = (
            f"edits of {found.name!r} keep {measured.preserved:.2f} of what no factor names, "
            f"{thresholds.preserved:.2f} is wanted; name what else changes as a factor of its own, or look at the "
            "pictures and approve"
        )
        checks.append(_watched("preserved", measured.preserved, thresholds.preserved, 1, reason))
    reason = (
        f"pictures of edits of {found.name!r} differ from what was asked by {measured.faithful:.2f}, at most "
        f"{thresholds.faithful:.2f} is wanted; a base trained on such pictures would help, or look at the pictures "
        "and approve"
    )
    checks.append(_watched("faithful", measured.faithful, thresholds.faithful, -1, reason))
    return checks


def _watched(measure: str, value: float, threshold: float, sign: int, reason: str) -> Check:
    """A check that asks for a person and refuses nothing."""
    missed = sign * value < sign * threshold
    return Check.model_validate(
        {
            "measure": measure,
            "value": value,
            "bound": value,
            "threshold": threshold,
            "outcome": "needs_approval" if missed else "pass",
            "reason": reason if missed else "",
        }
    )


def _word(card: FactorCard) -> str:
    return "accuracy" if card.measure == "accuracy" else "R squared"
