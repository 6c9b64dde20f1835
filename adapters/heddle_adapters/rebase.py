"""May an adapter move to another base? The gate of a rollout, which nobody watches tenant by tenant.

Stricter than the gate of a fit in one way and more lenient in another. Stricter: "needs a person" does not move.
More lenient: what a person has accepted of the predecessor already (a refused factor, a wish missed) is no reason to
ask again, as long as the new version misses nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from heddle_adapters.gate import Verdict
from heddle_adapters.gate_compare import compare
from heddle_adapters.paired import Difference, Outcome
from heddle_adapters.report import Card
from heddle_adapters.transport import Loss

LEAST_AGREEMENT = 0.90  # lower bound, of a mapped factor's readings with those before, on pictures that are not its own

_SEVERITY = {"needs_approval": 1, "fail": 2}


@dataclass(frozen=True)
class Served:
    """The predecessor: its number, its card, its verdict, and whether a person approved of it as it is."""

    version: int
    card: Card
    verdict: Verdict
    approved: bool


@dataclass(frozen=True)
class Judgement:
    """What the rollout says of one adapter.

    Attributes:
        outcome: against its predecessor.
        passed: whether it may be served in its predecessor's place without a person.
        carried: whether it passes only with what a person accepted of the predecessor.
        verdict: of the gate, held against the predecessor.
        reasons: sentences, the gravest first; why it stays where it is, or what to know.
    """

    outcome: Outcome
    passed: bool
    carried: bool
    verdict: Verdict
    reasons: tuple[str, ...]


def judge_rebased(card: Card, verdict: Verdict, served: Served | None, differences: Sequence[Difference]) -> Judgement:
    """Judge an adapter that was fitted anew on another base.

    Args:
        card, verdict: of the new version.
        served: the predecessor; None if its card cannot be read any more, then `differences` decide alone.
        differences: paired, on the same rows and folds; the mean last.
    """
    if served is not None:
        verdict = compare(card, verdict, served.card, served.verdict, served.version)
    worse = [one for one in differences if one.outcome == "worse"]
    changes = verdict.compared.changes if verdict.compared else ()
    fallen = tuple(change.reason for change in changes if change.outcome != "pass")
    lost = (*(_fall(one) for one in worse), *fallen)
    better = not lost and any(one.outcome == "better" for one in differences)
    outcome: Outcome = "worse" if lost else "better" if better else "equal"
    known = _misses(served.verdict) if served is not None else {}
    missed = tuple(
        reason for check, (severity, reason) in _misses(verdict).items() if severity > known.get(check, (0, ""))[0]
    )
    asks = verdict.verdict != "pass" and (missed or served is None or not served.approved)
    passed = not lost and verdict.verdict != "fail" and not asks
    reasons = (*lost, *(verdict.reasons if asks or verdict.verdict == "fail" else ()), *missed)
    carried = passed and verdict.verdict != "pass"
    return Judgement(outcome, passed, carried, verdict, tuple(dict.fromkeys(reasons)))


def judge_mapped(loss: Loss, verdict: Verdict, *, approved: bool) -> Judgement:
    """Judge an adapter that was carried over without its images: only public anchors can say what it lost.

    It is never "better". It passes if every factor that its predecessor may edit reads as before, to the lower bound.

    Args:
        loss: measured on held-out anchors.
        verdict: the predecessor's own, which stays its verdict.
        approved: whether the predecessor is served with a person's approval.
    """
    editable = {name for name, factor in verdict.factors.items() if factor.passed}
    reasons = tuple(
        f"mapped without its images, {one.name!r} reads as before to {one.value:.2f} (95 % {one.interval[0]:.2f} to "
        f"{one.interval[1]:.2f}, {one.measure}) on {loss.anchors} public pictures, at least "
        f"{LEAST_AGREEMENT:.2f} is wanted; label and upload images again and fit on the new base"
        for one in loss.factors
        if one.name in editable and one.interval[0] < LEAST_AGREEMENT
    )
    passed = not reasons
    return Judgement("equal" if passed else "worse", passed, passed and approved, verdict, reasons)


def _fall(one: Difference) -> str:
    where = f"the {one.measure} of {one.factor!r}" if one.factor else "the mean over factors"
    return (
        f"{where} went from {one.before:.3f} to {one.after:.3f} on the same {one.rows} rows, out of fold (difference "
        f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}); it stays on its base until somebody fits and approves"
    )


def _misses(verdict: Verdict) -> dict[str, tuple[int, str]]:
    """Return scope and check -> how badly the adapter's own checks miss, and the sentence about it."""
    found: dict[str, tuple[int, str]] = {}
    scoped = [("whole", check) for check in verdict.checks]
    scoped += [(name, check) for name, factor in verdict.factors.items() for check in factor.checks]
    for scope, check in scoped:
        if check.outcome != "pass":
            key, severity = f"{scope} {check.measure}", _SEVERITY[check.outcome]
            found[key] = max(found.get(key, (0, "")), (severity, check.reason))
    return found
