"""The closed form on rows it never saw: how far to shrink the noise, and how sure each reading may be.

The labelled rows are cut into folds, and each is read by a solve of the others. With few labels the share of the
residual covariance's shrinkage is chosen whose readings are most likely: how much of it reads best differs from base
to base. On five pairs of a base and a drawn set, 50 to 400 labels, the chosen share read .724 right on the mean, a
quarter for everybody .715; from 500 labels on all shares read alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.calibrate import NO_LEVEL, angle_error, temperatures_of
from heddle_adapters.design import Coding, score_slices
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.linear import closed_form_reads
from heddle_adapters.solution import Solution, solve
from heddle_adapters.solve import RESIDUAL_SHARE
from heddle_adapters.weights import mean_of

SHARES = (0.1, RESIDUAL_SHARE, 1.0)  # of the Gaussian optimum; beyond 1 read worse on every set
# With few labels a fit on two thirds of them is clearly worse than on all, and its confidence would be calibrated too
# low; with many it is not, and three folds are cheaper.
FEW_ROWS, FEW_ROWS_FOLDS, MANY_ROWS_FOLDS = 500, 5, 3
LEAST_ERROR = 1e-6


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows held out, [N], and the solve of the others."""

    held_N: Mask
    solution: Solution


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What out-of-fold rows say of the closed form.

    Attributes:
        share: of the residual covariance's shrinkage.
        folds: the folds whose others hold a label of every factor, solved with that share.
        scores_NC: what each row is read as by the solve that never saw it; NaN in rows of no fold.
        temperature_F: see `Adapter.temperature_F`; 1 where no row was read.
        loss_F: mean negative log-likelihood of the labels at that temperature, in nats; for numbers the logarithm of
            the typical error, which is the same up to a constant.
        rows_F: labels that were read, or the sum of their weights.
        weight_N: of the rows; None is 1.
    """

    share: float
    folds: tuple[Fold, ...]
    scores_NC: Floats
    temperature_F: Floats
    loss_F: Floats
    rows_F: NDArray[np.intp] | Floats
    weight_N: Floats | None = None

    @property
    def loss(self) -> float:
        """Summed over all labels read."""
        return float(self.rows_F @ self.loss_F)


def fold_count(rows: int) -> int:
    """Return how many folds a set of this size is calibrated on."""
    return FEW_ROWS_FOLDS if rows < FEW_ROWS else MANY_ROWS_FOLDS


def shares_for(rows: int) -> tuple[float, ...]:
    """Return the shares that a set of this size is tried with."""
    return SHARES if rows < FEW_ROWS else (RESIDUAL_SHARE,)


def read_held_out(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    ridge: float,
    share: float | None = None,
    *,
    weight_N: Floats | None = None,
) -> HeldOut:
    """Read every fold by a solve of the others.

    Args:
        latents_NL: labelled latents, every column alive.
        values_NF: labels, NaN where missing.
        codings: per factor.
        ridge: pseudo-counts per level.
        share: of the residual covariance's shrinkage; None takes the most likely of `shares_for`, the first of equals.
        weight_N: of the rows, see `weights`; rows are dealt into folds without regard to it.
    """
    count = fold_count(len(values_NF))
    fold_N = fold_of_rows(values_NF, count, seed=0)
    folds = []
    for fold in range(count):
        taught_N = fold_N != fold
        if np.isnan(values_NF[taught_N]).all(axis=0).any():
            continue  # too few labels of a factor to leave some out; its prior stays
        weights = None if weight_N is None else weight_N[taught_N]
        solution = solve(
            latents_NL[taught_N], values_NF[taught_N], codings, ridge=ridge, weight_N=weights, reads_only=True
        )
        folds.append(Fold(~taught_N, solution))
    shares = shares_for(len(values_NF)) if share is None else (share,)
    return min(_read(folds, latents_NL, values_NF, codings, shares, weight_N), key=lambda read: read.loss)


def _read(
    folds: Sequence[Fold],
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    shares: Sequence[float],
    weight_N: Floats | None,
) -> list[HeldOut]:
    """Return what held-out rows say, per share; all are computed side by side."""
    shrunk = [[replace(fold, solution=fold.solution.shrunk(share)) for fold in folds] for share in shares]
    scores_SNC = np.full((len(shares), len(latents_NL), score_slices(codings)[-1].stop), np.nan)
    if folds:
        every = [fold.solution for some in shrunk for fold in some]
        direction_RLC, offset_RC = closed_form_reads(
            [one.encoding for one in every], codings, [one.counts for one in every]
        )
        for place, fold in enumerate(folds):
            own = slice(place, None, len(folds))
            scores_SNC[:, fold.held_N] = latents_NL[fold.held_N] @ direction_RLC[own] + offset_RC[own, None]
    temperature_SF, loss_SF, rows_F = _sureness(scores_SNC, values_NF, codings, weight_N)
    return [
        HeldOut(share, tuple(some), scores_NC, temperature_F, loss_F, rows_F, weight_N)
        for share, some, scores_NC, temperature_F, loss_F in zip(
            shares, shrunk, scores_SNC, temperature_SF, loss_SF, strict=True
        )
    ]


def _sureness(
    scores_SNC: Floats, values_NF: Floats, codings: Sequence[Coding], weight_N: Floats | None
) -> tuple[Floats, Floats, NDArray[np.intp] | Floats]:
    """Return temperatures and mean losses [S, F], and how many labels were read [F], or the sum of their weights."""
    shares, blocks = len(scores_SNC), score_slices(codings)
    known_NF = ~np.isnan(values_NF) & np.isfinite(scores_SNC[0]).all(axis=1)[:, None]
    rows_F = np.count_nonzero(known_NF, axis=0) if weight_N is None else weight_N @ known_NF
    temperature_SF, loss_SF = np.ones((shares, len(codings))), np.zeros((shares, len(codings)))
    levelled = [index for index, coding in enumerate(codings) if coding.levels and rows_F[index]]
    if levelled:
        most = max(codings[index].levels for index in levelled)
        logits_FSKN = np.full((len(levelled), shares, most, len(values_NF)), NO_LEVEL)
        for place, index in enumerate(levelled):
            logits_FSKN[place, :, : codings[index].levels] = np.nan_to_num(scores_SNC[:, :, blocks[index]].mT)
        levels_FN = np.where(known_NF, np.nan_to_num(values_NF), -1).T[levelled].astype(np.int64)
        levels_MN = np.repeat(levels_FN, shares, axis=0)
        found = temperatures_of(logits_FSKN.reshape(-1, most, len(values_NF)), levels_MN, weight_N=weight_N)
        for result_SF, found_M in zip((temperature_SF, loss_SF), found, strict=True):
            result_SF[:, levelled] = found_M.reshape(len(levelled), shares).T
    for index, (coding, block) in enumerate(zip(codings, blocks, strict=True)):
        if coding.levels or not rows_F[index]:
            continue
        known_N = known_NF[:, index]
        value_N, weights = values_NF[known_N, index], None if weight_N is None else weight_N[known_N]
        for place, scores_NC in enumerate(scores_SNC):
            temperature_SF[place, index] = typical_error(scores_NC[known_N, block], value_N, coding, weights)
        loss_SF[:, index] = np.log(temperature_SF[:, index])
    return temperature_SF, loss_SF, rows_F


def typical_error(score_NC: Floats, values_N: Floats, coding: Coding, weight_N: Floats | None = None) -> float:
    """Return the root mean square error of a number's readings in its unit, of an angle's in radians."""
    if coding.kind == "periodic":
        angle_N = np.arctan2(score_NC[:, 1], score_NC[:, 0]) * (coding.spread / (2 * np.pi))
        error_N = angle_error(angle_N, values_N, coding.spread)
    else:
        error_N = score_NC[:, 0] - values_N
    return max(float(np.sqrt(mean_of(np.square(error_N), weight_N))), LEAST_ERROR)
