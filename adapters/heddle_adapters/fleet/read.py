"""Reads of many tenants at once: `linear.closed_form_read` and what readings say, in padded arrays.

See `algebra` for the letters. A factor's scores lie in K places of its own, F x K of them beside the C columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from heddle_adapters.fleet.algebra import factor, solve_symmetric
from heddle_adapters.fleet.encode import Encodings, Rows


@dataclass(frozen=True, eq=False)
class Layout:
    """`structure.Structure` of B tenants as tensors; masks of columns are ones and zeros."""

    table_CP: Tensor
    centred_CP: Tensor
    penalty_PP: Tensor
    real_P: Tensor
    real_C: Tensor
    number_F: Tensor
    center_F: Tensor
    spread_F: Tensor
    columns_FJ: Tensor
    scores_FK: Tensor
    place_C: Tensor


def closed_form_read(encodings: Encodings, layout: Layout, counts_BSC: Tensor, live_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Return directions [B, S, L, C] and offsets [B, S, C]; see `linear.closed_form_read`."""
    effects, design = encodings.effects_BSPL, encodings.design_BSPP
    moved = design @ effects
    own_BSFJL, moved_BSFJL = _rows_of(effects, layout.columns_FJ), _rows_of(moved, layout.columns_FJ)
    block_BSFJJ = _rows_of(_rows_of(design, layout.columns_FJ).flatten(2, 3).mT, layout.columns_FJ)
    block_BSFJJ = _diagonal_blocks(block_BSFJJ, layout.columns_FJ.shape[2])
    # residual + what the others explain = residual + what all explain, less every term that this factor is in
    less_BSFJL = moved_BSFJL - 0.5 * (block_BSFJJ @ own_BSFJL)
    crossed = own_BSFJL.mT @ less_BSFJL
    noise = (encodings.residual_BSLL + effects.mT @ moved)[:, :, None] - crossed - crossed.mT
    center = encodings.sums.center_BSP
    table = layout.table_CP[:, None] - layout.centred_CP[:, None] * center[:, :, None, :]
    means_BSFKL = _rows_of(table @ effects, layout.scores_FK)
    direction_BSFLK = torch.cholesky_solve(means_BSFKL.mT, factor(noise, live_BL[:, None, None]))
    offset_BSFK = -0.5 * (means_BSFKL * direction_BSFLK.mT).sum(-1) + _log_prior(counts_BSC, layout)
    _posterior_means(direction_BSFLK, offset_BSFK, means_BSFKL, block_BSFJJ, center, layout)
    direction = _columns_of(direction_BSFLK.mT.flatten(2, 3), layout)
    offset = _columns_of(offset_BSFK.flatten(2, 3)[..., None], layout)[..., 0]
    mean = encodings.sums.mean_BSL[..., None, :]
    return direction.mT, offset - (direction * mean).sum(-1)


def expected_design(scores_BSNC: Tensor, layout: Layout) -> Tensor:
    """Return the design rows [B, S, N, P] that scores make one expect; see `solution.expected_design`."""
    size, problems, count, _ = scores_BSNC.shape
    open_FK = layout.scores_FK < layout.place_C.shape[1]
    placed = _rows_of(scores_BSNC.mT.reshape(size, problems, -1, count), layout.scores_FK)
    levels = torch.softmax(placed.masked_fill(~open_FK[:, None, :, :, None], -torch.inf), dim=3)
    numbers = (placed - layout.center_F[:, None, :, None, None]) / layout.spread_F[:, None, :, None, None]
    chosen = torch.where((layout.number_F > 0)[:, None, :, None, None], numbers, torch.nan_to_num(levels))
    return _columns_of(chosen.flatten(2, 3), layout).mT @ layout.table_CP[:, None]


