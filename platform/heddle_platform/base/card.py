"""The model card of a base: what it is, why it is so, what it scored and where it fails, as one document.

Made from a bundle and held-out images by ONNX Runtime alone, so that any base anywhere can have one; a training adds
its curves. `card_page` draws it.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from heddle_platform.base.alarms import Alarm
from heddle_platform.base.bundle import CARD_HTML, CARD_JSON, BaseBundle
from heddle_platform.base.card_parts import PartCard, as_seen, measure_part
from heddle_platform.base.corpus import CorpusConfig, Part, build_corpus
from heddle_platform.base.readings import Measurement, Score
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.base.traversal import as_png, most_active, tiled, traversal_grid
from heddle_platform.digest import canonical_json

_TRAVERSED_PARTS: Final = 2
_MOST_CURVE_POINTS: Final = 200
_BLURRED: Final = 0.5
_POOR: Final = 2.0  # times the median error of all parts
_DULL_LATENT_NATS: Final = 0.01


class Traversal(BaseModel):
    """A traversal picture: one row each of `latents`, columns -2 to 2 standard deviations, from an image of `part`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    latents: tuple[int, ...]
    png: str


class BaseCard(BaseModel):
    """The document.

    Attributes:
        name, digest, trained_at, code_version: which base.
        image_size, latents, steps: its size, and how long it was trained.
        notes: the recipe's own words: what it is for, and why its weights are what they are.
        recipe: the whole recipe.
        corpus: part -> training images.
        parts: figures on held-out images of each part.
        active_units, kl_per_latent: see `BaseMetrics`.
        curves: what was measured while it trained.
        warnings: what was still going wrong at the end.
        failures: what these figures show that it does badly, sentences with numbers.
        known: what it is known to do badly beyond them: people's sentences, or those of measurements made elsewhere.
        traversals: pictures.
        round_trips: picture: originals above, reconstructions below, a column an image (PNG, base64).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str
    trained_at: str
    code_version: str
    image_size: int
    latents: int
    steps: int
    notes: str
    recipe: dict[str, Any]
    corpus: dict[str, int]
    parts: dict[str, PartCard]
    active_units: int
    kl_per_latent: tuple[float, ...]
    curves: tuple[Measurement, ...] = ()
    warnings: tuple[Alarm, ...] = ()
    failures: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    traversals: tuple[Traversal, ...] = ()
    round_trips: str = ""

    def score(self, name: str) -> float | None:
        """A score's mean over the parts that have it, or None."""
        values = [part.scores[name].value for part in self.parts.values() if name in part.scores]
        return float(np.mean(values)) if values else None

    def canonical(self) -> bytes:
        """The bytes of card.json."""
        return canonical_json(self.model_dump(mode="json"))


def make_card(
    bundle: BaseBundle,
    held_out: Sequence[Part],
    *,
    score: Score | None = None,
    measurements: Sequence[Measurement] = (),
    known: Sequence[str] = (),
    kept: BaseCard | None = None,
) -> BaseCard:
    """Measure a bundle and write its card.

    Args:
        bundle: the base.
        held_out: images it never saw, with labels where known.
        score: computes scores per labelled part; None leaves them out.
        measurements: of its training, for the curves.
        known: sentences for `BaseCard.known`.
        kept: an earlier card of the same base, whose curves and known failures go on where none are given.
    """
    if kept is not None and kept.digest == bundle.digest:
        measurements, known = measurements or kept.curves, known or kept.known
    manifest, runtime = bundle.manifest, BaseRuntime.from_bundle(bundle)
    held_out = [as_seen(part, manifest.image_size, manifest.channels) for part in held_out]
    codes = {part.name: runtime.encode(part.images) for part in held_out}
    parts = {part.name: measure_part(runtime, part, codes[part.name], score) for part in held_out}
    return BaseCard(
        name=manifest.name,
        digest=bundle.digest,
        trained_at=manifest.trained_at,
        code_version=manifest.code_version,
        image_size=manifest.image_size,
        latents=manifest.latents,
        steps=manifest.metrics.steps,
        notes=str(manifest.recipe.get("notes", "")),
        recipe=manifest.recipe,
        corpus=manifest.corpus.images,
        parts=parts,
        active_units=manifest.metrics.active_units,
        kl_per_latent=manifest.metrics.kl_per_latent,
        curves=_thinned(measurements),
        warnings=measurements[-1].warnings if measurements else (),
        failures=_failures(parts, manifest.metrics.kl_per_latent),
        known=tuple(known),
        traversals=_traversals(
            runtime, _largest(held_out, manifest.corpus.images), codes, manifest.metrics.kl_per_latent
        ),
        round_trips=_round_trips(runtime, held_out, codes),
    )


