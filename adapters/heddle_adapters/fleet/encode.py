"""The encoding model of many tenants at once, each on all its rows and on all but one fold of them.

Everything follows from sums over folds: what is left when a fold is taken out is the whole minus the fold. Rows are
centred on their tenant's mean beforehand, so the subtraction loses nothing. See `algebra` for the letters.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from heddle_adapters.fleet.algebra import cholesky, shrink, shrink_residual, solve_symmetric, trace
from heddle_adapters.leave_one_out import LEAST_FREEDOM, RIDGE
from heddle_adapters.solve import RESIDUAL_SHARE


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled latents of B tenants, cut into folds.

    Attributes:
        latents_BGNL: centred on the tenant's mean; zero in dead latents and padding.
        weight_BGN: one, or the row's weight; zero in padding.
        live_BL: one, zero for dead latents.
        weighted: whether rows have weights.
    """

    latents_BGNL: Tensor
    weight_BGN: Tensor
    live_BL: Tensor
    weighted: bool

    def weighed(self, array_BTGNX: Tensor) -> Tensor:
        """Return rows times their weights; without weights the array itself, zero in padding as it is."""
        return array_BTGNX * self.weight_BGN[:, None, ..., None] if self.weighted else array_BTGNX


@dataclass(frozen=True, eq=False)
class Sums:
    """What a solve needs to know of its rows, [B, S, ...], each about the problem's own means.

    Attributes:
        rows_BS: how many, or the sum of their weights.
        mean_BSL, center_BSP: means of latents and design columns.
        gram_BSPP, cross_BSPL, square_BSLL: sums of products.
    """

    rows_BS: Tensor
    mean_BSL: Tensor
    center_BSP: Tensor
    gram_BSPP: Tensor
    cross_BSPL: Tensor
    square_BSLL: Tensor


@dataclass(frozen=True, eq=False)
class Encodings:
    """`solve.Encoding` of B tenants and S problems."""

    sums: Sums
    effects_BSPL: Tensor
    left_BSLL: Tensor
    freedom_BS: Tensor
    residual_BSLL: Tensor

    @property
    def design_BSPP(self) -> Tensor:  # noqa: N802  shape suffix
        """Covariance of the design columns."""
        return self.sums.gram_BSPP / self.sums.rows_BS[..., None, None]

    def shrunk(self, live_BL: Tensor, share: float) -> "Encodings":
        """Return the same with residual covariances shrunk by another share."""
        return replace(self, residual_BSLL=shrink_residual(self.left_BSLL, self.freedom_BS, live_BL[:, None], share))


def sum_up(rows: Rows, design_BTGNP: Tensor) -> Sums:
    """Sum rows up.

    Args:
        rows: the rows.
        design_BTGNP: their design; T = S where each problem filled missing labels by itself, else 1.
    """
    latents, design = rows.latents_BGNL[:, None], design_BTGNP
    count_BS = or_one(left_out(rows.weight_BGN.sum(-1)[:, None]))
    latents_w, design_w = rows.weighed(latents), rows.weighed(design)
    mean = left_out(latents_w.sum(-2)) / count_BS[..., None]
    center = left_out(design_w.sum(-2)) / count_BS[..., None]
    weight = count_BS[..., None, None]
    return Sums(
        count_BS,
        mean,
        center,
        left_out(design_w.mT @ design) - weight * (center[..., :, None] * center[..., None, :]),
        left_out(design_w.mT @ latents) - weight * (center[..., :, None] * mean[..., None, :]),
        left_out(latents_w.mT @ latents) - weight * (mean[..., :, None] * mean[..., None, :]),
    )


def or_one(count: Tensor) -> Tensor:
    """Return counts or sums of weights to divide by, 1 for those of nothing."""
    return torch.where(count > 0, count, 1.0)


def left_out(parts_BTG: Tensor) -> Tensor:
    """Return sums over all folds, then over all but each one: [B, T, G, ...] -> [B, S, ...]."""
    folds = parts_BTG.shape[2]
    if parts_BTG.shape[1] == 1:
        held = parts_BTG[:, 0]
    else:
        fold = torch.arange(folds, device=parts_BTG.device)
        held = parts_BTG[:, fold + 1, fold]
    return parts_BTG.sum(2) - torch.cat([torch.zeros_like(held[:, :1]), held], dim=1)


def encode(rows: Rows, sums: Sums, penalty_BPP: Tensor) -> Encodings:
    """Fit the encoding models; see `solve.encode_jointly`."""
    lower = cholesky(sums.gram_BSPP + penalty_BPP[:, None])
    effects_BSPL = torch.cholesky_solve(sums.cross_BSPL, lower)
    explained = effects_BSPL.mT @ sums.cross_BSPL
    left = sums.square_BSLL - explained - explained.mT + effects_BSPL.mT @ (sums.gram_BSPP @ effects_BSPL)
    count = sums.rows_BS
    freedom = count - 1.0 - trace(torch.cholesky_solve(sums.gram_BSPP, lower))
    left = (left + left.mT) / (2 * count[..., None, None])
    residual = shrink_residual(left, freedom, rows.live_BL[:, None], RESIDUAL_SHARE)
    return Encodings(sums, effects_BSPL, left, freedom, residual)


