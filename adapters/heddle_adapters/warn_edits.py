"""Warnings about edits: where they go too far or not far enough, and where they follow the labels' correlation."""

from heddle_adapters.report import CardWarning
from heddle_adapters.report_edits import CurveCard, EditsCard, LeakCard

LEAST_UNIT, MOST_UNIT = 0.8, 1.2  # of e(1)
LEARNT = 0.10  # signed leakage, sd per sd
CLEAR_ASSOCIATION = 0.16  # what 300 labels detect with 80 % power


def edit_warnings(measured: EditsCard) -> tuple[CardWarning, ...]:
    """Return warnings about edits; codes `learnt_correlation`, `overshoots`, `undershoots`."""
    return (
        *(_learnt(leak) for leak in measured.leaks if leak.signed > LEARNT and leak.association > CLEAR_ASSOCIATION),
        *(_off(curve) for curve in measured.curves if _is_off(curve)),
    )


def _learnt(leak: LeakCard) -> CardWarning:
    return CardWarning(
        code="learnt_correlation",
        factors=(leak.edited, leak.other),
        detail=f"edits of {leak.edited!r} move {leak.other!r} by {leak.signed:.2f} sd per sd the way their labels go "
        f"together ({leak.association:.2f}); at most {LEARNT:.2f} is good",
        numbers={"signed": leak.signed, "association": leak.association, "warned_above": LEARNT},
        action=f"label images in which {leak.edited!r} and {leak.other!r} disagree",
    )


def _is_off(curve: CurveCard) -> bool:
    """Whether e(1) lies outside .8 to 1.2 with its whole interval."""
    low, high = next(point.interval for point in curve.points if point.strength == 1.0)
    return low > MOST_UNIT or high < LEAST_UNIT


def _off(curve: CurveCard) -> CardWarning:
    over = curve.unit_effect > MOST_UNIT
    action = (
        f"expect caricatures: label more images of {curve.factor!r}, so that less gain is needed to make it flip"
        if over
        else f"label more images of {curve.factor!r}; a base that draws it better would help"
    )
    return CardWarning(
        code="overshoots" if over else "undershoots",
        factors=(curve.factor,),
        detail=f"an edit of {curve.factor!r} moves its reading {curve.unit_effect:.2f} times as far as real pictures "
        f"lie apart; {LEAST_UNIT} to {MOST_UNIT} is wanted",
        numbers={"unit_effect": curve.unit_effect, "least": LEAST_UNIT, "most": MOST_UNIT},
        action=action,
    )
