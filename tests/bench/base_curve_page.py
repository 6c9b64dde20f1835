"""The table and the drawing of `base_curve`: error against latents, rate, styles and length."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

from heddle_platform.base.charts import HEIGHT, WIDTH, Series, chart

BAR = 0.0015
BASE, SHIPPED = "base", "shipped"
LATENTS = {"latents-32": 32, BASE: 64, "latents-128": 128, "latents-256": 256}
BETAS = ("beta-100", "beta-10", BASE, "beta-0.1")
STYLES = {"styles-1": 1, "styles-4": 4, BASE: 16}
LENGTHS = (BASE, "length-2", "length-4", SHIPPED)
_LINE, _TITLE, _GAP = 14, 20, 12
_INK = (
    "svg { --soft: #555; --ink: #222; } .grid { stroke: #ddd; } .path { fill: none; stroke-width: 2; } "
    ".title { font: bold 13px system-ui, sans-serif; } .key { font: 11px system-ui, sans-serif; fill: #222; } "
)
_COLOURS = ("#4477aa", "#cc6677", "#2e9f5b", "#b9902f", "#8d6fc0", "#4ba3b5")

Row = Mapping[str, Any]
Rows = Mapping[str, Row]


def mean_mse(row: Row, parts: Iterable[str] | None = None, of: str = "mse") -> float:
    """Mean over styles of the error of held-out images (`mse`) or of images of the training (`trained_mse`)."""
    found: dict[str, float] = row[of]
    return statistics.mean(found[part] for part in (parts or found))


def table(rows: Rows) -> str:
    """Every run in a line, as Markdown."""
    lines = [
        "| run | steps | weights, M | KL, nats | MSE, held out | least, most of a style | still | in training | "
        "micah | search: from, to | lpc_sprites | avatars | eyebrows | earrings | eyes | pose |",
        "|---" * 16 + "|",
    ]
    for name, row in rows.items():
        avatars, faces, found = row["reads"]["avatars"], row["reads"]["cmu_faces"], row["searched"]
        seen = f"{mean_mse(row, of='trained_mse'):.4f}" if "trained_mse" in row else ""
        cells = [
            name, f"{row['steps']:,}", f"{row['weights'] / 1e6:.1f}", f"{row['kl']:.0f}", f"{mean_mse(row):.4f}",
            f"{min(row['mse'].values()):.4f}, {max(row['mse'].values()):.4f}",
            f"{mean_mse(row, of='still_mse'):.4f}", seen,
            f"{row['mse']['micah']:.4f}", f"{found['encoder']:.4f}, {found['search']:.4f}", f"{row['unseen_mse']:.4f}",
            *(f"{avatars[factor]:.2f}" for factor in ("mean", "eyebrows", "earrings", "eyes")), f"{faces['pose']:.2f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def drawing(rows: Rows) -> str:
    """Return the curves as one SVG file."""
    four = tuple(rows["styles-4"]["mse"]) if "styles-4" in rows else None
    panels = [
        _panel("Latents", "latents, log2", rows, LATENTS, lambda name: math.log2(LATENTS[name])),
        _panel("Rate (weight of the KL term)", "KL, nats per image", rows, BETAS, lambda name: rows[name]["kl"]),
        _panel("Styles of the corpus", "styles, log2", rows, STYLES, lambda name: math.log2(STYLES[name]), four),
        _panel("Length", "steps, log10", rows, LENGTHS, lambda name: math.log10(rows[name]["steps"])),
    ]
    height = _TITLE + HEIGHT + 5 * _LINE + _GAP
    boxes = [
        Markup('<svg x="{x}" y="{y}" width="{w}" height="{h}">{panel}</svg>').format(
            x=index % 2 * (WIDTH + _GAP), y=index // 2 * height, w=WIDTH, h=height, panel=panel
        )
        for index, panel in enumerate(panels)
    ]
    css = (files("heddle_platform") / "templates" / "charts.css").read_text(encoding="utf-8")
    whole, deep = 2 * WIDTH + _GAP, 2 * height
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}">'
            '<style>{css}</style><rect width="{w}" height="{h}" fill="#fff"/>{boxes}</svg>\n'
        ).format(w=whole, h=deep, css=Markup(css + _INK), boxes=Markup("").join(boxes))
    )


def _panel(
    title: str,
    x_label: str,
    rows: Rows,
    names: Iterable[str],
    place: Callable[[str], float],
    parts: tuple[str, ...] | None = None,
) -> Markup:
    shown = [name for name in names if name in rows]
    if parts is None:
        kinds = {"held out, all styles": [(name, mean_mse(rows[name])) for name in shown]}
        kinds["held out, still images"] = [(name, mean_mse(rows[name], of="still_mse")) for name in shown]
        kinds["in training"] = [
            (name, mean_mse(rows[name], of="trained_mse")) for name in shown if "trained_mse" in rows[name]
        ]
        kinds["held out, latents found by search"] = [(name, rows[name]["searched"]["search"]) for name in shown]
    else:
        kinds = {"held out, micah": [(name, mean_mse(rows[name], ("micah",))) for name in shown]}
        kinds[f"held out, {len(parts)} styles"] = [
            (name, mean_mse(rows[name], parts)) for name in shown if set(parts) <= set(rows[name]["mse"])
        ]
    series = [Series(kind, [(place(name), mse) for name, mse in found]) for kind, found in kinds.items()]
    ends = [place(name) for name in shown] or [0.0]
    series.append(Series(f"bar, {BAR:g}", [(min(ends), BAR), (max(ends), BAR)]))
    drawn = [each for each in series if each.points]
    keys = [
        Markup(
            '<rect x="70" y="{y}" width="10" height="8" fill="{colour}"/><text class="key" x="86" y="{t}">{name}</text>'
        ).format(
            y=_TITLE + HEIGHT + index * _LINE,
            t=_TITLE + HEIGHT + index * _LINE + 8,
            colour=_COLOURS[index],
            name=escape(each.name),
        )
        for index, each in enumerate(drawn)
    ]
    return Markup('<text class="title" x="70" y="14">{title}</text>').format(title=title) + Markup(
        '<svg y="{y}" width="{w}" height="{h}">{chart}</svg>{keys}'
    ).format(y=_TITLE, w=WIDTH, h=HEIGHT, chart=chart(drawn, x_label, "MSE"), keys=Markup("").join(keys))
