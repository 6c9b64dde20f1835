"""What can be chosen in the corpus's avatar styles, and one uniform, independent draw of all of it.

Every part's presence is decided here (probability 0 or 100) and every choice is kept as a label, so that the
corpus supervises the base for free. Only the styles in STYLES are ever rendered: the others are how the base is
judged.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from heddle_platform.base import palettes

STYLES = (
    "lorelei", "open-peeps", "notionists", "micah", "adventurer", "big-ears", "miniavs", "croodles", "dylan",
    "toon-head", "thumbs", "fun-emoji", "pixel-art", "bottts",
)  # fmt: skip

_ALWAYS_FROM = 100
# The release of these styles that most avatars in the world were drawn with shows them nearer: scale and shift down, as
# fitted to such pictures. Half of the corpus's unmoved ones are drawn so.
_NEARER = {"micah": {"scale": 1.15, "translateY": 3.0}}
_MOVED_SHARE = 0.2
_STILL = {"animationVariant": ["none"]}


@dataclass(frozen=True)
class StyleFactor:
    """One labelled choice of a style: its key ("micah/hair", or a shared role) and its level names."""

    key: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class StyleSpec:
    """What can be chosen in one style.

    Attributes:
        name: the style's name in dicebear-styles.
        parts: component -> its variants.
        optional: components that may be absent.
        colors: colour option -> role, or "" where the style's own values are used.
        own_values: colour option -> the style's own values.
    """

    name: str
    parts: dict[str, tuple[str, ...]]
    optional: frozenset[str]
    colors: dict[str, str]
    own_values: dict[str, tuple[str, ...]]

    def factors(self) -> tuple[StyleFactor, ...]:
        """The labelled factors in label-column order: parts, labelled colour roles, flip."""
        named = [
            StyleFactor(f"{self.name}/{part}", (("none",) if part in self.optional else ()) + variants)
            for part, variants in self.parts.items()
        ]
        roles = [role for role in palettes.LABELLED_ROLES if role in self.colors.values()]
        shared = [StyleFactor(f"{role}_color", palettes.PALETTES[role]) for role in roles]
        return (*named, *shared, StyleFactor(f"{self.name}/flip", ("no", "yes")))


@lru_cache(maxsize=32)
def style_definition(name: str) -> dict[str, Any]:
    """The style's definition as dicebear-styles ships it."""
    text = files("dicebear_styles").joinpath(f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def style_spec(name: str) -> StyleSpec:
    """Read one style's definition.

    Args:
        name: one of STYLES.
    Returns:
        What can be chosen in it.
    Raises:
        ValueError: the style is not part of the corpus.
    """
    if name not in STYLES:
        raise ValueError(f"style {name!r} is not in the corpus; choose one of {', '.join(STYLES)}")
    definition = style_definition(name)
    parts: dict[str, tuple[str, ...]] = {}
    optional: set[str] = set()
    for part, body in definition["components"].items():
        variants = tuple(body.get("variants", {}))
        if part == "animation" or not variants:
            continue
        probability = body.get("probability")
        if probability is not None and probability < _ALWAYS_FROM:
            optional.add(part)
        if len(variants) > 1 or part in optional:
            parts[part] = variants
    own = {color: tuple(body["values"]) for color, body in definition.get("colors", {}).items()}
    roles = {color: palettes.ROLES.get(color, "") for color in own} | {"background": "background"}
    return StyleSpec(name, parts, frozenset(optional), roles, own)


@dataclass(frozen=True)
class Drawn:
    """One avatar's options for the renderer and its labels, in the order of StyleSpec.factors (-1: unknown)."""

    options: dict[str, Any]
    labels: tuple[int, ...]


def draw(spec: StyleSpec, rng: np.random.Generator) -> Drawn:
    """Draw one avatar: every part, colour and flip uniformly and independently; one in five is moved and turned."""
    options: dict[str, Any] = {"seed": str(int(rng.integers(1 << 60))), **_STILL}
    labels: list[int] = []
    for part, variants in spec.parts.items():
        present = part not in spec.optional or bool(rng.random() < 0.5)
        choice = int(rng.integers(len(variants)))
        options[f"{part}Probability"] = 100 if present else 0
        options[f"{part}Variant"] = [variants[choice]]
        labels.append((choice + 1 if present else 0) if part in spec.optional else choice)
    by_role = _draw_colors(spec, options, rng)
    labels += [by_role[role] for role in palettes.LABELLED_ROLES if role in by_role]
    flipped = bool(rng.random() < 0.5)
    options["flip"] = ["horizontal" if flipped else "none"]
    labels.append(int(flipped))
    if rng.random() < _MOVED_SHARE:
        options |= {
            "scale": float(rng.uniform(0.8, 1.2)),
            "rotate": float(rng.uniform(-10, 10)),
            "translateX": float(rng.uniform(-8, 8)),
            "translateY": float(rng.uniform(-8, 8)),
        }
    elif spec.name in _NEARER and rng.random() < 0.5:
        options |= _NEARER[spec.name]
    return Drawn(options, tuple(labels))


def _draw_colors(spec: StyleSpec, options: dict[str, Any], rng: np.random.Generator) -> dict[str, int]:
    by_role = {role: palettes.draw(role, rng) for role in palettes.LABELLED_ROLES if role in spec.colors.values()}
    for color, role in spec.colors.items():
        if role in by_role:
            hex_value = by_role[role].hex
        elif role == "hair-or-ink":
            hex_value = by_role["hair"].hex if "hair" in by_role and rng.random() < 0.5 else "#000000"
        elif role:
            hex_value = palettes.draw(role, rng).hex
        else:
            hex_value = str(rng.choice(spec.own_values[color]))
        options[f"{color}Color"] = [hex_value]
    return {role: drawn.level for role, drawn in by_role.items()}
