"""The encoding model: how all factors at once move the latents, in closed form.

`effects` (A in the notes) is the ridge regression of latents on the design of *all* factors, so each row says
what one factor does with the others held fixed: correlated labels do not leak into it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from heddle_adapters.arrays import Floats
from heddle_adapters.weights import among_pool, mean_of, rooted, total_of, weighed

RESIDUAL_SHARE = 0.25  # of the textbook shrinkage that the residual covariance gets where none is chosen


@dataclass(frozen=True, eq=False)
class Encoding:
    """What was learnt about N rows of L latents and P design columns.

    Attributes:
        mean_L: mean of the labelled latents.
        center_P: mean of the design columns over labelled rows.
        effects_PL: A, latent change per unit of each design column, others held fixed.
        left_LL: covariance of what the factors do not explain.
        freedom: rows less the fitted effects, its degrees of freedom.
        residual_LL: the same, shrunk for reading.
        design_PP: covariance of the design columns.
        covariance_LL: Sigma, Ledoit-Wolf covariance of all images, labelled or not.
        cross_PL: covariance of design columns with latents.
        rows: N, or the sum of the rows' weights.
    """

    mean_L: Floats
    center_P: Floats
    effects_PL: Floats
    left_LL: Floats
    freedom: float
    residual_LL: Floats
    design_PP: Floats
    covariance_LL: Floats
    cross_PL: Floats
    rows: float

    def shrunk(self, share: float) -> "Encoding":
        """Return the same with its residual covariance shrunk by another share; see `shrink_residual`."""
        return replace(self, residual_LL=shrink_residual(self.left_LL, self.freedom, share))


@dataclass(frozen=True, eq=False)
class Moments:
    """All that the encoding model needs to know of N labelled rows and of the unlabelled pool.

    Attributes:
        rows: N, or the sum of the rows' weights.
        mean_L, center_P: means of latents and of design columns.
        gram_PP, cross_PL, scatter_LL: sums over rows of centred products, design with design, design with
            latents, latents with latents.
        covariance_LL: Sigma, see `Encoding`.
    """

    rows: float
    mean_L: Floats
    center_P: Floats
    gram_PP: Floats
    cross_PL: Floats
    scatter_LL: Floats
    covariance_LL: Floats


@dataclass(frozen=True, eq=False)
class Seen:
    """What the encoding model needs of the latents whatever their labels: computed once where labels change.

    Attributes:
        centred_NL: labelled latents less their mean, times the roots of the rows' weights.
        mean_L: that mean.
        scatter_LL, covariance_LL: see `Moments`.
        weight_N: of the rows; None is 1.
    """

    centred_NL: Floats
    mean_L: Floats
    scatter_LL: Floats
    covariance_LL: Floats
    weight_N: Floats | None

    def moments(self, design_NP: Floats) -> Moments:
        """Return the moments of these latents and of design rows without NaN."""
        center_P = mean_of(design_NP, self.weight_N)
        design_NP = rooted(design_NP - center_P, self.weight_N)
        return Moments(
            total_of(len(design_NP), self.weight_N),
            self.mean_L,
            center_P,
            design_NP.T @ design_NP,
            design_NP.T @ self.centred_NL,
            self.scatter_LL,
            self.covariance_LL,
        )


def seen_of(
    latents_NL: Floats, pool_ML: Floats | None, weight_N: Floats | None = None, *, reads_only: bool = False
) -> Seen:
    """Return what the encoding model needs of latents.

    Args:
        latents_NL: labelled latents, every column alive.
        pool_ML: latents of unlabelled images, for the covariance only.
        weight_N: of labelled rows, see `weights`; images of the pool count once.
        reads_only: leave the covariance out (empty), which only writes ask for.
    """
    mean_L = mean_of(latents_NL, weight_N)
    latents_NL = latents_NL - mean_L
    covariance_LL = np.empty((0, 0)) if reads_only else pooled_covariance(latents_NL, pool_ML, weight_N)
    latents_NL = rooted(latents_NL, weight_N)
    return Seen(latents_NL, mean_L, latents_NL.T @ latents_NL, covariance_LL, weight_N)


def encode_jointly(
    latents_NL: Floats,
    design_NP: Floats,
    penalty_PP: Floats,
    pool_ML: Floats | None,
    weight_N: Floats | None = None,
    *,
    reads_only: bool = False,
) -> Encoding:
    """Fit the encoding model.

    Args:
        latents_NL: labelled latents, every column alive.
        design_NP: design rows without NaN (see `solution.solve`).
        penalty_PP: ridge penalty, see `design.pseudo_counts`.
        pool_ML: latents of unlabelled images, for the covariance only.
        weight_N: of labelled rows, see `weights`.
        reads_only: leave the covariance out (empty), which only writes ask for.
    """
    seen = seen_of(latents_NL, pool_ML, weight_N, reads_only=reads_only)
    return encoding_of(seen.moments(design_NP), penalty_PP)


def encoding_of(moments: Moments, penalty_PP: Floats) -> Encoding:
    """Fit the encoding model to moments alone: no row is needed, which is what makes unlearning exact."""
    gram_PP, cross_PL, rows = moments.gram_PP, moments.cross_PL, moments.rows
    root_PP = root_of(gram_PP + penalty_PP)
    effects_PL = solve_root(root_PP, cross_PL)
    explained_LL = effects_PL.T @ cross_PL
    left_LL = moments.scatter_LL - explained_LL - explained_LL.T + effects_PL.T @ (gram_PP @ effects_PL)
    freedom = rows - 1.0 - float(np.trace(solve_root(root_PP, gram_PP)))
    left_LL = (left_LL + left_LL.T) / (2 * rows)
    return Encoding(
        moments.mean_L,
        moments.center_P,
        effects_PL,
        left_LL,
        freedom,
        shrink_residual(left_LL, freedom),
        gram_PP / rows,
        moments.covariance_LL,
        cross_PL / rows,
        rows,
    )


def shrink_residual(covariance_LL: Floats, freedom: float, share: float = RESIDUAL_SHARE) -> Floats:
    """Pull the residual covariance towards a multiple of the identity by a share of the Gaussian optimum.

    The optimum (Chen et al. 2010, eq. 17, the Rao-Blackwellised Ledoit-Wolf share, with the degrees of freedom in
    place of rows) comes nearest to the covariance; what reads is its inverse, which often wants less, and how much
    less differs from base to base (`choose.SHARES`). The pull is a function of the covariance, of counts and of the
    share, so it needs no row: that is what makes unlearning exact.

    Args:
        covariance_LL: mean of residual products.
        freedom: rows less the fitted effects, see `encoding_of`.
        share: of the optimum, 0..1.
    """
    size, freedom = len(covariance_LL), max(freedom, 3.0)
    trace, square = float(np.trace(covariance_LL)), float(np.square(covariance_LL).sum())
    spread = square - trace**2 / size  # distance of the covariance from the target
    wanted = ((freedom - 2) / freedom * square + trace**2) / (freedom + 2)
    pull = share * min(1.0, wanted / spread) if spread > 1e-12 * square else 0.0
    result: Floats = (1 - pull) * covariance_LL + pull * trace / size * np.eye(size)
    return result


def pooled_covariance(centered_NL: Floats, pool_ML: Floats | None, weight_N: Floats | None = None) -> Floats:
    """Return Sigma: the shrunk covariance of labelled and unlabelled latents, each about its own mean."""
    if pool_ML is None or not len(pool_ML):
        return shrunk_covariance(centered_NL, weight_N)
    images_ML = np.vstack([centered_NL, pool_ML - pool_ML.mean(axis=0)])
    return shrunk_covariance(images_ML, among_pool(weight_N, len(pool_ML)))


def shrunk_covariance(centered_NL: Floats, weight_N: Floats | None = None) -> Floats:
    """Return the Ledoit-Wolf covariance [L, L] of centred rows (Ledoit & Wolf 2004), weighted rows as many as they
    count for.
    """
    fourth = float(weighed(np.square(np.square(centered_NL).sum(axis=1)), weight_N).sum())
    rows, centered_NL = total_of(len(centered_NL), weight_N), rooted(centered_NL, weight_N)
    return shrink(centered_NL.T @ centered_NL / rows, fourth, rows)


def shrink(covariance_LL: Floats, fourth: float, rows: float) -> Floats:
    """Pull a covariance of centred rows towards a multiple of the identity (Ledoit & Wolf 2004, section 3.3).

    Args:
        covariance_LL: mean of x x'.
        fourth: sum of |x|^4 over rows, all else the shrinkage needs of them.
        rows: N.
    """
    size = len(covariance_LL)
    level = float(np.trace(covariance_LL)) / size
    square = float(np.square(covariance_LL).sum())
    spread = square - size * level**2  # distance of the covariance from the target
    noise = min((fourth / rows - square) / rows, spread)  # of it what chance explains
    share = noise / spread if size > 1 and noise > 0 else 0.0
    symmetric_LL = (covariance_LL + covariance_LL.T) / 2
    result: Floats = (1 - share) * symmetric_LL + share * level * np.eye(size)
    return result


def solve_symmetric(matrix_LL: Floats, right_LR: Floats) -> Floats:
    """Return inverse(matrix) @ right for a covariance; a tiny ridge keeps exact linear dependence solvable.

    Raises:
        numpy.linalg.LinAlgError: the matrix is no covariance, or holds what is not finite.
    """
    size = len(matrix_LL)
    ridge = 1e-9 * max(float(np.trace(matrix_LL)) / size, 1e-12)
    return solve_root(root_of(matrix_LL + ridge * np.eye(size)), right_LR)


def root_of(matrix_LL: Floats) -> Floats:
    """Return the Cholesky factor of a symmetric positive matrix, for `solve_root`; its lower half is not cleaned.

    LAPACK is called as `scipy.linalg.cho_factor` calls it, without what that asks of its arguments each time: a fit
    solves fifty small systems.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive, or holds what is not finite.
    """
    root_LL, failed = dpotrf(matrix_LL, lower=False, clean=False)
    if failed:
        size = len(matrix_LL)
        raise np.linalg.LinAlgError(f"leading minor {failed} of {size} is not positive; the matrix is no covariance")
    result: Floats = root_LL
    return result


def solve_root(root_LL: Floats, right_LR: Floats) -> Floats:
    """Return inverse(matrix) @ right of the matrix whose factor `root_of` returned."""
    result_LR, _ = dpotrs(root_LL, right_LR, lower=False)
    result: Floats = result_LR
    return result
