"""Figures of a base's card: what it scored on one part of the corpus."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from heddle_platform import pixels
from heddle_platform.base.corpus import Part
from heddle_platform.base.readings import Reading, Score
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.base.sharpness import edge_share
from heddle_platform.base.slices import labelled_slice


class PartCard(BaseModel):
    """One part of the corpus, on held-out images.

    Attributes:
        images: how many.
        mse: of the round trip, images in 0..1.
        edges: edge energy of the reconstructions over that of the images.
        scores: by name.
        chance: mean over its factors of the share of the commonest level; None where it has no labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    mse: float
    edges: float
    scores: dict[str, Reading] = {}
    chance: float | None = None


def as_seen(part: Part, image_size: int, channels: int) -> Part:
    """A part's images at the size a base takes, and for a grey one (1 channel) their luma in all three."""
    images = part.images
    if channels == 1:
        grey = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
        images = np.repeat(np.stack(grey)[..., None], 3, axis=-1)
    return replace(part, images=np.stack([pixels.resize(image, image_size) for image in images]))


def measure_part(runtime: BaseRuntime, part: Part, codes_NL: NDArray[np.float32], score: Score | None) -> PartCard:
    """Measure one part.

    Args:
        runtime: the base.
        part: held-out images.
        codes_NL: their codes.
        score: computes scores where the part has labels.
    """
    drawn = runtime.decode(codes_NL)
    wanted = part.images.astype(np.float32) / np.float32(255)
    found = labelled_slice(part)
    return PartCard(
        images=len(part.images),
        mse=round(float(np.square(drawn - wanted, dtype=np.float64).mean()), 6),
        edges=round(edge_share(drawn, wanted), 4),
        scores=score(codes_NL[: len(found)], found) if score and found is not None else {},
        chance=None if found is None else _chance(found),
    )


def _chance(labels_NF: NDArray[np.int16]) -> float:
    return float(np.mean([np.bincount(column).max() / len(column) for column in labels_NF.T]))
