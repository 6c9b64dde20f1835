"""The pictures of the scorecard: effect curves and the leakage heat map, as inline SVG that follows light and dark.

Colours are classes of the page's style sheet; every figure says in words what it shows. Names are escaped.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from heddle_adapters.report import Card
from heddle_adapters.report_edits import CurveCard, CurvePoint, LeakCard

_WIDTH, _HEIGHT = 260, 194
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 8, 8, 38
_TALLEST: Final = 10.0  # effects beyond it are drawn at the edge: an unreadable factor's curve has no scale
_REACH: Final = 2.0  # strengths and effects shown, either way; a steeper curve widens its own axis
_CELL, _CELL_HEIGHT = 54, 40
_LETTER: Final = 7.8  # width of a letter of a name, wide fonts included
_SLANT: Final = 0.65  # sine of the angle at which column names stand
_LONGEST: Final = 14  # letters of a name in the heat map
MOST_SHOWN: Final = 40  # factors: a map of more is neither read nor loaded
_FULL: Final = 0.5  # unsigned leakage that is as dark as it gets
_MUCH: Final = 0.2  # above it leakage is outlined, so that nobody needs the shade


def curve_figure(curve: CurveCard) -> Markup:
    """Return one factor's effect curve: strength across, effect up, the ideal dashed, the usable range shaded."""
    tallest = min(_TALLEST, max(_REACH, *(abs(end) for point in curve.points for end in point.interval)))
    low, high = (_across(end) for end in curve.usable)
    points = sorted([*curve.points, _NOTHING], key=lambda point: point.strength)
    path = " ".join(f"{_across(point.strength):.1f},{_up(point.effect, tallest):.1f}" for point in points)
    marks = Markup("").join(_mark(point, tallest) for point in curve.points)
    ideal = min(_REACH, tallest)
    return Markup(
        '<svg class="curve" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        '<rect class="usable" x="{low:.1f}" y="{top}" width="{span:.1f}" height="{inner}"/>'
        '<line class="end" x1="{low:.1f}" x2="{low:.1f}" y1="{top}" y2="{bottom}"/>'
        '<line class="end" x1="{high:.1f}" x2="{high:.1f}" y1="{top}" y2="{bottom}"/>'
        "{grid}"
        '<line class="ideal" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'
        '<path class="wanted" d="M{one:.1f} {best:.1f}m-5 0h10m-5 0V{worst:.1f}m-5 0h10"/>'
        '<polyline class="path" points="{path}"/>{marks}</svg>'
    ).format(
        width=_WIDTH,
        height=_HEIGHT,
        label=spoken_curve(curve),
        low=low,
        high=high,
        bottom=_HEIGHT - _BOTTOM,
        span=max(0.0, high - low),
        top=_TOP,
        inner=_HEIGHT - _TOP - _BOTTOM,
        grid=_grid(tallest),
        x0=_across(-ideal),
        y0=_up(-ideal, tallest),
        x1=_across(ideal),
        y1=_up(ideal, tallest),
        one=_across(1.0),
        worst=_up(0.8, tallest),
        best=_up(1.2, tallest),
        path=path,
        marks=marks,
    )


def spoken_curve(curve: CurveCard) -> str:
    """Return in words what the curve shows."""
    values = ", ".join(f"{point.effect:.2f} at {point.strength:g}" for point in curve.points)
    return f"Effect of edits of {curve.factor}: {values}. Usable from {curve.usable[0]:g} to {curve.usable[1]:g}."


def leak_figure(card: Card) -> Markup:
    """Return the heat map: row the edited factor, column another; shade unsigned, number signed, corner the labels'."""
    names = leakiest(card)
    leaks = {(leak.edited, leak.other): leak for leak in card.measured.leaks} if card.measured else {}
    longest = _LETTER * min(_LONGEST, max(len(name) for name in names))
    side, header = 16 + longest, 18 + _SLANT * longest
    width, height = side + _CELL * len(names) + longest * 0.5, header + _CELL_HEIGHT * len(names) + 4
    parts = []
    for row, edited in enumerate(names):
        y = header + row * _CELL_HEIGHT
        parts.append(_text("row", side - 8, y + _CELL_HEIGHT / 2 + 4, _short(edited), edited))
        for column, other in enumerate(names):
            parts.append(_cell(leaks.get((edited, other)), side + column * _CELL, y))
    for column, name in enumerate(names):
        x = side + column * _CELL + _CELL / 2
        parts.append(
            Markup(
                '<text class="column" transform="translate({x:.1f},{y:.1f}) rotate(-40)">'
                "<title>{whole}</title>{name}</text>"
            ).format(x=x - 6, y=header - 8, name=_short(name), whole=name)
        )
    return Markup(
        '<svg class="leaks" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'role="img" aria-label="{label}">{parts}</svg>'
    ).format(width=width, height=height, label=spoken_leaks(list(leaks.values())), parts=Markup("").join(parts))


