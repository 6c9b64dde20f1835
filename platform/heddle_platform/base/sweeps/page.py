"""A sweep's report as one self-contained HTML file: no script, no request, light and dark, every word escaped."""

import base64
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import yaml
from markupsafe import Markup
from PIL import Image

from heddle_platform.base.card_page import environment
from heddle_platform.base.charts import Series, chart, legend
from heddle_platform.base.readings import Measurement
from heddle_platform.base.sweeps.collapse import find_collapses, middle_figures
from heddle_platform.base.sweeps.plan import SweepPlan
from heddle_platform.base.sweeps.verdict import SCORE_WORDS, SettingResult, SweepResult, Trial, short_names

MOST_PICTURES: Final = 6

_MOST_FAMILIES: Final = 6
_PICTURE_COLOURS: Final = 64
_BETA_NAME: Final = "beta"

Figure = Callable[[Measurement], float | None]
_Place = Callable[[SettingResult], float | None]


@dataclass(frozen=True)
class Drawn:
    """A chart with its title and its legend."""

    title: str
    chart: Markup
    legend: Markup


@dataclass(frozen=True)
class Picture:
    """One setting's traversal grid."""

    title: str
    caption: str
    png: str


def report_page(plan: SweepPlan, result: SweepResult, pictures: Mapping[tuple[int, int], bytes]) -> bytes:
    """Return the report as HTML.

    Args:
        plan: the plan.
        result: what came of it.
        pictures: traversal grids (PNG) of (setting's number, seed), of those in `pictured`.
    """
    ended = [trial for setting in result.settings for trial in setting.trials if trial.status != "open"]
    page = (
        environment()
        .get_template("sweep.html")
        .render(
            plan=plan,
            result=result,
            best=result.best,
            space={
                name: _range_words(plan, field) for name, field in zip(short_names(plan.space), plan.space, strict=True)
            },
            ended=ended,
            counts={
                status: sum(trial.status == status for trial in ended) for status in ("finished", "stopped", "failed")
            },
            score=SCORE_WORDS[plan.criterion.score],
            charts=_charts(plan, result.settings),
            figures_of=partial(_figures_of, plan),
            median=statistics.median,
            collapses=find_collapses(result.settings),
            middle_figures=middle_figures,
            pictures=[
                _picture(*each, pictures) for each in pictured(result) if (each[0].number, each[1].seed) in pictures
            ],
            recipe=yaml.safe_dump(plan.recipe, sort_keys=False, allow_unicode=True),
        )
    )
    return page.encode()


def pictured(result: SweepResult) -> list[tuple[SettingResult, Trial]]:
    """The settings shown side by side, the chosen one first, each with the seed nearest its median."""
    order = sorted(result.settings, key=lambda each: (each.number != result.chosen, each.number))
    return [(each, each.middle) for each in order if each.middle is not None][:MOST_PICTURES]


def _range_words(plan: SweepPlan, field: str) -> str:
    dimension = plan.space[field]
    if dimension.options is not None:
        return ", ".join(dimension.options)
    low, high = dimension.extremes()
    kind = "logarithmically" if dimension.loguniform else "in whole steps" if dimension.integer else "evenly"
    return f"{low:g} to {high:g}, {kind}"


def _charts(plan: SweepPlan, settings: Sequence[SettingResult]) -> list[Drawn]:
    score = SCORE_WORDS[plan.criterion.score]
    drawn = [_chart("Rate and distortion", plan, settings, _kl, lambda m: m.distortion, "KL, nats per image", "MSE")]
    figures: list[tuple[str, Figure]] = [(score, plan.criterion.read)]
    if plan.criterion.score != "mig":
        figures.append(("MIG", lambda m: m.score("mig")))
    figures.append(("Active units", lambda m: float(m.active_units)))
    places: dict[str, _Place] = {}
    if len({each.beta for each in settings}) > 1:
        places[_BETA_NAME] = lambda each: each.beta
    for name, field in zip(short_names(plan.space), plan.space, strict=True):
        if name != _BETA_NAME and plan.space[field].options is None:
            places[f"log10 {name}" if plan.space[field].loguniform else name] = _place(plan, field)
    drawn += [
        _chart(f"{title} against {place_name}", plan, settings, place, figure, place_name, title)
        for place_name, place in places.items()
        for title, figure in figures
    ]
    return drawn