def only_all(sums: Sums) -> Sums:
    """Return the sums of the first problem, all rows, alone."""
    return Sums(*(getattr(sums, name)[:, :1] for name in Sums.__dataclass_fields__))


def covariance(rows: Rows, sums: Sums, problem: int, pool_BML: Tensor | None, pool_BM: Tensor | None) -> Tensor:
    """Return Sigma [B, L, L] of one problem's rows and the pool; see `solve.pooled_covariance`.

    Args:
        rows: the rows.
        sums: their sums.
        problem: which of S.
        pool_BML: unlabelled latents centred on their own mean, zero in dead latents and padding.
        pool_BM: their weights.
    """
    # of all rows the mean is zero already
    centred = rows.latents_BGNL - sums.mean_BSL[:, problem, None, None, :] if problem else rows.latents_BGNL
    fourth_BG = (centred.square().sum(-1).square_() * rows.weight_BGN).sum(-1)
    fourth = left_out(fourth_BG[:, None])[:, problem]
    square, count = sums.square_BSLL[:, problem], sums.rows_BS[:, problem]
    if pool_BML is not None and pool_BM is not None:
        square = square + pool_BML.mT @ pool_BML
        fourth = fourth + pool_BML.square().sum(-1).square().sum(-1)
        count = count + pool_BM.sum(-1)
    return shrink(square / count[:, None, None], fourth, count, rows.live_BL)


def leave_one_out_errors(
    rows: Rows, design_BGNP: Tensor, sums: Sums, penalty_BPP: Tensor, ridges_R: Tensor, real_BP: Tensor
) -> Tensor:
    """Return the leave-one-out error [B, R] of every candidate ridge; see `leave_one_out.leave_one_out_errors`.

    Args:
        rows: the rows.
        design_BGNP: their design, missing labels at their mean.
        sums: of all rows.
        penalty_BPP: at one pseudo-count, the identity in padding.
        ridges_R: candidates, all of them solved side by side.
        real_BP: one, zero for padded columns.
    """
    size, columns, latents = len(design_BGNP), design_BGNP.shape[-1], rows.latents_BGNL.shape[-1]
    base = encode(rows, sums, RIDGE * penalty_BPP)
    eye = torch.eye(latents, dtype=real_BP.dtype, device=real_BP.device).expand(size, -1, -1)
    precision = solve_symmetric(base.residual_BSLL[:, 0], eye, rows.live_BL)
    gram, cross = sums.gram_BSPP[:, 0], sums.cross_BSPL[:, 0]
    # where the penalty is the identity and the Gram matrix diagonal, a candidate only changes 1 / (d + ridge)
    root = cholesky(penalty_BPP)
    half = torch.linalg.solve_triangular(root, gram, upper=False)
    diagonal_BP, turned = torch.linalg.eigh(torch.linalg.solve_triangular(root, half.mT, upper=False).mT)
    basis = torch.linalg.solve_triangular(root.mT, turned, upper=True) * real_BP[..., None]
    weight_BRP = 1.0 / (diagonal_BP.clamp(min=0.0)[:, None] + ridges_R[:, None])
    latents_BNL = rows.latents_BGNL.reshape(size, -1, latents)
    weight_BN = rows.weight_BGN.reshape(size, -1)
    design_BNP = (design_BGNP.reshape(size, -1, columns) - sums.center_BSP[:, :1]) @ basis
    turned_BPL = basis.mT @ cross
    toward_BLP = precision @ turned_BPL.mT
    spread_BPP = turned_BPL @ toward_BLP
    # |z - phi A|^2 in the metric, from products that are P wide
    own_BN = (latents_BNL @ precision).mul_(latents_BNL).sum(-1)
    crossed_BNR = (latents_BNL @ toward_BLP).mul_(design_BNP) @ weight_BRP.mT
    leverage_BNR = design_BNP.square() @ weight_BRP.mT + 1.0 / sums.rows_BS[..., None]
    if rows.weighted:
        leverage_BNR.mul_(weight_BN[..., None])
    shaped_BNP = torch.empty_like(design_BNP)
    errors = []
    for candidate in range(len(ridges_R)):
        scale = weight_BRP[:, candidate]
        torch.bmm(design_BNP, spread_BPP * scale[:, :, None] * scale[:, None], out=shaped_BNP)
        distance = own_BN - 2 * crossed_BNR[..., candidate] + shaped_BNP.mul_(design_BNP).sum(-1)
        freedom = (1.0 - leverage_BNR[..., candidate]).clamp(min=LEAST_FREEDOM)
        errors.append((weight_BN * distance / freedom.square()).sum(-1))
    return torch.stack(errors, dim=1)
