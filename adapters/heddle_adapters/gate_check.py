"""One check of the gate: a number, the bound that decides, the threshold, and the sentence."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from heddle_platform.records import GateVerdict

Measure = Literal[
    "clear", "accuracy", "r2", "effect", "leakage", "mig", "labels", "preserved", "faithful", "factors", "present"
]


class Check(BaseModel):
    """One thing the gate looked at.

    Attributes:
        measure: what.
        value: as measured; None where it is not defined.
        bound: the end of its 95 % interval that decides: the lower of what shall be high, the upper of what shall be
            low.
        threshold: what the bound must reach, or not exceed.
        source: whose threshold it is: the gate's default, the tenant's, or the version in production.
        outcome: "fail" if the value itself misses, "needs_approval" if only its bound does.
        reason: why, and what would fix it; empty if it passed.
    """

    model_config = ConfigDict(frozen=True)
    measure: Measure
    value: float | None
    bound: float | None
    threshold: float
    source: Literal["default", "tenant", "production"] = "default"
    outcome: GateVerdict = "pass"
    reason: str = ""


def at_least(
    measure: Measure, value: float, low: float, threshold: float, tenant: bool, miss: str, doubt: str
) -> Check:
    """Check that something is high enough.

    Args:
        measure: what.
        value, low: as measured, and the lower end of its interval.
        threshold: what it must reach.
        tenant: whether the tenant asked for it.
        miss: sentence if the value misses it.
        doubt: sentence if only the lower bound does.
    """
    outcome: GateVerdict = "fail" if value < threshold else "needs_approval" if low < threshold else "pass"
    reason = {"fail": miss, "needs_approval": doubt, "pass": ""}[outcome]
    return Check(
        measure=measure,
        value=value,
        bound=low,
        threshold=round(threshold, 6),
        source="tenant" if tenant else "default",
        outcome=outcome,
        reason=reason,
    )


def at_most(
    measure: Measure, value: float, high: float, threshold: float, tenant: bool, miss: str, doubt: str
) -> Check:
    """Check that something is low enough; see `at_least`."""
    found = at_least(measure, -value, -high, -threshold, tenant, miss, doubt)
    return found.model_copy(update={"value": value, "bound": high, "threshold": round(threshold, 6)})


def worst(checks: tuple[Check, ...]) -> GateVerdict:
    """Return the worst outcome; "pass" of none."""
    order: tuple[GateVerdict, ...] = ("fail", "needs_approval")
    return next((outcome for outcome in order if any(check.outcome == outcome for check in checks)), "pass")
