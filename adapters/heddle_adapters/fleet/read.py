"""Reads of many tenants at once: `linear.closed_form_read` and what readings say, in padded arrays.

See `algebra` for the letters. A factor's scores lie in K places of its own, F x K of them beside the C columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from heddle_adapters.fleet.algebra import solve_symmetric
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


def closed_form_read(
    encodings: Encodings, layout: Layout, counts_BSC: Tensor, live_BL: Tensor
) -> tuple[Tensor, Tensor]:
    """Return directions [B, S, L, C] and offsets [B, S, C]; see `linear.closed_form_read`.

    A factor's noise is the residual plus what the others explain, which is what all explain (T = R + A'DA) less the
    terms of its own: S = T - A_f'(DA)_f - (DA)_f'A_f + A_f'D_ff A_f. So one factorisation of T serves all factors, and
    each needs a system twice as wide as its own columns (Woodbury's identity).
    """
    effects, design, center = encodings.effects_BSPL, encodings.design_BSPP, encodings.sums.center_BSP
    both_BSUL = torch.cat([effects, design @ effects], dim=2)
    total = encodings.residual_BSLL + effects.mT @ both_BSUL[:, :, effects.shape[2] :]
    solved_BSLU = solve_symmetric(total, both_BSUL.mT, live_BL[:, None])
    inner_BSUU = both_BSUL @ solved_BSLU
    table = layout.table_CP[:, None] - layout.centred_CP[:, None] * center[:, :, None, :]
    weights_BSCU = _weights(inner_BSUU, design, table, layout)
    direction = (solved_BSLU @ weights_BSCU.mT) * layout.real_C[:, None, None]
    means_BSCL = table @ effects
    levelled = -0.5 * (means_BSCL * direction.mT).sum(-1) + _log_prior(counts_BSC, layout)
    offset = levelled * layout.real_C[:, None]
    _posterior_means(direction, offset, effects, design, center, layout)
    return direction, offset - (encodings.sums.mean_BSL[..., None, :] @ direction)[..., 0, :]


def _weights(inner_BSUU: Tensor, design_BSPP: Tensor, table_BSCP: Tensor, layout: Layout) -> Tensor:
    """Return how each score column's direction is mixed [B, S, C, U] of the solved rows of A and DA, U = 2 P."""
    size, problems, columns = design_BSPP.shape[:3]
    factors, block = layout.columns_FJ.shape[1:]
    real = layout.columns_FJ < columns
    own = layout.columns_FJ
    # places of a factor's own rows among U, then among U and one place of zeros
    pair = torch.cat([torch.where(real, own, 2 * columns), torch.where(real, own + columns, 2 * columns)], dim=2)
    inner_BSFJU = _rows_of(inner_BSUU, pair)
    placed = pair[:, None, :, None].expand(size, problems, -1, 2 * block, -1)
    zero = torch.zeros_like(inner_BSFJU[..., :1])
    inner_BSFJJ = torch.cat([inner_BSFJU, zero], dim=-1).gather(4, placed)
    block_BSFJJ = _own_blocks(design_BSPP, layout)
    eye = torch.eye(block, dtype=design_BSPP.dtype, device=design_BSPP.device).expand_as(block_BSFJJ)
    swap = torch.cat([torch.cat([torch.zeros_like(eye), eye], -1), torch.cat([eye, block_BSFJJ], -1)], -2)
    table_BSFKP = _rows_of(table_BSCP, layout.scores_FK)
    right = inner_BSFJU[..., :columns] @ table_BSFKP.mT
    mixed_BSFJK, _ = torch.linalg.solve_ex(swap - inner_BSFJJ, right)
    whole = torch.zeros(
        size, problems, factors, table_BSFKP.shape[3], 2 * columns + 1, dtype=eye.dtype, device=eye.device
    )
    whole.scatter_add_(4, pair[:, None, :, None].expand(-1, problems, -1, whole.shape[3], -1), mixed_BSFJK.mT)
    whole[..., :columns] += table_BSFKP
    return _columns_of(whole[..., :-1].flatten(2, 3), layout)


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


def _own_blocks(design_BSPP: Tensor, layout: Layout) -> Tensor:
    """Return each factor's own block [B, S, F, J, J] of the columns' covariance, zero in padding."""
    rows = _rows_of(design_BSPP, layout.columns_FJ)
    rows = torch.cat([rows, torch.zeros_like(rows[..., :1])], dim=-1)
    block = layout.columns_FJ.shape[2]
    return rows.gather(4, layout.columns_FJ[:, None, :, None].expand(-1, rows.shape[1], -1, block, -1))


def _columns_of(placed_BSK: Tensor, layout: Layout) -> Tensor:
    """Gather score columns from their places: [B, S, F K, X] -> [B, S, C, X], zero in padding."""
    size, problems, _, width = placed_BSK.shape
    index = layout.place_C[:, None, :, None].expand(size, problems, -1, width)
    return placed_BSK.gather(2, index) * layout.real_C[:, None, :, None]


def _log_prior(counts_BSC: Tensor, layout: Layout) -> Tensor:
    counts_BSFK = _rows_of(counts_BSC[..., None], layout.scores_FK)[..., 0]
    open_FK = (layout.scores_FK < layout.place_C.shape[1])[:, None]
    total = counts_BSFK.sum(-1, keepdim=True) + open_FK.sum(-1, keepdim=True)
    prior = torch.log((counts_BSFK + 1.0) / total.clamp(min=1.0))
    return _columns_of(prior.flatten(2, 3)[..., None], layout)[..., 0]


def _posterior_means(
    direction_BSLC: Tensor,
    offset_BSC: Tensor,
    effects_BSPL: Tensor,
    design_BSPP: Tensor,
    center_BSP: Tensor,
    layout: Layout,
) -> None:
    """Put `linear._posterior_mean` in the columns of numbers, where inverse(noise) A' lies."""
    for size in (1, 2):
        tenant, place = torch.nonzero(layout.number_F == size, as_tuple=True)
        if not len(tenant):
            continue
        several = tenant[:, None]
        columns, scores = layout.columns_FJ[tenant, place, :size], layout.scores_FK[tenant, place, :size]
        weighted = direction_BSLC[several, :, :, scores].permute(0, 2, 3, 1)
        effects = effects_BSPL[several, :, columns].transpose(1, 2)
        eye = torch.eye(size, dtype=weighted.dtype, device=weighted.device)
        ones = torch.ones(size, dtype=weighted.dtype, device=weighted.device)
        own = design_BSPP[several[..., None], :, columns[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
        own = own + 1e-9 * eye
        prior = solve_symmetric(own, eye.expand(own.shape), ones)
        spread, middle = layout.spread_F[tenant, place], layout.center_F[tenant, place]
        direction = solve_symmetric(effects @ weighted + prior, weighted.mT, ones) * spread[:, None, None, None]
        direction_BSLC[several, :, :, scores] = direction.transpose(1, 2)
        center_MJS = center_BSP[several, :, columns]
        offset_BSC[several, :, scores] = center_MJS * spread[:, None, None] + middle[:, None, None]
