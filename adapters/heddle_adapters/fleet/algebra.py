"""Batched linear algebra of the fleet: each function is one of `solve`'s and `linear`'s, many matrices at a time.

B tenants, S problems of each (all rows; all but one fold), G folds, N rows of a fold. Padding is zero in data and one
on the diagonal of whatever is inverted.
"""

import torch
from torch import Tensor

_TINY = 1e-9  # as `solve.solve_symmetric`
_LEAST = 1e-12


def solve_symmetric(matrix: Tensor, right: Tensor, real: Tensor) -> Tensor:
    """Return inverse(matrix) @ right as `solve.solve_symmetric` does, [..., L, R].

    Args:
        matrix: [..., L, L], zero in rows and columns that are not real.
        right: [..., L, R].
        real: [..., L], one or zero.
    """
    return torch.cholesky_solve(right, factor(matrix, real))


def factor(matrix: Tensor, real: Tensor) -> Tensor:
    """Return the Cholesky factor of matrix plus its tiny ridge; NaN where there is none."""
    size = real.sum(-1)
    ridge = _TINY * torch.clamp(trace(matrix) / size, min=_LEAST)
    diagonal = ridge[..., None] * real + (1.0 - real)
    return cholesky(matrix + torch.diag_embed(diagonal))


def cholesky(matrix: Tensor) -> Tensor:
    """Return lower Cholesky factors; NaN for a matrix that has none, so that one tenant stops no other."""
    lower, failed = torch.linalg.cholesky_ex(matrix)
    return torch.where((failed != 0)[..., None, None], torch.full_like(lower, torch.nan), lower)


def trace(matrix: Tensor) -> Tensor:
    """Return traces [...]."""
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def shrink(covariance: Tensor, fourth: Tensor, rows: Tensor, live: Tensor) -> Tensor:
    """Return Ledoit-Wolf covariances as `solve.shrink` does.

    Args:
        covariance: [..., L, L], zero for dead latents.
        fourth: [...], sums of |x|^4.
        rows: [...].
        live: [..., L], one or zero.
    """
    size = live.sum(-1)
    level = trace(covariance) / size
    square = covariance.square().sum((-2, -1))
    spread = square - size * level.square()
    noise = torch.minimum((fourth / rows - square) / rows, spread)
    share = torch.where((size > 1) & (noise > 0), noise / spread, torch.zeros_like(noise))
    symmetric = (covariance + covariance.mT) / 2
    return (1 - share)[..., None, None] * symmetric + torch.diag_embed((share * level)[..., None] * live)


def shrink_residual(covariance: Tensor, freedom: Tensor, live: Tensor, share: float) -> Tensor:
    """Return residual covariances shrunk as `solve.shrink_residual` does.

    Args:
        covariance: [..., L, L], zero for dead latents.
        freedom: [...], rows less the fitted effects.
        live: [..., L], one or zero.
        share: of the Gaussian optimum.
    """
    size, freedom = live.sum(-1), freedom.clamp(min=3.0)
    whole, square = trace(covariance), covariance.square().sum((-2, -1))
    spread = square - whole.square() / size
    wanted = ((freedom - 2) / freedom * square + whole.square()) / (freedom + 2)
    some = spread > _LEAST * square
    pull = share * torch.where(some, (wanted / torch.where(some, spread, 1.0)).clamp(max=1.0), 0.0)
    return (1 - pull)[..., None, None] * covariance + torch.diag_embed((pull * whole / size)[..., None] * live)


def condition(matrix: Tensor, real: Tensor) -> Tensor:
    """Return the condition number [...] of matrices scaled to a diagonal of ones, as `linear.hybrid_write` does."""
    scale = matrix.diagonal(dim1=-2, dim2=-1).clamp(min=_LEAST).sqrt()
    scaled = matrix / (scale[..., :, None] * scale[..., None, :])
    # a correlation matrix has eigenvalues on both sides of one, so ones in padding change no ratio of extremes
    bare = scaled * real[..., :, None] * real[..., None, :] + torch.diag_embed(1.0 - real)
    values = torch.linalg.svdvals(torch.nan_to_num(bare))
    ratio: Tensor = values[..., 0] / values[..., -1]
    return ratio
