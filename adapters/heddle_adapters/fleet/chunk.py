"""One chunk of the fleet: tenants of one padded shape, from packed arrays to fits. See `algebra` for the letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heddle_adapters.fit import PROBE_RIDGE, TRUSTED_SHARE
from heddle_adapters.fleet.calibrate import calibrated
from heddle_adapters.fleet.encode import (
    Encodings,
    Rows,
    Sums,
    covariance,
    encode,
    leave_one_out_errors,
    left_out,
    only_all,
    or_one,
    sum_up,
)
from heddle_adapters.fleet.intake import Admitted, Packed, pack
from heddle_adapters.fleet.read import Layout, closed_form_read, expected_design, held_scores, scores_of
from heddle_adapters.fleet.result import Solved, none_live, not_solvable, singles
from heddle_adapters.fleet.write import high_quantile, hybrid_write, trusted_radius, weighted_quantile, whitening
from heddle_adapters.held_out import shares_for
from heddle_adapters.intake import DEAD_BELOW
from heddle_adapters.leave_one_out import RIDGES
from heddle_adapters.solution import FILL_ROUNDS
from heddle_adapters.solve import RESIDUAL_SHARE
from heddle_platform.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Chunk:
    """Packed tenants on the device.

    Attributes:
        rows: labelled latents.
        design_BGNP: NaN where a label is missing.
        counts_BSC: labels per level, or the sum of their weights.
        layout: of the columns.
        shift_BL: mean of labelled latents, which `rows` are centred on.
        mean_BL: mean of all images.
        pool_BML, pool_BM: centred on their own mean; None without.
        pool_shift_BL: that mean.
    """

    rows: Rows
    design_BGNP: Tensor
    counts_BSC: Tensor
    layout: Layout
    shift_BL: Tensor
    mean_BL: Tensor
    pool_BML: Tensor | None
    pool_BM: Tensor | None
    pool_shift_BL: Tensor | None


def solve_chunk(tenants: Sequence[Admitted], device: torch.device, ridge: float | None) -> Solved:
    """Fit tenants of one shape; `ridge` as in `solver.fit_fleet`."""
    packed = pack(tenants)
    chunk = load(packed, device)
    encodings, *read, ridge_B = solve(chunk, ridge)
    shares = shares_for(len(tenants[0].values_NF))
    direction_BLC, bias_BC, temperature_BF, share_B = _most_likely(chunk, packed, encodings, (read[0], read[1]), shares)
    rows, layout = chunk.rows, chunk.layout
    sigma_BLL = covariance(rows, encodings.sums, 0, chunk.pool_BML, chunk.pool_BM)
    write_BPL, condition_B = hybrid_write(encodings, sigma_BLL, layout, rows.live_BL, PROBE_RIDGE)
    whiten_BLL = whitening(sigma_BLL, rows.live_BL)
    bias_BC = bias_BC - (chunk.shift_BL[:, None] @ direction_BLC)[:, 0]
    solved = Solved(
        tuple(one.index for one in tenants),
        tuple(one.codings for one in tenants),
        singles(_back(direction_BLC)),
        singles(_back(bias_BC)),
        singles(_back(temperature_BF)),
        singles(_back(write_BPL)),
        _back(rows.live_BL) > 0,
        singles(_back(direction_BLC.mT @ sigma_BLL)),
        singles(_back(chunk.mean_BL * rows.live_BL)),
        singles(_back(whiten_BLL)),
        _short(_radius(chunk, sigma_BLL, whiten_BLL)),
        _short(condition_B),
        _back(ridge_B),
        _back(share_B),
        {},
    )
    solved.refused.update(_refusals(solved, tenants))
    return solved


def load(packed: Packed, device: torch.device) -> Chunk:
    """Move packed tenants to the device; centre latents and find the live ones."""

    def there(array: NDArray[Any]) -> Tensor:
        kind = torch.int64 if array.dtype == np.int64 else torch.float64
        return torch.from_numpy(array).to(device, kind)

    weight_BGN, latents_BGNL = there(packed.rows_BGN), there(packed.latents_BGNL)
    count_B1 = weight_BGN.sum((1, 2))[:, None]
    weight_BGN1 = weight_BGN[..., None]
    sum_BL = (latents_BGNL * weight_BGN1 if packed.weighted else latents_BGNL).sum((1, 2))
    shift_BL = sum_BL / count_B1
    pool_BML = pool_BM = pool_shift_BL = None
    mean_BL = shift_BL
    latents_BGNL.sub_(shift_BL[:, None, None]).mul_(weight_BGN1 > 0)
    square_BL = (latents_BGNL.square() * weight_BGN1 if packed.weighted else latents_BGNL.square()).sum((1, 2))
    if packed.pool_BML is not None and packed.pool_BM is not None:
        pool_BML, pool_BM = there(packed.pool_BML), there(packed.pool_BM)
        pool_count_B1 = pool_BM.sum(1)[:, None]
        pool_shift_BL = pool_BML.sum(1) / pool_count_B1
        pool_BML = (pool_BML - pool_shift_BL[:, None]) * pool_BM[..., None]
        mean_BL = (sum_BL + pool_shift_BL * pool_count_B1) / (count_B1 + pool_count_B1)
        square_BL = square_BL + count_B1 * (shift_BL - mean_BL).square() + pool_BML.square().sum(1)
        square_BL = square_BL + pool_count_B1 * (pool_shift_BL - mean_BL).square()
        count_B1 = count_B1 + pool_count_B1
    live_BL = ((square_BL / count_B1).sqrt() >= DEAD_BELOW).to(torch.float64)
    if pool_BML is not None:
        pool_BML = pool_BML * live_BL[:, None]
    layout = Layout(**{name: there(array) for name, array in packed.layout.items()})
    return Chunk(
        Rows(latents_BGNL.mul_(live_BL[:, None, None]), weight_BGN, live_BL, packed.weighted),
        there(packed.design_BGNP),
        left_out(there(packed.counts_BGC)[:, None]),
        layout,
        shift_BL,
        mean_BL,
        pool_BML,
        pool_BM,
        pool_shift_BL,
    )


def solve(chunk: Chunk, ridge: float | None) -> tuple[Encodings, Tensor, Tensor, Tensor]:
    """Return encodings, read directions [B, S, L, C], offsets [B, S, C] and ridges [B]; see `solution.solve`."""
    rows, layout = chunk.rows, chunk.layout
    missing = torch.isnan(chunk.design_BGNP)
    complete = not bool(missing.any())
    design_BTGNP = chunk.design_BGNP[:, None] if complete else _filled(chunk, missing, every=False)
    sums = sum_up(rows, design_BTGNP)
    ridge_B = _ridges(chunk, design_BTGNP, sums, ridge)
    penalty_BPP = ridge_B[:, None, None] * layout.penalty_PP
    if not complete:
        design_BTGNP = _filled(chunk, missing, every=True)
        sums = sum_up(rows, design_BTGNP)
    for left in range(0 if complete else FILL_ROUNDS, -1, -1):
        encodings = encode(rows, sums, penalty_BPP)
        direction, offset = closed_form_read(encodings, layout, chunk.counts_BSC, rows.live_BL)
        if left:
            expected = expected_design(scores_of(rows, direction, offset), layout).view(design_BTGNP.shape)
            design_BTGNP = torch.where(missing[:, None], expected, design_BTGNP)
            sums = sum_up(rows, design_BTGNP)
    return encodings, direction, offset, ridge_B


def _filled(chunk: Chunk, missing: Tensor, *, every: bool) -> Tensor:
    """Return the design with missing labels at their mean over each problem's rows, or over all rows alone."""
    weight = chunk.rows.weight_BGN[..., None]
    known = left_out((weight * ~missing).sum(2)[:, None])
    told_BTGNP = chunk.rows.weighed(torch.where(missing, 0.0, chunk.design_BGNP)[:, None])
    center_BSP = left_out(told_BTGNP.sum(3)) / or_one(known)
    wanted = center_BSP if every else center_BSP[:, :1]
    return torch.where(missing[:, None], wanted[:, :, None, None], chunk.design_BGNP[:, None])