def write_card(card: BaseCard, folder: Path) -> bytes:
    """Write card.json and card.html into a folder; return the page."""
    from heddle_platform.base.card_page import card_page  # jinja2 is wanted only here

    page = card_page(card)
    (folder / CARD_JSON).write_bytes(card.canonical())
    (folder / CARD_HTML).write_bytes(page)
    return page


def kept_card(folder: Path) -> BaseCard | None:
    """The card that lies beside a bundle, or None where there is none that can be read."""
    try:
        return BaseCard.model_validate_json((folder / CARD_JSON).read_bytes())
    except (OSError, ValidationError):
        return None


def held_out_parts(recipe: dict[str, Any], cache_dir: Path | None = None) -> tuple[Part, ...]:
    """Render the held-out images of a manifest's recipe, and next to nothing of its training images."""
    config = CorpusConfig.model_validate(recipe["corpus"])
    few = config.model_copy(update={"images": dict.fromkeys(config.images, 1)})
    return build_corpus(few, cache_dir=cache_dir).held_out


def _thinned(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    if len(measurements) <= _MOST_CURVE_POINTS:
        return tuple(measurements)
    places = np.linspace(0, len(measurements) - 1, _MOST_CURVE_POINTS).round().astype(int)
    return tuple(measurements[place] for place in places)


def _failures(parts: dict[str, PartCard], kl_per_latent: Sequence[float]) -> tuple[str, ...]:
    middle = float(np.median([part.mse for part in parts.values()]))
    sentences = [
        f"Draws {name} badly: held-out MSE {part.mse:.4f}, the median of all parts is {middle:.4f}."
        for name, part in parts.items()
        if part.mse > _POOR * middle
    ]
    blurred = [f"{name} {part.edges:.0%}" for name, part in parts.items() if part.edges < _BLURRED]
    if blurred:
        sentences.append(f"Softens fine detail; edge energy kept: {', '.join(blurred)}.")
    chancy = [
        f"{name}: {part.scores['probe'].value:.0%} (chance {part.chance:.0%})"
        for name, part in parts.items()
        if "probe" in part.scores and part.chance is not None and part.scores["probe"].value < 1.2 * part.chance
    ]
    if chancy:
        sentences.append(f"A linear reader of its latents hardly beats chance on {'; '.join(chancy)}.")
    dull = sum(nats < _DULL_LATENT_NATS for nats in kl_per_latent)
    if dull:
        sentences.append(f"{dull} of {len(kl_per_latent)} latents carry less than {_DULL_LATENT_NATS:g} nats.")
    return tuple(sentences)


def _largest(held_out: Sequence[Part], counts: dict[str, int]) -> list[Part]:
    """The parts the base was trained on most."""
    return sorted(held_out, key=lambda part: -counts.get(part.name, 0))[:_TRAVERSED_PARTS]


def _traversals(
    runtime: BaseRuntime,
    held_out: Sequence[Part],
    codes: dict[str, NDArray[np.float32]],
    kl_per_latent: Sequence[float],
) -> tuple[Traversal, ...]:
    latents = most_active(kl_per_latent)
    return tuple(
        Traversal(
            part=part.name,
            latents=tuple(latents),
            png=_base64(as_png(traversal_grid(runtime.decode, codes[part.name][0], latents))),
        )
        for part in held_out
    )


def _round_trips(runtime: BaseRuntime, held_out: Sequence[Part], codes: dict[str, NDArray[np.float32]]) -> str:
    originals = np.stack([part.images[0] for part in held_out])
    drawn = runtime.decode(np.stack([codes[part.name][0] for part in held_out]))
    drawn = np.clip(np.rint(drawn * 255), 0, 255).astype(np.uint8)
    return _base64(as_png(tiled(np.concatenate([originals, drawn]), columns=len(originals))))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
