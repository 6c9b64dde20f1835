"""Small charts as inline SVG that follow light and dark: lines, scattered points, bars. Every name is escaped.

Colours are classes of the page's style sheet (`s0` .. `s5` for series); each chart says in words what it shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

WIDTH, HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 12, 38
_TICKS: Final = 4
_COLOURS: Final = 6
_LABELLED: Final = 12  # points of a scatter that carry their names; more would hide each other


@dataclass(frozen=True)
class Series:
    """Points of one line.

    Attributes:
        name: for the legend.
        points: (x, y), in the order they are joined.
        labels: a word beside each point, or none.
        spread: lowest and highest y of each point, drawn as an upright line, or none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    spread: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * index / _TICKS for index in range(_TICKS + 1)]


def chart(
    series: Sequence[Series], x_label: str, y_label: str, *, joined: bool = True, from_zero: bool = True
) -> Markup:
    """Return a chart of several series on common axes.

    Args:
        series: the lines; those without a point are left out.
        x_label, y_label: words at the axes.
        joined: draw lines between points, else points alone.
        from_zero: begin the y axis at 0.
    """
    shown = [each for each in series if each.points]
    if not shown:
        return Markup('<p class="soft">Nothing was measured.</p>')
    xs = [x for each in shown for x, _ in each.points]
    ys = [y for each in shown for _, y in each.points] + [y for each in shown for ends in each.spread for y in ends]
    across = _scale(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    up = _scale(min(0.0, *ys) if from_zero else min(ys), max(ys), HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(across, up, x_label, y_label)]
    parts += [_line(each, index % _COLOURS, across, up, joined) for index, each in enumerate(shown)]
    label = f"{y_label} over {x_label}: " + "; ".join(_spoken(each) for each in shown)
    return Markup('<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{parts}</svg>').format(
        w=WIDTH, h=HEIGHT, label=label, parts=Markup("").join(parts)
    )


def bars(values: Sequence[float], x_label: str, y_label: str) -> Markup:
    """Return one bar a value, in the given order."""
    top = max([*values, 1e-9])
    up = _Scale(0.0, top, HEIGHT - _BOTTOM, _TOP)
    across = _Scale(0.0, float(max(1, len(values))), _LEFT, WIDTH - _RIGHT)
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    boxes = [
        Markup('<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{w:.2f}" height="{h:.1f}"/>').format(
            x=across.at(index), y=up.at(value), w=max(0.6, width * 0.8), h=max(0.0, HEIGHT - _BOTTOM - up.at(value))
        )
        for index, value in enumerate(values)
    ]
    axes = _axes(across, up, x_label, y_label, x_ticks=False)
    label = f"{y_label}, {len(values)} {x_label}: from {top:.2f} down to {min([*values, top]):.2f}"
    return Markup('<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{axes}{boxes}</svg>').format(
        w=WIDTH, h=HEIGHT, label=label, axes=axes, boxes=Markup("").join(boxes)
    )


def legend(series: Sequence[Series]) -> Markup:
    """Return the names of the series beside their colours."""
    items = [
        Markup('<span><i class="swatch s{colour}"></i>{name}</span>').format(colour=index % _COLOURS, name=each.name)
        for index, each in enumerate([each for each in series if each.points])
    ]
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(items))


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    if low == high:
        low, high = low - 0.5 * abs(low or 1.0), high + 0.5 * abs(high or 1.0)
    return _Scale(low, high, start, end)


def _axes(across: _Scale, up: _Scale, x_label: str, y_label: str, *, x_ticks: bool = True) -> Markup:
    parts = [
        Markup(
            '<line class="grid" x1="{a}" x2="{b}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="side" x="{t}" y="{u:.1f}">{v}</text>'
        ).format(a=_LEFT, b=WIDTH - _RIGHT, y=up.at(tick), t=_LEFT - 6, u=up.at(tick) + 4, v=_number(tick))
        for tick in up.ticks()
    ]
    if x_ticks:
        parts += [
            Markup('<text x="{x:.1f}" y="{y}">{v}</text>').format(
                x=across.at(tick), y=HEIGHT - _BOTTOM + 14, v=_number(tick)
            )
            for tick in across.ticks()
        ]
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        Markup('<text x="{x}" y="{y}">{label}</text>').format(
            x=(_LEFT + WIDTH - _RIGHT) / 2, y=HEIGHT - 6, label=x_label
        )
    )
    parts.append(
        Markup('<text transform="translate(11,{y:.1f}) rotate(-90)">{label}</text>').format(y=middle, label=y_label)
    )
    return Markup("").join(parts)


def _line(series: Series, colour: int, across: _Scale, up: _Scale, joined: bool) -> Markup:
    places = [(across.at(x), up.at(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [Markup('<polyline class="path s{c}" points="{p}"/>').format(c=colour, p=path)] if joined else []
    parts += [
        Markup('<line class="spread s{c}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>').format(
            c=colour, x=x, low=up.at(low), high=up.at(high)
        )
        for (x, _), (low, high) in zip(places, series.spread, strict=False)
    ]
    if not joined or len(places) <= 2 * _LABELLED:
        parts += [
            Markup('<circle class="dot s{c}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>').format(c=colour, x=x, y=y)
            for x, y in places
        ]
    if len(places) <= _LABELLED:
        parts += [
            Markup('<text class="beside" x="{x:.1f}" y="{y:.1f}">{label}</text>').format(x=x, y=y - 7, label=label)
            for (x, y), label in zip(places, series.labels, strict=False)
        ]
    return Markup("").join(parts)


def _spoken(series: Series) -> str:
    first, last = series.points[0], series.points[-1]
    return f"{series.name} from {first[1]:.3g} at {first[0]:.4g} to {last[1]:.3g} at {last[0]:.4g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
