"""Which labels a training may see: a fraction of the images, the same ones all along, drawn more often than others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class LabelsConfig(BaseModel):
    """A labelled fraction: exactly one of `images` and `share`.

    Attributes:
        images: number of labelled images, over all parts.
        share: share of the images that are labelled, in 0..1.
        of_batch: share of a batch that is drawn from labelled images alone; few labels are seen too rarely otherwise.
        seed: which images are labelled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)
    of_batch: float = Field(default=0.25, ge=0, le=1)
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
