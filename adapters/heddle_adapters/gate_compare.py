"""A new version held against the one in production: worse beyond noise needs a person, much worse fails."""

import math
from collections.abc import Iterator
from itertools import chain

from heddle_adapters.gate import Change, Comparison, GateThresholds, Verdict
from heddle_adapters.gate_check import worst
from heddle_adapters.report import Card, FactorCard
from heddle_platform.records import GateVerdict

_KEEP = "label more images of it, or fit on production's labelled set as well; production stays as it is until approval"


def compare(card: Card, verdict: Verdict, production: Card, served: Verdict, version: int) -> Verdict:
    """Return the verdict with what became worse since the version in production.

    A number is worse if it fell by more than the 95 % noise of the difference of two measurements and by more than
    the tolerance. A factor's fall, or its loss, needs approval; a fall of the mean over factors beyond
    `regression_fails` fails the version. Nothing here refuses a factor: the adapter stays what the data made it.

    Args:
        card, verdict: of the new version.
        production, served: card and verdict of the version in production.
        version: its number.
    """
    thresholds = verdict.thresholds or GateThresholds()
    changes: list[Change] = []
    skipped: dict[str, str] = {}
    known = {factor.name for factor in card.factors}
    for before in production.factors:
        editable = before.name in served.factors and served.factors[before.name].passed
        if not editable:
            skipped[before.name] = f"production (version {version}) does not edit it either"
        elif before.name not in known:
            changes.append(
                _lost(before.name, f"version {version} edits {before.name!r}, this version has no such factor")
            )
        elif not verdict.factors[before.name].passed:
            changes.append(_lost(before.name, f"version {version} edits {before.name!r}, this version must refuse it"))
        else:
            after = card.factor(before.name)
            if set(before.counts) != set(after.counts) or before.measure != after.measure:
                skipped[before.name] = f"its levels or kind are not those of version {version}"
            else:
                changes.extend(_factor_changes(before, after, version, thresholds))
    changes.extend(_whole_changes(changes, version, thresholds))
    reasons = tuple(change.reason for change in changes if change.outcome != "pass")
    outcomes = (verdict.verdict, *(change.outcome for change in changes))
    order: tuple[GateVerdict, ...] = ("fail", "needs_approval")
    whole: GateVerdict = next((one for one in order if one in outcomes), "pass")
    failed = tuple(change.reason for change in changes if change.outcome == "fail")
    rest = tuple(reason for reason in reasons if reason not in failed)
    # what failed comes first: the job's error shows the first reason
    own_fails = worst(verdict.checks) == "fail"
    ordered = (*verdict.reasons, *failed, *rest) if own_fails else (*failed, *verdict.reasons, *rest)
    return verdict.model_copy(
        update={
            "verdict": whole,
            "reasons": ordered,
            "compared": Comparison(version=version, changes=tuple(changes), skipped=skipped),
        }
    )


def _lost(name: str, sentence: str) -> Change:
    return Change(
        factor=name,
        measure="present",
        before=1.0,
        after=0.0,
        noise=None,
        outcome="needs_approval",
        reason=f"{sentence}: requests that set it would fail; {_KEEP}",
    )


def _factor_changes(
    before: FactorCard, after: FactorCard, version: int, thresholds: GateThresholds
) -> Iterator[Change]:
    rows = (
        (
            "accuracy",
            before.accuracy,
            after.accuracy,
            _reach(*before.accuracy_interval),
            _reach(*after.accuracy_interval),
        ),
        ("effect", before.effect, after.effect, before.effect_reach, after.effect_reach),
        ("leakage", before.leakage, after.leakage, before.leakage_reach, after.leakage_reach),
    )
    for measure, old, new, old_reach, new_reach in rows:
        if old is None or new is None:
            continue
        noise = math.hypot(old_reach, new_reach)
        worse = new - old if measure == "leakage" else old - new
        regressed = worse > max(noise, thresholds.regression)
        reason = (
            f"the {measure} of {after.name!r} went from {old:.2f} (version {version}, in production) to {new:.2f}, "
            f"beyond the noise of {noise:.2f}; {_KEEP}"
            if regressed
            else ""
        )
        yield Change(
            factor=after.name,
            measure=measure,
            before=old,
            after=new,
            noise=round(noise, 6),
            outcome="needs_approval" if regressed else "pass",
            reason=reason,
        )


def _whole_changes(changes: list[Change], version: int, thresholds: GateThresholds) -> Iterator[Change]:
    """The mean over the factors both versions edit."""
    return chain.from_iterable(
        _mean_change(measure, [change for change in changes if change.measure == measure], version, thresholds)
        for measure in ("accuracy", "effect")
    )


def _mean_change(measure: str, changes: list[Change], version: int, thresholds: GateThresholds) -> Iterator[Change]:
    pairs = [
        (one.before, one.after, one.noise or 0.0) for one in changes if one.before is not None and one.after is not None
    ]
    if not pairs:
        return
    old = sum(pair[0] for pair in pairs) / len(pairs)
    new = sum(pair[1] for pair in pairs) / len(pairs)
    noise = math.sqrt(sum(pair[2] ** 2 for pair in pairs)) / len(pairs)
    drop = old - new
    outcome: GateVerdict = "pass"
    if drop > max(noise, thresholds.regression):
        outcome = "fail" if drop - noise > thresholds.regression_fails else "needs_approval"
    reason = (
        f"the mean {measure} of {len(pairs)} factor(s) went from {old:.2f} (version {version}, in production) to "
        f"{new:.2f}, beyond the noise of {noise:.2f}; {_KEEP}"
        if outcome != "pass"
        else ""
    )
    yield Change(
        factor=None,
        measure=measure,
        before=round(old, 6),
        after=round(new, 6),
        noise=round(noise, 6),
        outcome=outcome,
        reason=reason,
    )


def _reach(low: float, high: float) -> float:
    return (high - low) / 2
