"""Which labels a training may see: a fraction of the images, the same ones all along, drawn more often than others.

Where a label says at which place a thing stands, a labelled image moved is another labelled image: its label of place
moves along and all others stay true.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from heddle_platform.base.corpus import UNKNOWN, Factor
from heddle_platform.errors import InvalidInput


class MovesConfig(BaseModel):
    """Labelled images that are drawn as such are moved by whole pixels, to places uniform over a factor's levels.

    What an image leaves free takes the colours of its edge. An image whose place is unknown stays where it is. Since
    every level of a place is one that the corpus has, nothing is moved out of the picture.

    Attributes:
        across: key of the factor whose levels go from left to right; None: no move that way.
        down: key of the factor whose levels go from top to bottom; None: no move that way.
        step: pixels, at the corpus's image size, from one level to the next; what is not whole is rounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    across: str | None = None
    down: str | None = None
    step: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _some_way(self) -> "MovesConfig":
        if self.across is None and self.down is None:
            raise ValueError("name a factor in across, in down or in both: which label says where an image's thing is")
        return self


class LabelsConfig(BaseModel):
    """A labelled fraction: exactly one of `images` and `share`.

    Attributes:
        images: number of labelled images, over all parts.
        share: share of the images that are labelled, in 0..1.
        of_batch: share of a batch that is drawn from labelled images alone; few labels are seen too rarely otherwise.
        moves: how labelled images are moved about; None: not at all.
        seed: which images are labelled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)
    of_batch: float = Field(default=0.25, ge=0, le=1)
    moves: MovesConfig | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_amount(self) -> "LabelsConfig":
        if (self.images is None) == (self.share is None):
            raise ValueError("give exactly one of images and share: how many images are labelled")
        return self


def labelled_rows(config: LabelsConfig, sizes: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Return for each part, of these sizes, which of its images are labelled."""
    total = sum(sizes)
    count = config.images if config.images is not None else max(1, round(total * float(config.share or 0)))
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(config.seed).permutation(total)[:count]] = True
    return np.split(chosen, np.cumsum(sizes)[:-1])


def shifted(image_HWC: NDArray[np.uint8], right: int, down: int) -> NDArray[np.uint8]:
    """The image moved by whole pixels, its edge drawn out over what that leaves free."""
    height, width = image_HWC.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return np.asarray(image_HWC[rows[:, None], columns[None]])


class Moves:
    """Moves labelled images about.

    Args:
        config: along which factors, and how far apart their levels are.
        factors: the corpus's factors, which labels refer to.
    Raises:
        InvalidInput: code `invalid_recipe`; a factor does not exist.
    """

    def __init__(self, config: MovesConfig, factors: Sequence[Factor]) -> None:
        keys = [factor.key for factor in factors]
        for key in (config.across, config.down):
            if key is not None and key not in keys:
                raise InvalidInput(
                    f"no factor {key!r} to move along; the corpus has {', '.join(keys)}", code="invalid_recipe"
                )
        self._step = config.step
        # (column, levels) of each way, across first.
        self._ways = [
            None if key is None else (keys.index(key), len(factors[keys.index(key)].levels))
            for key in (config.across, config.down)
        ]

    def of(
        self, image_HWC: NDArray[np.uint8], labels_F: NDArray[np.integer], places: Sequence[float]
    ) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
        """Return the image and its labels at another place.

        Args:
            image_HWC: as it is.
            labels_F: its labels.
            places: where to, across and down, each in 0..1 over the factor's levels, 1 excluded.
        """
        moved_F = labels_F.copy()
        pixels = [0, 0]
        for index, (way, place) in enumerate(zip(self._ways, places, strict=True)):
            if way is None or labels_F[way[0]] == UNKNOWN:
                continue
            column, levels = way
            moved_F[column] = int(place * levels)
            pixels[index] = round((int(moved_F[column]) - int(labels_F[column])) * self._step)
        return shifted(image_HWC, *pixels), moved_F
