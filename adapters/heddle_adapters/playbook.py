"""The pages of an adapter version: its scorecard and its playbook, each one self-contained HTML file.

They ask nothing of the network, run no script, hold no clock, and escape every word a tenant chose.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, unpack
from heddle_adapters.figures import curve_figure, leak_figure, leakiest
from heddle_adapters.gate import Verdict
from heddle_adapters.gate_check import Check
from heddle_adapters.report import Card, FactorCard
from heddle_platform.errors import DataCorrupt

ENOUGH_OF_A_LEVEL: Final = 20  # labelled images
READS_WELL: Final = 0.95
GOOD_LEAKAGE: Final = 0.10  # science: at most .20 passes, at most .10 is good
CLEAR_ASSOCIATION: Final = 0.16  # what 300 labels detect with 80 % power
RARE_CELL: Final = 5  # images per pair of levels


@dataclass(frozen=True)
class Picture:
    """One picture and what was asked of it; `webp` is base64, a seventh of the bytes of PNG."""

    caption: str
    webp: str


@dataclass(frozen=True)
class Strip:
    """One image before, and after each edit of one factor."""

    factor: str
    before: Picture
    after: tuple[Picture, ...]


@dataclass(frozen=True)
class Findings:
    """All that the pages tell of.

    Attributes:
        adapter: as it is stored.
        card: its report card.
        verdict: the gate's.
        digest: the adapter's address.
        strips: pictures before and after.
    """

    adapter: Adapter
    card: Card
    verdict: Verdict
    digest: str
    strips: tuple[Strip, ...]


def card_page(findings: Findings) -> bytes:
    """Return the scorecard as one HTML file."""
    return _render("card.html", findings)


def playbook_page(findings: Findings) -> bytes:
    """Return in words why the adapter is what it is, as one HTML file."""
    return _render("playbook.html", findings)


def drawn_page(name: str, adapter: bytes, card: bytes) -> bytes:
    """Draw a page of a version from its stored files, for brief cards store none.

    It says what it would have said at the fit's end; entries of protocols stand in the order of their names.

    Args:
        name: "card.html" or "playbook.html".
        adapter: adapter.npz.
        card: card.json, which holds the gate.

    Raises:
        DataCorrupt: a file cannot be read.
    """
    try:
        document = json.loads(card)
        told, verdict = Card.model_validate(document), Verdict.model_validate(document["gate"])
        # JSON knows no order of names; the card's factors do
        factors = {factor.name: verdict.factors[factor.name] for factor in told.factors}
    except (ValueError, KeyError, TypeError) as error:
        raise DataCorrupt(
            f"the stored card ({len(card)} bytes) cannot be read ({type(error).__name__}); refit the adapter",
            code="card_corrupt",
        ) from error
    verdict = verdict.model_copy(update={"factors": factors})
    return _render(name, Findings(unpack(adapter), told, verdict, digest_of(adapter), ()))


def rendered(template: str, **told: Any) -> bytes:
    """Return a page of another module's, with the filters of these."""
    return _environment().get_template(template).render(**told).encode()


def _render(template: str, findings: Findings) -> bytes:
    card = findings.card

    def verdict_of(name: str) -> str:
        return findings.verdict.factors[name].verdict

    page = (
        _environment()
        .get_template(template)
        .render(
            adapter=findings.adapter,
            card=card,
            verdict=findings.verdict,
            digest=findings.digest,
            factor_set=findings.adapter.factor_set,
            strips={
                name: [strip for strip in findings.strips if strip.factor == name]
                for name in findings.adapter.factor_set.names
            },
            passed=[factor for factor in card.factors if findings.verdict.factors[factor.name].passed],
            unsure=[factor for factor in card.factors if verdict_of(factor.name) == "needs_approval"],
            refused=[factor for factor in card.factors if not findings.verdict.factors[factor.name].passed],
            advice=advice(card),
        )
    )
    return page.encode()


def advice(card: Card) -> list[str]:
    """Return what would make the next version better, each a sentence with its numbers."""
    sentences = [sentence for factor in card.factors for sentence in _advice_on(card, factor)]
    if card.pool < card.labels:
        sentences.append(
            f"Add unlabelled images to the upload (now {card.pool}): "
            "they sharpen the covariance that edits are measured in."
        )
    return sentences