def _place(plan: SweepPlan, field: str) -> _Place:
    if plan.space[field].loguniform:
        return lambda each: math.log10(float(each.setting[field]))
    return lambda each: float(each.setting[field])


def _kl(setting: SettingResult) -> float | None:
    return _median(setting, lambda m: m.kl)


def _values(setting: SettingResult, figure: Figure) -> list[float]:
    found = (figure(trial.measurement) for trial in setting.finished if trial.measurement is not None)
    return [value for value in found if value is not None]


def _median(setting: SettingResult, figure: Figure) -> float | None:
    values = _values(setting, figure)
    return statistics.median(values) if values else None


def _figures_of(plan: SweepPlan, setting: SettingResult) -> list[tuple[list[float], int]]:
    """A row of the settings' table beside the criterion: the values over seeds of each figure, and its digits."""
    mig: list[tuple[Figure, int]] = [] if plan.criterion.score == "mig" else [(lambda m: m.score("mig"), 3)]
    columns: list[tuple[Figure, int]] = [
        *mig,
        (lambda m: m.distortion, 4),
        (lambda m: m.kl, 1),
        (lambda m: float(m.active_units), 0),
    ]
    return [(_values(setting, figure), digits) for figure, digits in columns]


def _chart(
    title: str,
    plan: SweepPlan,
    settings: Sequence[SettingResult],
    x_of: _Place,
    y_of: Figure,
    x_label: str,
    y_label: str,
) -> Drawn:
    """Medians over seeds, a line for each family of settings that differ in beta alone; upright: least to most."""
    families: dict[str, list[tuple[float, float, tuple[float, float], str]]] = {}
    grouped = _families(plan, settings)
    for setting in settings:
        x, values = x_of(setting), _values(setting, y_of)
        if x is not None and values:
            family = grouped[setting.number]
            label = f"beta {setting.beta:g}" if family and setting.beta is not None else setting.words
            ends = (min(values), max(values))
            families.setdefault(family, []).append((x, statistics.median(values), ends, label))
    series = []
    for family, points in families.items():
        points.sort()
        beside = [label for *_, label in points] if "KL" in x_label and len(families) == 1 else []
        series.append(
            Series(family or y_label, [(x, y) for x, y, *_ in points], beside, [ends for _, _, ends, _ in points])
        )
    joined = len({each.beta for each in settings}) > 1 and len(settings) > len(families)
    return Drawn(
        title, chart(series, x_label, y_label, joined=joined), legend(series) if len(series) > 1 else Markup("")
    )


def _families(plan: SweepPlan, settings: Sequence[SettingResult]) -> dict[int, str]:
    """Setting's number -> what it has in common with those that differ from it in beta alone; one for all if many."""
    names = short_names(plan.space)
    told = {
        setting.number: ", ".join(
            f"{name} {value}" for name, value in zip(names, setting.setting.values(), strict=True) if name != _BETA_NAME
        )
        for setting in settings
    }
    return told if len(set(told.values())) <= _MOST_FAMILIES else dict.fromkeys(told, "")


def _picture(setting: SettingResult, trial: Trial, pictures: Mapping[tuple[int, int], bytes]) -> Picture:
    measured = trial.measurement
    figures = f", {measured.active_units} active units, {measured.kl:.1f} nats" if measured else ""
    return Picture(setting.words, f"seed {trial.seed}{figures}", _light(pictures[setting.number, trial.seed]))


def _light(png: bytes) -> str:
    """A picture in few colours, base64: a report holds several."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(_PICTURE_COLOURS).save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")
