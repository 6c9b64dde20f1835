"""Warnings about edits: where they go too far or not far enough, and where they follow the labels' correlation."""

from collections.abc import Mapping

from heddle_adapters.report import CardWarning
from heddle_adapters.report_edits import CurveCard, EditsCard, LeakCard

LEAST_UNIT, MOST_UNIT = 0.8, 1.2  # of e(1)
LEARNT = 0.10  # signed leakage, sd per sd
UNSTEADY = 0.20  # of edits: science's limit for leakage, held against what is not net of redrawing
CLEAR_ASSOCIATION = 0.16  # what 300 labels detect with 80 % power


def edit_warnings(measured: EditsCard) -> tuple[CardWarning, ...]:
    """Return warnings about edits; codes `learnt_correlation`, `overshoots`, `undershoots`."""
    return (
        *(_learnt(leak) for leak in measured.leaks if leak.signed > LEARNT and leak.association > CLEAR_ASSOCIATION),
        *(_off(curve) for curve in measured.curves if _is_off(curve)),
    )


def unsteady_warnings(
    changed: Mapping[str, Mapping[str, float]], survives: Mapping[str, float | None]
) -> tuple[CardWarning, ...]:
    """Return warnings of factors that read otherwise after many edits of others; code `unsteady`.

    Leakage, net of what redrawing does, can be small where this is large: what the base hardly draws flips both ways.

    Args:
        changed: edited factor -> other factor -> share that reads otherwise than redrawn without the edit.
        survives: factor -> share whose reading survives redrawing; None for numbers.
    """
    warnings = []
    for other, kept in survives.items():
        shares = {edited: row[other] for edited, row in changed.items() if row.get(other, 0.0) > UNSTEADY}
        if not shares:
            continue
        most = max(shares, key=lambda edited: shares[edited])
        redrawn = f"; redrawing alone keeps it in {kept:.2f}" if kept is not None else ""
        warnings.append(
            CardWarning(
                code="unsteady",
                factors=(other, *shares),
                detail=f"{other!r} reads otherwise after {shares[most]:.2f} of edits of {most!r} (warned above "
                f"{UNSTEADY}, {len(shares)} factor(s) do so){redrawn}: the base draws it too faintly to hold it still",
                numbers={"changed": shares[most], "survives": 1.0 if kept is None else kept, "warned_above": UNSTEADY},
                action=f"look at the pictures before you promise that {other!r} stays; ask for it with preserve, or "
                "use a base that draws it",
            )
        )
    return tuple(warnings)


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