def _advice_on(card: Card, factor: FactorCard) -> list[str]:
    sentences: list[str] = []
    rare = [f"{level}: {count}" for level, count in factor.counts.items() if 0 < count < ENOUGH_OF_A_LEVEL]
    if rare and factor.accuracy < READS_WELL:
        sentences.append(
            f"Label more images of the rare levels of {factor.name} ({', '.join(rare[:6])}): "
            f"{ENOUGH_OF_A_LEVEL} of each tell it well."
        )
    if not factor.readable:
        sentences.append(
            f"{factor.name} reads {_percent(factor.accuracy)} where always naming the commonest level gives "
            f"{_percent(factor.chance)}: if a person cannot tell it at the base's size either, drop it."
        )
    elif factor.leakage is not None and factor.leakage > GOOD_LEAKAGE and factor.leakage_into:
        sentences.append(_advice_on_leakage(card, factor, factor.leakage, card.factor(factor.leakage_into)))
    return sentences


def _advice_on_leakage(card: Card, factor: FactorCard, leakage: float, other: FactorCard) -> str:
    found = f"Editing {factor.name} changes the reading of {other.name} in {_percent(leakage)} of edits"
    pair = next(pair for pair in card.associations if set(pair.factors) == {factor.name, other.name})
    if pair.value > CLEAR_ASSOCIATION or (pair.smallest_cell is not None and pair.smallest_cell < RARE_CELL):
        return f"{found}, and their labels go together ({pair.value:.2f}): label images that combine them otherwise."
    if other.accuracy < READS_WELL:
        return (
            f"{found}; their labels are independent, and {other.name} reads only {_percent(other.accuracy)}: better "
            f"labels or more images of {other.name} would settle it."
        )
    return f"{found} although their labels are independent: the base draws the two with the same latents."


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("heddle_adapters"), PackageLoader("heddle_platform")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent,
        number=_number,
        shade=_shade,
        short=_short,
        p_value=_p_value,
        plain=_plain,
        breakable=_breakable,
        told=_told,
    )
    environment.globals.update(
        bar=_bar,
        curve_figure=curve_figure,
        leak_figure=leak_figure,
        leakiest=leakiest,
        gate_checks=_gate_checks,
        claims=_CLAIMS,
        measures=_MEASURES,
    )
    return environment


_CLAIMS: Final = {
    "refused": "not claimed: a pair of levels never occurs",
    "associated": "no: they go together",
    "none_found": "no association found",
}
_MEASURES: Final = {
    "cramers_v": "Cramér's V",
    "correlation_ratio": "correlation ratio",
    "spearman": "Spearman",
    "canonical": "canonical correlation",
}


def _gate_checks(verdict: Verdict) -> list[tuple[str, tuple[Check, ...]]]:
    named = [("whole", verdict.checks), *((name, factor.checks) for name, factor in verdict.factors.items())]
    return [(name, tuple(checks)) for name, checks in named if checks]


def _breakable(name: str) -> Markup:
    """Return a name, escaped, that a line may break after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _told(value: object) -> str:
    """Return an entry of a protocol as people write it."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name.replace('_', ' ')}: {_told(each)}" for name, each in value.items())
    return ", ".join(_told(each) for each in value) if isinstance(value, list | tuple) else str(value)


def _p_value(value: float | None) -> str:
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}\N{NARROW NO-BREAK SPACE}%"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _shade(share: float | None) -> int:
    """Return one of eleven shades for a share; leakage above .5 is as dark as it gets."""
    return 0 if share is None else min(10, max(0, round(20 * share)))


def _short(digest: str) -> str:
    return digest[:12]


def _bar(factor: FactorCard, width: int = 120) -> dict[str, Any]:
    """Return x positions (pixels) of a factor's accuracy, its interval and chance on a bar."""

    def at(share: float) -> float:
        return round(width * min(1.0, max(0.0, share)), 1)

    low, high = factor.accuracy_interval
    return {"width": width, "value": at(factor.accuracy), "low": at(low), "high": at(high), "chance": at(factor.chance)}
