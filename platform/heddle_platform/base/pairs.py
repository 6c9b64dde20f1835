"""Partners: for an image another one that differs from it in few factors only (Locatello 2020).

dSprites is drawn anew with a few factors changed, which is exact. Any other part has its partners among its own
images: the one, out of some drawn at random, that agrees in most labels. How many agree then depends on how many
labels the part has and how many images.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from heddle_platform.base import dsprites_exact
from heddle_platform.base.corpus import DSPRITES_EXACT, UNKNOWN, Factor, Part
from heddle_platform.base.dsprites import FACTOR_SIZES


class PairsConfig(BaseModel):
    """How partners are found.

    Attributes:
        changed: most factors that differ where a partner is drawn anew; their number is uniform in 1..changed.
        candidates: images a partner is chosen from where it is looked up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    changed: int = Field(default=1, ge=1, le=len(FACTOR_SIZES))
    candidates: int = Field(default=512, ge=1)


class Partners:
    """Finds the partners of one part's images.

    Args:
        part: the part.
        factors: the corpus's factors, which the part's labels refer to.
        config: how partners are found.
    """

    def __init__(self, part: Part, factors: Sequence[Factor], config: PairsConfig) -> None:
        self._part, self._config = part, config
        keys = [factor.key for factor in factors]
        drawn = [key for key, _ in dsprites_exact.factor_levels()]
        self._columns = [keys.index(key) for key in drawn] if part.name == DSPRITES_EXACT else []

    def of(self, row: int, generator: torch.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Return a partner of the image in this row: image [H, W, C] and labels [F]."""
        rng = np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))
        return self._redrawn(row, rng) if self._columns else self._looked_up(row, rng)

    def _redrawn(self, row: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        labels_F = self._part.labels[row].copy()
        count = int(rng.integers(1, self._config.changed + 1))
        for factor in rng.choice(len(FACTOR_SIZES), size=count, replace=False):
            size, column = FACTOR_SIZES[factor], self._columns[factor]
            # Any other level, so that what is drawn as a change is one.
            labels_F[column] = (labels_F[column] + rng.integers(1, size)) % size
        return dsprites_exact.render(labels_F[None, self._columns])[0], labels_F

    def _looked_up(self, row: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        candidates = rng.integers(len(self._part.images), size=self._config.candidates)
        own_F = self._part.labels[row]
        agree_M = ((self._part.labels[candidates] == own_F) & (own_F != UNKNOWN)).sum(axis=1)
        # An image is no partner of its own, unless it is the only one.
        agree_M[candidates == row] = -1
        chosen = int(candidates[agree_M.argmax()])
        return self._part.images[chosen], self._part.labels[chosen]
