"""The discriminative read: multinomial logistic regression of all levelled factors, started from the closed form.

The closed form is best with few labels, a discriminative read from a thousand on. So the logistic loss is descended
from the closed form and the path is kept: step 0 is the closed form itself, and out-of-fold rows say per factor how
far to walk. All factors descend side by side by conjugate gradients (Polak & Ribiere 1969, restarted where they do not
point downhill), in the coordinates where half the Gram matrix, an upper bound of the loss's curvature (Boehning &
Lindsay 1988), is the identity. The length of a step is Newton's along its direction, which costs no further product;
a step that made the loss worse is halved back. Twenty steps read what eighty of Nesterov's did.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers, Mask, Singles
from heddle_adapters.solve import solve_symmetric
from heddle_adapters.weights import mean_of, rooted, total_of

PATH = (0, 1, 2, 4, 8, 14, 20)
RIDGE = 0.5  # pulls towards the closed form, in imagined rows per latent
LEAST_CURVATURE = 1e-4  # of the bound; where every row is sure, the curvature along a direction is all but nought
_TINY = np.float32(1e-30)
_NOISE = 1e-6  # share of a loss that single precision cannot tell


def descend(
    latents_NL: Floats,
    levels_NF: Integers,
    widths: Sequence[int],
    direction_LC: Floats,
    offset_C: Floats,
    path: Sequence[int] = PATH,
    *,
    weight_N: Floats | None = None,
) -> dict[int, tuple[Floats, Floats]]:
    """Descend the logistic loss of all levelled factors at once.

    Args:
        latents_NL: latents, every column alive.
        levels_NF: level indices, -1 where a label is missing.
        widths: K of each factor.
        direction_LC, offset_C: the closed form's logits, factors side by side.
        path: steps at which to keep the state.
        weight_N: of the rows, see `weights`.

    Returns:
        step -> (directions [L, C], offsets [C]); step 0 among them.
    """
    mean_L = mean_of(latents_NL, weight_N)
    centered_NL = latents_NL - mean_L
    rows, size = centered_NL.shape
    bound = np.sqrt(2.0 / total_of(rows, weight_N))
    basis_LL, pull_XX = _coordinates(rooted(centered_NL, weight_N))
    # the offset is one more coordinate, scaled to the same bound of the curvature, that nothing pulls back
    inputs_XN = np.empty((size + 1, rows), np.float32)
    inputs_XN[:size], inputs_XN[size] = (centered_NL @ basis_LL).T, bound
    loss = _Loss(levels_NF, widths, weight_N)
    logits_CN = np.ascontiguousarray((centered_NL @ direction_LC + (offset_C + mean_L @ direction_LC)).T, np.float32)
    moved_CX = np.zeros((len(logits_CN), size + 1), np.float32)
    kept = {0: (direction_LC, offset_C)}
    toward_CX = slope_CX = np.zeros_like(moved_CX)
    steep_F = length_F = np.zeros(len(widths))
    before_F = np.full(len(widths), np.inf)
    for step in range(1, max(path) + 1):
        error_CN, loss_F = loss.of(logits_CN)
        loss_F += 0.5 * loss.summed(moved_CX * (moved_CX @ pull_XX))
        worse_F = loss_F > before_F * (1 + _NOISE)
        new_CX = error_CN @ inputs_XN.T + moved_CX @ pull_XX
        new_F = loss.summed(new_CX * new_CX)
        again_F = np.maximum(loss.summed(new_CX * (new_CX - slope_CX)), 0.0) / np.maximum(steep_F, _TINY)
        ahead_CX = loss.spread(again_F) * toward_CX - new_CX
        uphill_C = (loss.summed(ahead_CX * new_CX) >= 0.0)[loss.owner_C]
        ahead_CX[uphill_C] = -new_CX[uphill_C]
        worse_C = worse_F[loss.owner_C, None]
        toward_CX = np.where(worse_C, toward_CX, ahead_CX)
        slope_CX = np.where(worse_C, slope_CX, new_CX)
        steep_F, before_F = np.where(worse_F, steep_F, new_F), np.where(worse_F, before_F, loss_F)
        along_CN = toward_CX @ inputs_XN
        bend_F = loss.curvature(along_CN) + loss.summed(toward_CX * (toward_CX @ pull_XX))
        bend_F = np.maximum(bend_F, LEAST_CURVATURE * loss.summed(toward_CX * toward_CX) + _TINY)
        length_F = np.where(worse_F, -0.5 * np.abs(length_F), -loss.summed(toward_CX * slope_CX) / bend_F)
        length_C1 = loss.spread(length_F)
        moved_CX += length_C1 * toward_CX
        along_CN *= length_C1
        logits_CN += along_CN
        if step in path:
            direction = direction_LC + basis_LL @ moved_CX[:, :size].T.astype(np.float64)
            lift_C = moved_CX[:, size] * bound + mean_L @ (direction_LC - direction)
            kept[step] = (direction, offset_C + lift_C)
    return kept


class _Loss:
    """The logistic loss of F factors whose logits lie side by side, [C, N]: rows of a factor are contiguous."""

    def __init__(self, levels_NF: Integers, widths: Sequence[int], weight_N: Floats | None = None) -> None:
        ends = np.cumsum(widths).tolist()
        self._blocks = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
        self._first_F = np.array([block.start for block in self._blocks])
        self.owner_C = np.repeat(np.arange(len(widths)), widths)
        known_FN = levels_NF.T >= 0
        self._known_FN: Mask | None = None if known_FN.all() else known_FN
        self._truth_FN = self._first_F[:, None] + np.maximum(levels_NF.T, 0)
        self._row_N = np.arange(len(levels_NF))
        self._weight_N: Singles | None = None if weight_N is None else weight_N.astype(np.float32)
        self._share_CN = np.empty((ends[-1], len(levels_NF)), np.float32)
        self._error_CN = np.empty_like(self._share_CN)

    def of(self, logits_CN: Singles) -> tuple[Singles, Floats]:
        """Return weighted probabilities less truth [C, N], 0 where a label is missing, and the loss [F] in nats."""
        for index, block in enumerate(self._blocks):
            share_KN = self._share_CN[block]
            np.subtract(logits_CN[block], logits_CN[block].max(axis=0), out=share_KN)
            np.exp(share_KN, out=share_KN)
            share_KN /= share_KN.sum(axis=0)
            if self._known_FN is not None:
                share_KN *= self._known_FN[index]
        truth_FN = self._share_CN[self._truth_FN, self._row_N]
        np.copyto(self._error_CN, self._share_CN)
        if self._known_FN is None:
            self._error_CN[self._truth_FN, self._row_N] = truth_FN - 1.0
        else:
            self._error_CN[self._truth_FN, self._row_N] = truth_FN - self._known_FN
            truth_FN = np.where(self._known_FN, truth_FN, 1.0)
        loss_FN = -np.log(np.maximum(truth_FN, _TINY))
        if self._weight_N is not None:
            self._error_CN *= self._weight_N
            loss_FN *= self._weight_N
        return self._error_CN, loss_FN.sum(axis=1, dtype=np.float64)

    def curvature(self, along_CN: Singles) -> Floats:
        """Return the second derivative [F] of the loss, where `of` was last asked, as all logits move along."""
        bend_F = np.empty(len(self._blocks))
        for index, block in enumerate(self._blocks):
            along_KN = along_CN[block]
            weighed_KN = np.multiply(self._share_CN[block], along_KN, out=self._error_CN[block])
            mean_N = weighed_KN.sum(axis=0)
            told_N = mean_N if self._weight_N is None else mean_N * self._weight_N
            if self._weight_N is not None:
                weighed_KN *= self._weight_N
            bend_F[index] = float(np.vdot(weighed_KN, along_KN)) - float(np.vdot(told_N, mean_N))
        return bend_F

    def summed(self, array_CX: NDArray[np.floating[Any]]) -> Floats:
        """Return sums [F] over each factor's own rows of [C, X]."""
        return np.asarray(np.add.reduceat(array_CX.sum(axis=1, dtype=np.float64), self._first_F))

    def spread(self, array_F: Floats) -> Singles:
        """Return each factor's number in all its rows, [C, 1]."""
        return array_F[self.owner_C, None].astype(np.float32)


def _coordinates(centered_NL: Floats) -> tuple[Floats, Singles]:
    """Return the basis [L, L] in which the bound of the curvature is the identity, and the pull [L+1, L+1] in it."""
    size = centered_NL.shape[1]
    curvature_LL = 0.5 * (centered_NL.T @ centered_NL) + RIDGE * np.eye(size)
    basis_LL = np.linalg.cholesky(solve_symmetric(curvature_LL, np.eye(size)))
    pull_XX = np.zeros((size + 1, size + 1), np.float32)
    pull_XX[:size, :size] = RIDGE * basis_LL.T @ basis_LL
    return np.asarray(basis_LL), pull_XX