def scores_of(rows: Rows, direction_BSLC: Tensor, offset_BSC: Tensor) -> Tensor:
    """Return scores [B, S, G N, C] of all rows by every problem's read."""
    size, folds, count, latents = rows.latents_BGNL.shape
    problems, scores = offset_BSC.shape[1:]
    flat = rows.latents_BGNL.reshape(size, -1, latents) @ direction_BSLC.transpose(1, 2).reshape(size, latents, -1)
    return flat.view(size, folds * count, problems, scores).transpose(1, 2) + offset_BSC[:, :, None]


def held_scores(rows: Rows, direction_BSLC: Tensor, offset_BSC: Tensor) -> Tensor:
    """Return scores [B, G, N, C] of each fold by the read that never saw it."""
    return rows.latents_BGNL @ direction_BSLC[:, 1:] + offset_BSC[:, 1:, None]


def _rows_of(array_BSP: Tensor, index_BFJ: Tensor) -> Tensor:
    """Gather rows: [B, S, P, X] and places [B, F, J] (P: a row of zeros) -> [B, S, F, J, X]."""
    padded = torch.cat([array_BSP, torch.zeros_like(array_BSP[:, :, :1])], dim=2)
    size, factors, block = index_BFJ.shape
    index = index_BFJ.reshape(size, 1, -1, 1).expand(-1, padded.shape[1], -1, padded.shape[3])
    return padded.gather(2, index).view(size, padded.shape[1], factors, block, -1)


def _diagonal_blocks(array: Tensor, block: int) -> Tensor:
    """Of [B, S, F, J, F J] keep each factor's own [J, J]."""
    size, problems, factors = array.shape[:3]
    split = array.view(size, problems, factors, block, factors, block)
    return split.diagonal(dim1=2, dim2=4).permute(0, 1, 4, 2, 3)


def _columns_of(placed_BSK: Tensor, layout: Layout) -> Tensor:
    """Gather score columns from their places: [B, S, F K, X] -> [B, S, C, X], zero in padding."""
    size, problems, _, width = placed_BSK.shape
    index = layout.place_C[:, None, :, None].expand(size, problems, -1, width)
    return placed_BSK.gather(2, index) * layout.real_C[:, None, :, None]


def _log_prior(counts_BSC: Tensor, layout: Layout) -> Tensor:
    counts_BSFK = _rows_of(counts_BSC[..., None], layout.scores_FK)[..., 0]
    open_FK = (layout.scores_FK < layout.place_C.shape[1])[:, None]
    total = counts_BSFK.sum(-1, keepdim=True) + open_FK.sum(-1, keepdim=True)
    return torch.log((counts_BSFK + 1.0) / total.clamp(min=1.0))


def _posterior_means(
    direction_BSFLK: Tensor,
    offset_BSFK: Tensor,
    means_BSFKL: Tensor,
    block_BSFJJ: Tensor,
    center_BSP: Tensor,
    layout: Layout,
) -> None:
    """Put `linear._posterior_mean` in the places of numbers."""
    for size in (1, 2):
        tenant, place = torch.nonzero(layout.number_F == size, as_tuple=True)
        if not len(tenant):
            continue
        weighted = direction_BSFLK[tenant, :, place, :, :size]
        effects = means_BSFKL[tenant, :, place, :size]
        eye = torch.eye(size, dtype=weighted.dtype, device=weighted.device)
        ones = torch.ones(size, dtype=weighted.dtype, device=weighted.device)
        own = block_BSFJJ[tenant, :, place, :size, :size] + 1e-9 * eye
        prior = solve_symmetric(own, eye.expand(own.shape), ones)
        spread, middle = layout.spread_F[tenant, place], layout.center_F[tenant, place]
        direction = solve_symmetric(effects @ weighted + prior, weighted.mT, ones).mT * spread[:, None, None, None]
        direction_BSFLK[tenant, :, place, :, :size] = direction
        columns = layout.columns_FJ[tenant, place, :size]
        center = center_BSP.transpose(1, 2)[tenant[:, None], columns].transpose(1, 2)
        offset_BSFK[tenant, :, place, :size] = center * spread[:, None, None] + middle[:, None, None]
