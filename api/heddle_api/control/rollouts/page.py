"""The report as one self-contained page: no script, no request, every word escaped; drawings are SVG."""

from functools import lru_cache
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heddle_api.control.rollouts.service import ReportView, RolloutItemView

PAGE_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
OUTCOMES: Final = ("better", "equal", "worse", "failed")
SHOWN_IN_DRAWING: Final = 1_500
_WIDTH, _LEFT = 900, 40
_LEAST_REACH: Final = 0.02


def report_page(report: ReportView) -> bytes:
    """Return the report as HTML; adapters that are worse or failed come first."""
    order = {"failed": 0, "worse": 1, None: 2, "equal": 3, "better": 4}
    adapters = sorted(report.adapters, key=lambda one: (order[one.outcome], mean_of(one).get("difference", 0.0)))
    page = (
        _environment()
        .get_template("report.html")
        .render(
            rollout=report.rollout,
            adapters=adapters,
            mean_of=mean_of,
            factors_of=factors_of,
            bar=_bar(report),
            caterpillar=_caterpillar(adapters),
        )
    )
    return page.encode()


def mean_of(item: RolloutItemView) -> dict[str, Any]:
    """Return the paired difference of the mean over factors; empty where there is none."""
    return next((one for one in item.numbers.get("differences", ()) if one["factor"] is None), {})


def factors_of(item: RolloutItemView) -> list[dict[str, Any]]:
    """Return the paired differences of the factors."""
    return [one for one in item.numbers.get("differences", ()) if one["factor"] is not None]


def _bar(report: ReportView) -> Markup:
    """One bar: the share of each outcome."""
    counts = report.rollout.counts
    total = max(counts.adapters, 1)
    parts, start = [], 0.0
    for name in OUTCOMES:
        width = _WIDTH * getattr(counts, name) / total
        if width:
            parts.append(
                Markup(
                    '<rect class="o-{}" x="{:.1f}" y="0" width="{:.1f}" height="26"><title>{} {}</title></rect>'
                ).format(name, start, width, getattr(counts, name), name)
            )
        start += width
    body = Markup("").join(parts)
    return Markup(
        '<svg viewBox="0 0 {} 26" role="img" aria-label="{} better, {} equal, {} worse, {} failed, of {}">'
        '<rect class="track" width="{}" height="26"/>{}</svg>'
    ).format(_WIDTH, counts.better, counts.equal, counts.worse, counts.failed, counts.adapters, _WIDTH, body)


def _caterpillar(adapters: list[RolloutItemView]) -> Markup | None:
    """Every adapter's mean difference with its interval, sorted: what lies above the line gained."""
    found = [(one, mean_of(one)) for one in adapters if mean_of(one)]
    found.sort(key=lambda pair: pair[1]["difference"])
    if not found:
        return None
    step = max(1, -(-len(found) // SHOWN_IN_DRAWING))
    found = found[::step]
    reach: float = max(_LEAST_REACH, *(max(abs(edge) for edge in mean["interval"]) for _, mean in found))
    height, middle = 220, 110

    def up(value: float) -> float:
        return middle - value / reach * (middle - 14)

    across = (_WIDTH - _LEFT - 10) / len(found)
    parts = [
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _WIDTH, middle, middle),
        *(
            Markup('<text class="tick" x="{}" y="{:.1f}">{:+.2f}</text>').format(_LEFT - 4, up(value) + 4, value)
            for value in (reach, -reach)
        ),
        Markup('<text class="tick" x="{}" y="{}">0</text>').format(_LEFT - 4, middle + 4),
    ]
    for place, (one, mean) in enumerate(found):
        x = _LEFT + across * (place + 0.5)
        low, high = mean["interval"]
        label = f"{one.tenant} {one.adapter}: {mean['difference']:+.4f} ({low:+.4f} to {high:+.4f})"
        parts.append(
            Markup(
                '<g class="c-{}"><title>{}</title><line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
                '<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/></g>'
            ).format(
                one.outcome or "open", label, x, x, up(low), up(high), x, up(mean["difference"]), min(4, 1 + across / 4)
            )
        )
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="Paired differences of all adapters">{}</svg>'
    ).format(_WIDTH, height, Markup("").join(parts))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=ChoiceLoader([PackageLoader("heddle_api", "control/rollouts"), PackageLoader("heddle_platform")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(signed=lambda value: f"{value:+.3f}".replace("-", "\N{MINUS SIGN}"))
    return made
