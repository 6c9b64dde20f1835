"""How sure the fleet's readings may be: `calibrate.temperature_of` and typical errors, for many factors at once."""

import numpy as np
import torch
from torch import Tensor

from heddle_adapters.calibrate import COLDEST, HOTTEST, NEWTON_STEPS, SETTLED
from heddle_adapters.fleet.encode import or_one
from heddle_adapters.fleet.read import Layout
from heddle_adapters.held_out import LEAST_ERROR


def calibrated(
    scores_BNC: Tensor, values_BNF: Tensor, layout: Layout, period_BF: Tensor, weight_BN: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return temperatures and typical errors [B, F], and the loss [B] of all labels; see `held_out.HeldOut`.

    Args:
        scores_BNC: out of fold; NaN in rows that no fold read.
        values_BNF: labels, NaN where missing or padding.
        layout: of the columns.
        period_BF: period of each factor, 1 where it has none.
        weight_BN: of the rows; None is 1.
    """
    temperature_BF, loss_BF = temperatures(scores_BNC, values_BNF, layout, weight_BN)
    if bool((layout.number_F > 0).any()):
        number_BF, error_BF, rows_BF = number_errors(scores_BNC, values_BNF, layout, period_BF, weight_BN)
        temperature_BF = torch.where(number_BF, error_BF, temperature_BF)
        loss_BF = torch.where(number_BF, rows_BF * error_BF.log(), loss_BF)
    return temperature_BF, loss_BF.sum(-1)


def temperatures(
    scores_BNC: Tensor, values_BNF: Tensor, layout: Layout, weight_BN: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the temperatures [B, F] of levelled factors, 1 elsewhere, and the summed loss at them, 0 elsewhere.

    Args:
        scores_BNC: out of fold; NaN in rows that no fold read.
        values_BNF: labels, NaN where missing or padding.
        layout: of the columns.
        weight_BN: of the rows; None is 1.
    """
    size, _, scores = scores_BNC.shape
    result_BF = torch.ones(size, values_BNF.shape[2], dtype=scores_BNC.dtype, device=scores_BNC.device)
    loss_BF = torch.zeros_like(result_BF)
    levels_BF = (layout.scores_FK < scores).sum(-1) * (layout.number_F == 0)
    columns_BCN = scores_BNC.mT
    for count in torch.unique(levels_BF).tolist():
        if count < 2:
            continue
        tenant, place = torch.nonzero(levels_BF == count, as_tuple=True)
        logits_MKN = columns_BCN[tenant[:, None], layout.scores_FK[tenant, place, :count]]
        weight_MN = None if weight_BN is None else weight_BN[tenant]
        found = _temperatures(logits_MKN, values_BNF[tenant, :, place], weight_MN)
        result_BF[tenant, place], loss_BF[tenant, place] = found
    return result_BF, loss_BF


def number_errors(
    scores_BNC: Tensor,
    values_BNF: Tensor,
    layout: Layout,
    period_BF: Tensor,
    weight_BN: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where numbers are (a mask [B, F]), their typical out-of-fold errors, and the labels those are of
    or the sum of their weights.

    Arguments as `calibrated`.
    """
    first = layout.scores_FK[:, :, 0].clamp(max=scores_BNC.shape[2] - 1)
    last = (layout.scores_FK[:, :, 0] + layout.number_F - 1).clamp(0, scores_BNC.shape[2] - 1)
    count = scores_BNC.shape[1]
    cosine_BNF = scores_BNC.gather(2, first[:, None].expand(-1, count, -1))
    sine_BNF = scores_BNC.gather(2, last[:, None].expand(-1, count, -1))
    turn = torch.atan2(sine_BNF, cosine_BNF) - values_BNF * (2 * np.pi / period_BF[:, None])
    angle = (turn + np.pi) % (2 * np.pi) - np.pi
    error_BNF = torch.where((layout.number_F == 2)[:, None], angle, cosine_BNF - values_BNF)
    known = ~torch.isnan(error_BNF)
    square_BNF = torch.where(known, error_BNF.square(), 0.0)
    told = known if weight_BN is None else known * weight_BN[..., None]
    total = (square_BNF if weight_BN is None else square_BNF * told).sum(1)
    rows = told.sum(1)
    error_BF = (total / or_one(rows)).sqrt().clamp(min=LEAST_ERROR)
    return layout.number_F > 0, torch.where(rows > 0, error_BF, torch.ones_like(error_BF)), rows


def _temperatures(logits_MKN: Tensor, values_MN: Tensor, counts_MN: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return temperatures and summed losses [M]; the same Newton steps as `temperature_of`, each until settled."""
    known_MN = ~torch.isnan(values_MN) & ~torch.isnan(logits_MKN).any(1)
    weight_MN = known_MN.to(logits_MKN.dtype) if counts_MN is None else known_MN * counts_MN
    rows_M = weight_MN.sum(-1)
    level_MN = torch.where(known_MN, values_MN, 0.0).to(torch.int64)
    logits = torch.where(known_MN[:, None], logits_MKN, 0.0)
    logits -= logits.amax(1, keepdim=True)
    truth_M = (logits.gather(1, level_MN[:, None])[:, 0] * weight_MN).sum(-1) / or_one(rows_M)
    inverse_M = torch.ones_like(rows_M)
    open_M = torch.nonzero(rows_M > 0)[:, 0]
    for _ in range(NEWTON_STEPS):
        if not len(open_M):
            break
        every = len(open_M) == len(logits)  # the first steps: nothing has settled, nothing needs copying
        some, weight = (logits, weight_MN) if every else (logits[open_M], weight_MN[open_M])
        inverse, rows = inverse_M[open_M], rows_M[open_M]
        share = torch.exp(inverse[:, None, None] * some)
        weighed = share * some
        total = share.sum(1)
        expected_MN = weighed.sum(1) / total
        square_MN = weighed.mul_(some).sum(1) / total
        expected = (expected_MN * weight).sum(-1) / rows
        spread = ((square_MN - expected_MN.square()) * weight).sum(-1) / rows
        step = (truth_M[open_M] - expected) / spread.clamp(min=1e-12)
        lowest = (inverse / 2).clamp(min=1 / HOTTEST)
        highest = (inverse * 2).clamp(max=1 / COLDEST)
        moved = torch.minimum(torch.maximum(inverse + step, lowest), highest)
        settled = (moved - inverse).abs() < SETTLED * inverse
        inverse_M[open_M] = torch.where(settled, inverse, moved)
        open_M = open_M[~settled]
    spread_MN = (inverse_M[:, None, None] * logits).exp_().sum(1).log_()
    return 1.0 / inverse_M, (spread_MN * weight_MN).sum(-1) - inverse_M * truth_M * rows_M
