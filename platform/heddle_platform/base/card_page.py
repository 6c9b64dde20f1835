"""A base's model card as one self-contained HTML file: no script, no request, light and dark, every word escaped."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heddle_platform.base.card import BaseCard
from heddle_platform.base.charts import Series, bars, chart, legend
from heddle_platform.base.config import beta_of
from heddle_platform.base.readings import Measurement

SCORE_NAMES: Final = {
    "mig": "MIG",
    "mig_20_bins": "MIG, 20 bins",
    "dci": "DCI-D",
    "dci_completeness": "DCI-C",
    "dci_informativeness": "DCI-I",
    "lps": "LPS",
    "probe": "probe",
}


def card_page(card: BaseCard) -> bytes:
    """Return the card as HTML."""
    template = environment().get_template("base_card.html")
    shown = [name for name in SCORE_NAMES if any(name in part.scores for part in card.parts.values())]
    page = template.render(
        card=card,
        beta=beta_of(card.recipe),
        recipe=yaml.safe_dump(card.recipe, sort_keys=False),
        curves=curves(card.curves),
        nats=bars(sorted(card.kl_per_latent, reverse=True), "latents, most active first", "nats"),
        scores=shown,
    )
    return page.encode()


def curves(measurements: Sequence[Measurement]) -> list[tuple[str, Markup, Markup]]:
    """Return the curves of a training: title, chart, legend."""
    if len(measurements) < 2:
        return []

    def over_steps(name: str, values: Sequence[float | None]) -> Series:
        points = [(float(each.step), value) for each, value in zip(measurements, values, strict=True)]
        return Series(name, [(step, value) for step, value in points if value is not None])

    most = sorted(range(len(measurements[-1].kl_per_latent)), key=lambda index: -measurements[-1].kl_per_latent[index])
    groups = {
        "Reconstruction": ([over_steps("MSE", [each.distortion for each in measurements])], "MSE"),
        "KL of the most active latents": (
            [over_steps(f"latent {place}", [each.kl_per_latent[place] for each in measurements]) for place in most[:6]],
            "nats",
        ),
        "Active units": ([over_steps("active", [float(each.active_units) for each in measurements])], "latents"),
        "Disentanglement": (
            [
                over_steps(SCORE_NAMES[name], [each.score(name) for each in measurements])
                for name in ("mig", "dci", "dci_informativeness")
            ],
            "score",
        ),
    }
    return [
        (title, chart(series, "steps", unit), legend(series))
        for title, (series, unit) in groups.items()
        if any(each.points for each in series)
    ]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of base cards and reports."""
    made = Environment(
        loader=PackageLoader("heddle_platform"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(figure=_figure, percent=lambda share: f"{share:.0%}")
    made.globals.update(score_names=SCORE_NAMES)
    return made


def _figure(value: float | None, digits: int = 3) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