def _ridges(chunk: Chunk, design_BTGNP: Tensor, sums: Sums, ridge: float | None) -> Tensor:
    layout, live_BL = chunk.layout, chunk.rows.live_BL
    if ridge is not None:
        return torch.full_like(live_BL[:, 0], ridge)
    candidates = torch.tensor(RIDGES, dtype=live_BL.dtype, device=live_BL.device)
    errors_BR = leave_one_out_errors(
        chunk.rows, design_BTGNP[:, 0], only_all(sums), layout.penalty_PP, candidates, layout.real_P
    )
    return candidates[torch.nan_to_num(errors_BR, nan=torch.inf).argmin(dim=1)]


def _most_likely(
    chunk: Chunk, packed: Packed, encodings: Encodings, usual: tuple[Tensor, Tensor], shares: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return directions [B, L, C], offsets [B, C], temperatures [B, F] and shares [B]; see `held_out.read_held_out`."""
    live_BL = chunk.rows.live_BL
    losses, found = [], []
    for share in shares:
        read = usual
        if share != RESIDUAL_SHARE:
            read = closed_form_read(encodings.shrunk(live_BL, share), chunk.layout, chunk.counts_BSC, live_BL)
        temperature_BF, loss_B = _calibrated(chunk, packed, *read)
        losses.append(torch.nan_to_num(loss_B, nan=torch.inf))
        found.append((read[0][:, 0], read[1][:, 0], temperature_BF, torch.full_like(loss_B, share)))
    best_B = torch.stack(losses).argmin(dim=0)
    place = torch.arange(len(best_B), device=best_B.device)
    direction, offset, temperature, share_B = (torch.stack(one)[best_B, place] for one in zip(*found, strict=True))
    return direction, offset, temperature, share_B


def _calibrated(chunk: Chunk, packed: Packed, direction_BSLC: Tensor, offset_BSC: Tensor) -> tuple[Tensor, Tensor]:
    held_BGNC = held_scores(chunk.rows, direction_BSLC, offset_BSC)
    device = held_BGNC.device
    # a fold whose rows hold all labels of some factor cannot be read by the others
    taught_BG = left_out(torch.from_numpy(packed.labelled_BGF).to(device)[:, None])[:, 1:].gt(0).all(-1)
    held_BNC = torch.where(taught_BG[..., None, None], held_BGNC, torch.nan).flatten(1, 2)
    values_BNF = torch.from_numpy(packed.values_BGNF).to(device).flatten(1, 2)
    weight_BN = chunk.rows.weight_BGN.flatten(1, 2) if packed.weighted else None
    period_BF = torch.from_numpy(packed.period_BF).to(device)
    return calibrated(held_BNC, values_BNF, chunk.layout, period_BF, weight_BN)


def _radius(chunk: Chunk, sigma_BLL: Tensor, whiten_BLL: Tensor) -> Tensor:
    live_BL = chunk.rows.live_BL
    from_mean = (chunk.shift_BL - chunk.mean_BL) * live_BL
    images = chunk.rows.latents_BGNL.flatten(1, 2) + from_mean[:, None]
    weight = chunk.rows.weight_BGN.flatten(1, 2)
    if chunk.pool_BML is not None and chunk.pool_BM is not None and chunk.pool_shift_BL is not None:
        pool = chunk.pool_BML + ((chunk.pool_shift_BL - chunk.mean_BL) * live_BL)[:, None]
        images, weight = torch.cat([images, pool], dim=1), torch.cat([weight, chunk.pool_BM], dim=1)
    norms_BN = torch.linalg.vector_norm(images @ whiten_BLL, dim=-1)
    quantile_B = (weighted_quantile if chunk.rows.weighted else high_quantile)(norms_BN, weight, TRUSTED_SHARE)
    return trusted_radius(norms_BN, weight, quantile_B, live_BL.sum(1), sigma_BLL, whiten_BLL).clamp(min=1e-6)


def _refusals(solved: Solved, tenants: Sequence[Admitted]) -> dict[int, InvalidInput]:
    refused = {}
    for place, one in enumerate(tenants):
        rows = len(one.values_NF)
        if not solved.live_BL[place].any():
            rows += 0 if one.tenant.pool_ML is None else len(one.tenant.pool_ML)
            refused[one.index] = none_live(rows, solved.live_BL.shape[1], DEAD_BELOW)
            continue
        parts = (solved.read_BLC[place], solved.write_BPL[place], solved.whiten_BLL[place])
        if not all(np.isfinite(part).all() for part in parts):
            refused[one.index] = not_solvable(rows, one.tenant.factor_set.names)
    return refused


def _back(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.cpu().numpy())


def _short(tensor: Tensor) -> NDArray[np.float64]:
    # seven digits, so that the last bits of a sum never show in an artifact's header
    return singles(_back(tensor)).astype(np.float64)
