"""Sums over images: what means, covariances and their shrinkage need of latents, so that rows can leave again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.solve import shrink
from heddle_adapters.weights import weighed


@dataclass(frozen=True, eq=False)
class LatentSums:
    """Sums over `count` rows of all L latents, dead ones too: which are alive may change when rows leave.

    The Ledoit-Wolf share needs the sum of |x - mean|^4 over the live latents, and through the binomial formula that
    needs products up to the fourth power; of them only those that pair a square with a square, or with a latent.

    Attributes:
        count: rows, or what their weights add up to.
        total_L: sum of z.
        square_LL: sum of z z'.
        cubic_LL: sum of z^2 z'.
        quartic_LL: sum of z^2 (z^2)'.
    """

    count: float
    total_L: Floats
    square_LL: Floats
    cubic_LL: Floats
    quartic_LL: Floats

    def __add__(self, other: "LatentSums") -> "LatentSums":
        return _combined(self, other, 1)

    def __sub__(self, other: "LatentSums") -> "LatentSums":
        return _combined(self, other, -1)

    def scaled(self, scale: float, count: float) -> "LatentSums":
        """Return sums of weights that are `scale` times as large and add up to `count`."""
        return LatentSums(count, *(scale * getattr(self, field.name) for field in fields(LatentSums)[1:]))

    @property
    def mean_L(self) -> Floats:  # noqa: N802  shape suffix
        """Mean latents; zeros where there are no rows."""
        return self.total_L / max(self.count, 1)

    def scatter_LL(self) -> Floats:  # noqa: N802  shape suffix
        """Return the sum of centred products [L, L]."""
        return self.square_LL - self.count * np.outer(self.mean_L, self.mean_L)

    def fourth(self, live_L: Mask) -> float:
        """Return the sum over rows of |z - mean|^4, over live latents."""
        mean_L, total_L = self.mean_L[live_L], self.total_L[live_L]
        square_LL = self.square_LL[np.ix_(live_L, live_L)]
        weighted_L = self.cubic_LL[np.ix_(live_L, live_L)].sum(axis=0)  # sum of |z|^2 z
        norm, mean_norm = float(np.trace(square_LL)), float(mean_L @ mean_L)
        return float(
            self.quartic_LL[np.ix_(live_L, live_L)].sum()
            + 4 * mean_L @ square_LL @ mean_L
            + self.count * mean_norm**2
            - 4 * mean_L @ weighted_L
            + 2 * mean_norm * norm
            - 4 * mean_norm * mean_L @ total_L
        )


def latent_sums(latents_NL: Floats, weight_N: Floats | None = None) -> LatentSums:
    """Return the sums over rows [N, L], each times its weight; N may be 0, and is the count, with weights too."""
    square_NL = latents_NL**2
    told_NL, told_square_NL = weighed(latents_NL, weight_N), weighed(square_NL, weight_N)
    return LatentSums(
        len(latents_NL),
        told_NL.sum(axis=0),
        told_NL.T @ latents_NL,
        told_square_NL.T @ latents_NL,
        told_square_NL.T @ square_NL,
    )


def image_spread(parts: Sequence[LatentSums]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation [L] over the images of all parts."""
    images = sum(part.count for part in parts)
    mean_L = np.sum([part.total_L for part in parts], axis=0) / images
    square_L = np.sum([np.diag(part.square_LL) for part in parts], axis=0) / images
    return mean_L, np.sqrt(np.maximum(square_L - mean_L**2, 0.0))


def covariance_of(parts: Sequence[LatentSums], live_L: Mask) -> Floats:
    """Return Sigma over live latents: each part about its own mean, then Ledoit-Wolf, see `solve.pooled_covariance`."""
    images = sum(part.count for part in parts)
    scatter_LL: Floats = np.sum([part.scatter_LL() for part in parts], axis=0)
    return shrink(scatter_LL[np.ix_(live_L, live_L)] / images, sum(part.fourth(live_L) for part in parts), images)


def _combined(one: LatentSums, other: LatentSums, sign: int) -> LatentSums:
    return LatentSums(*(getattr(one, field.name) + sign * getattr(other, field.name) for field in fields(LatentSums)))