def leakiest(card: Card) -> list[str]:
    """Return the factors that leakage is shown of, in the card's order: all, or the forty with the largest."""
    worst = {
        name: max([*row.values(), *(other.get(name, 0.0) for other in card.leakage.values())], default=0.0)
        for name, row in card.leakage.items()
    }
    names = [factor.name for factor in card.factors]
    kept = set(sorted(names, key=lambda name: -worst.get(name, 0.0))[:MOST_SHOWN])
    return [name for name in names if name in kept]


def spoken_leaks(leaks: Sequence[LeakCard]) -> str:
    """Return in words what the heat map shows."""
    if not leaks:
        return "Leakage: nothing was measured."
    worst = sorted(leaks, key=lambda leak: -leak.unsigned)[:3]
    told = "; ".join(
        f"{leak.edited} into {leak.other} {leak.unsigned:.2f} (signed {leak.signed:+.2f}, "
        f"labels {leak.association:.2f})"
        for leak in worst
    )
    return f"Leakage of each edited factor into each other, in standard deviations. The largest: {told}."


_NOTHING: Final = CurvePoint(strength=0.0, effect=0.0, interval=(0.0, 0.0), flips=None, outside=0.0)


def _across(strength: float) -> float:
    return _LEFT + (strength + _REACH) / (2 * _REACH) * (_WIDTH - _LEFT - _RIGHT)


def _up(effect: float, tallest: float) -> float:
    effect = min(tallest, max(-tallest, effect))
    return _TOP + (tallest - effect) / (2 * tallest) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(tallest: float) -> Markup:
    lines = []
    for strength in (-2, -1, 0, 1, 2):
        x = _across(strength)
        lines.append(
            Markup('<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>').format(
                kind="axis" if strength == 0 else "grid", x=x, top=_TOP, bottom=_HEIGHT - _BOTTOM
            )
        )
        lines.append(_text("tick", x, _HEIGHT - _BOTTOM + 16, f"{strength}".replace("-", "\N{MINUS SIGN}")))
    step = next(step for step in (1, 2, 5) if tallest / step < 3.5)
    most = int(tallest) // step
    for effect in range(-most * step, most * step + 1, step):
        y = _up(effect, tallest)
        lines.append(
            Markup('<line class="{kind}" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
                kind="axis" if effect == 0 else "grid", left=_LEFT, right=_WIDTH - _RIGHT, y=y
            )
        )
        lines.append(_text("tick side", _LEFT - 6, y + 4, f"{effect}".replace("-", "\N{MINUS SIGN}")))
    lines.append(_text("name", (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, "strength"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    lines.append(
        Markup('<text class="name" transform="translate(11,{y:.1f}) rotate(-90)">effect</text>').format(y=middle)
    )
    return Markup("").join(lines)


def _mark(point: CurvePoint, tallest: float) -> Markup:
    x = _across(point.strength)
    return Markup(
        '<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        '<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{told}</title></circle>'
    ).format(
        x=x,
        low=_up(point.interval[0], tallest),
        high=_up(point.interval[1], tallest),
        y=_up(point.effect, tallest),
        told=f"strength {point.strength:g}: effect {point.effect:.2f}",
    )


def _cell(leak: LeakCard | None, x: float, y: float) -> Markup:
    if leak is None:
        return _text("none", x + _CELL / 2, y + _CELL_HEIGHT / 2 + 4, "\N{MIDDLE DOT}")
    shade = min(10, round(10 * leak.unsigned / _FULL))
    told = (
        f"{leak.edited} into {leak.other}: {leak.unsigned:.2f} unsigned, {leak.signed:+.2f} signed, "
        f"labels {leak.association:.2f}"
    )
    return Markup(
        '<g><title>{told}</title><rect class="cell f{shade}{much}" x="{x:.1f}" y="{y:.1f}" width="{w}" height="{h}" '
        'rx="3"/>{signed}{labels}</g>'
    ).format(
        told=told,
        shade=shade,
        much=" much" if round(leak.unsigned, 2) > _MUCH else "",
        x=x + 1,
        y=y + 1,
        w=_CELL - 2,
        h=_CELL_HEIGHT - 2,
        signed=_text("value", x + _CELL / 2, y + 17, _hundredths(leak.signed, sign=True)),
        labels=_text(
            "labels", x + _CELL / 2, y + 31, f"{_hundredths(leak.unsigned)} | {_hundredths(leak.association)}"
        ),
    )


def _text(kind: str, x: float, y: float, words: str, whole: str = "") -> Markup:
    """Return words at a place; `whole` is what a pointer that rests on them is told, where they are cut short."""
    title = Markup("<title>{whole}</title>").format(whole=whole) if whole != words and whole else ""
    return Markup('<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{title}{words}</text>').format(
        kind=kind, x=x, y=y, title=title, words=words
    )


def _hundredths(value: float, *, sign: bool = False) -> str:
    """Return .05 for .05 and 0 for what rounds to it: a heat map has no room for leading zeros."""
    if abs(value) < 0.005:
        return "0"
    spoken = f"{abs(value):.2f}".removeprefix("0")
    return ("\N{MINUS SIGN}" if value < 0 else "+" if sign else "") + spoken


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
