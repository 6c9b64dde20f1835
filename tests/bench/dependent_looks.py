"""Avatars drawn here whose looks depend on another labelled factor, so that no single direction says them.

Every factor is drawn uniformly and independently; what is no factor (eyes, nose, ears, clothes, their colour) at
random. A set is 6,000 pictures, a minute or two to draw, kept in the temporary folder.

| set | what depends |
|---|---|
| beards_micah | beard (none, scruff, beard): a small thing in the picture, its colour set to the hair's |
| beards_toon | beard (none, chin, full, long): the style itself has no other colour for them than the hair's |
| outfits_micah | shirt (matching, contrasting): in the hair's colour, or in the one a fixed table sets beside it |
"""

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.rendered import png_to_rgb, render_png
from heddle_platform.base.styles import style_spec
from heddle_platform.digest import canonical_json, sha256_hex

COUNT, SIZE, SEED = 6_000, 64, 11
HAIR = {
    "black": "#1a1a1a",
    "brown": "#7a4a2a",
    "blonde": "#e8c04a",
    "red": "#c8321e",
    "white": "#f5f5f5",
    "blue": "#3d6fd6",
}
SKIN = {"ivory": "#ffdbb4", "sand": "#edb98a", "bronze": "#c47f4b", "umber": "#99552b"}
PAPER = {"sky": "#a9dcf2", "rose": "#ffc4d0", "mint": "#bdeccb", "slate": "#66748a", "orange": "#f0883e"}
SHIRTS = ("#9287ff", "#f4d150", "#fc909f", "#6bd9e9", "#ffffff", "#262e33")


class Kind(NamedTuple):
    """One set.

    Attributes:
        style: what draws it.
        parts: the factors that choose parts: level -> variant, "" for none.
        colors: the factors that are colours -> the options they colour.
        follows: factors that colour an option after the hair: option, and level -> steps behind the hair's own colour.
    """

    style: str
    parts: dict[str, dict[str, str]]
    colors: dict[str, tuple[str, ...]]
    follows: dict[str, tuple[str, dict[str, int]]] = {}  # noqa: RUF012  a constant


KINDS = {
    "beards_micah": Kind(
        "micah",
        {
            "hair": {"fringe": "dannyPhantom", "quiff": "fonze", "long": "full", "bob": "pixie"},
            "beard": {"none": "", "scruff": "scruff", "beard": "beard"},
            "glasses": {"none": "", "round": "round", "square": "square"},
        },
        {
            "hair_color": ("hairColor", "facialHairColor"),
            "skin": ("baseColor",),
            "background": ("backgroundColor",),
        },
    ),
    "beards_toon": Kind(
        "toon-head",
        {
            "hair": {"bun": "bun", "combed": "sideComed", "spiky": "spiky", "undercut": "undercut"},
            "beard": {"none": "", "chin": "chin", "full": "fullBeard", "long": "longBeard"},
            "clothes": {"dress": "dress", "jacket": "openJacket", "shirt": "shirt", "turtleneck": "turtleNeck"},
        },
        {"hair_color": ("hairColor",), "skin": ("skinColor",), "background": ("backgroundColor",)},
    ),
}
KINDS["outfits_micah"] = Kind(
    "micah",
    {name: table for name, table in KINDS["beards_micah"].parts.items() if name != "beard"},
    {"hair_color": ("hairColor", "facialHairColor"), "skin": ("baseColor",), "background": ("backgroundColor",)},
    {"shirt": ("shirtColor", {"matching": 0, "contrasting": 3})},
)
LEVELS = {"hair_color": HAIR, "skin": SKIN, "background": PAPER}


def drawn(name: str) -> dict[str, NDArray[Any]]:
    """Return a set under the names that the files of `../shared/data` use: images, factors, names, values.

    Args:
        name: one of KINDS.
    """
    kind = KINDS[name]
    tables: dict[str, dict[str, Any]] = {**kind.parts, **{role: LEVELS[role] for role in kind.colors}}
    tables |= {name: steps for name, (_, steps) in kind.follows.items()}
    known = canonical_json({"kind": kind, "levels": LEVELS, "count": COUNT, "size": SIZE, "seed": SEED})
    cached = Path(tempfile.gettempdir()) / "heddle_bench" / f"{name}-{sha256_hex(known)[:16]}.npz"
    if not cached.is_file():
        random = np.random.default_rng(SEED)
        labels_NF = np.stack([random.integers(len(table), size=COUNT) for table in tables.values()], axis=1)
        images = [png_to_rgb(render_png(kind.style, _options(kind, tables, row, random), SIZE)) for row in labels_NF]
        cached.parent.mkdir(parents=True, exist_ok=True)
        aside = cached.with_suffix(f".{os.getpid()}.npz")
        np.savez(aside, images=np.stack(images), factors=labels_NF)
        aside.replace(cached)
    stored = np.load(cached)
    spoken = canonical_json([list(table) for table in tables.values()]).decode()
    return {
        "images": stored["images"],
        "factors": stored["factors"],
        "factor_names": np.array(list(tables)),
        "factor_values": np.array(spoken),
    }


def _options(
    kind: Kind, tables: dict[str, dict[str, Any]], labels_F: NDArray[np.int64], random: np.random.Generator
) -> dict[str, Any]:
    options: dict[str, Any] = {"seed": str(int(random.integers(1 << 60))), "animationVariant": ["none"]}
    for part, variants in style_spec(kind.style).parts.items():  # nuisance, unless a factor says otherwise below
        options[f"{part}Variant"] = [variants[int(random.integers(len(variants)))]]
    options |= {"rearHairProbability": 0, "earringsProbability": 0, "glassesProbability": 0}
    options |= {f"{name}Color": [str(random.choice(SHIRTS))] for name in ("shirt", "clothes")}
    options |= {f"{name}Color": ["#000000"] for name in ("eyebrows", "glasses")}
    for (name, table), level in zip(tables.items(), labels_F.tolist(), strict=True):
        value = list(table.values())[level]
        if name in kind.parts:
            part = "facialHair" if (kind.style, name) == ("micah", "beard") else name
            options[f"{part}Variant"] = [value or next(filter(None, table.values()))]
            options[f"{part}Probability"] = 100 if value else 0
        elif name in kind.colors:
            options |= {option: [value] for option in kind.colors[name]}
        else:
            hair = int(labels_F[list(tables).index("hair_color")])
            options[kind.follows[name][0]] = [list(HAIR.values())[(hair + value) % len(HAIR)]]
    return options
