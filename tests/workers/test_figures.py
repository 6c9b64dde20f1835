"""The pictures of the scorecard: what they say, drawn to scale, and that names cannot break out of them."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from heddle_adapters.figures import MOST_SHOWN, curve_figure, leak_figure, leakiest, spoken_leaks
from heddle_adapters.report import Card
from heddle_adapters.report_edits import STRENGTHS, CurveCard, CurvePoint, LeakCard

from .study import Study

HOSTILE = '"><script>alert(1)</script>'


def curve(effects: tuple[float, ...], factor: str = "hat") -> CurveCard:
    points = tuple(
        CurvePoint(strength=strength, effect=effect, interval=(effect - 0.1, effect + 0.1), flips=None, outside=0.0)
        for strength, effect in zip(STRENGTHS, effects, strict=True)
    )
    return CurveCard(
        factor=factor, unit="sd", points=points, unit_effect=1.0, monotone=1.0, usable=(-1.0, 2.0), pictures=9
    )


def test_a_linear_curve_lies_on_the_ideal_line() -> None:
    root = ElementTree.fromstring(curve_figure(curve(tuple(STRENGTHS))))
    [path] = [element for element in root if element.get("class") == "path"]
    points = [tuple(float(part) for part in pair.split(",")) for pair in str(path.get("points")).split()]
    assert len(points) == len(STRENGTHS) + 1, "0 is on the line, though nothing is drawn there"
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
    [ideal] = [element for element in root if element.get("class") == "ideal"]
    x1, y1, x2, y2 = (float(str(ideal.get(name))) for name in ("x1", "y1", "x2", "y2"))
    assert slopes == pytest.approx([(y2 - y1) / (x2 - x1)] * len(slopes), abs=0.01)
    assert root.get("role") == "img"
    assert "Effect of edits of hat: -2.00 at -2" in str(root.get("aria-label"))


@pytest.mark.parametrize("steepness", [1.0, 3.0, 9.0, 40.0, 1e9])
def test_no_mark_leaves_the_frame_and_ticks_stay_few(steepness: float) -> None:
    root = ElementTree.fromstring(curve_figure(curve(tuple(steepness * a for a in STRENGTHS))))
    marks = [float(str(element.get("cy"))) for element in root if element.get("class") == "point"]
    assert all(0 <= y <= 180 for y in marks)
    ticks = [element for element in root if element.get("class") == "tick side"]
    assert 3 <= len(ticks) <= 7


def test_names_are_text_in_figures(study: Study) -> None:
    assert "<script" not in curve_figure(curve(tuple(STRENGTHS), HOSTILE))
    leak = LeakCard(edited=HOSTILE, other="x", signed=0.1, unsigned=0.2, association=0.3)
    card = Card.model_validate(study.fitted.card)
    assert card.measured is not None
    named = card.model_copy(
        update={
            "factors": tuple(factor.model_copy(update={"name": HOSTILE}) for factor in card.factors[:1]),
            "measured": card.measured.model_copy(update={"leaks": (leak,)}),
        }
    )
    assert "<script" not in leak_figure(named)


def test_the_heat_map_names_the_largest_leaks_in_words(study: Study) -> None:
    card = Card.model_validate(study.fitted.card)
    assert card.measured is not None
    worst = max(card.measured.leaks, key=lambda leak: leak.unsigned)
    figure = str(leak_figure(card))
    assert f"{worst.edited} into {worst.other} {worst.unsigned:.2f}" in figure
    assert figure.count("<rect") == len(card.factors) * (len(card.factors) - 1)
    assert "nothing was measured" in spoken_leaks([])


def test_figures_are_read_without_colours_and_name_their_axes(study: Study) -> None:
    drawn = ElementTree.fromstring(curve_figure(curve(tuple(STRENGTHS))))
    assert {element.text for element in drawn if element.get("class") == "name"} == {"strength", "effect"}
    [bracket] = [str(element.get("d")) for element in drawn if element.get("class") == "wanted"]
    assert bracket.count("h10") == 2, "wanted is told by its shape"
    assert len([element for element in drawn if element.get("class") == "end"]) == 2
    long = "background_of_the_portrait"
    leaks = (
        LeakCard(edited=long, other="x", signed=-0.1, unsigned=0.21, association=0.3),
        LeakCard(edited="x", other=long, signed=0.1, unsigned=0.2, association=0.3),
    )
    card = Card.model_validate(study.fitted.card)
    assert card.measured is not None
    named = zip(card.factors, (long, "x"), strict=False)
    factors = tuple(factor.model_copy(update={"name": name}) for factor, name in named)
    measured = card.measured.model_copy(update={"leaks": leaks})
    figure = str(leak_figure(card.model_copy(update={"factors": factors, "measured": measured})))
    assert len(re.findall(r'class="cell f\d+ much"', figure)) == 1, "only what is above .20 is outlined"
    assert figure.count(f"<title>{long}</title>") == 2, "a name that is cut short is told whole"


def test_of_many_factors_the_leakiest_are_shown(study: Study) -> None:
    card = Card.model_validate(study.fitted.card)
    many = tuple(card.factors[0].model_copy(update={"name": f"f{index}"}) for index in range(60))
    leakage = {f"f{index}": {"f0": 0.5 if index > 30 else 0.0} for index in range(60)}
    shown = leakiest(card.model_copy(update={"factors": many, "leakage": leakage}))
    assert len(shown) == MOST_SHOWN
    assert {"f0", *(f"f{index}" for index in range(31, 60))} <= set(shown)
    assert shown == sorted(shown, key=lambda name: int(name[1:]))
    assert leakiest(card) == [factor.name for factor in card.factors]


def test_the_card_page_shows_figures_judge_and_gate(study: Study) -> None:
    html = study.fitted.files["card.html"].decode()
    assert html.count('class="curve"') == 3
    assert html.count('class="leaks"') == 1
    assert len(re.findall(r'<svg[^>]*role="img"', html)) == html.count("<svg")
    assert study.fitted.card["measured"]["judge"]["detail"] in html.replace("&#39;", "'")
    assert study.fitted.card["gate"] == study.fitted.gate
    for warning in study.fitted.card["warnings"]:
        assert warning["code"] in html
        assert warning["numbers"]
        assert warning["action"]
