"""Writes and whitening of many tenants at once: `linear.hybrid_write`, `linear.whitening`, `linear.trusted_radius`."""

import torch
from torch import Tensor

from heddle_adapters.fleet.algebra import cholesky, condition, solve_symmetric, trace
from heddle_adapters.fleet.encode import Encodings
from heddle_adapters.fleet.read import Layout
from heddle_adapters.linear import WORST_CONDITION

_MOST = 1e300  # as `linear.hybrid_write` names a condition that is not finite


def hybrid_write(
    encodings: Encodings, covariance_BLL: Tensor, layout: Layout, live_BL: Tensor, probe_ridge: float
) -> tuple[Tensor, Tensor]:
    """Return D [B, P, L] of the first problem, all rows, and the condition numbers [B]."""
    sums, effects_BPL = encodings.sums, encodings.effects_BSPL[:, 0]
    rows_B = sums.rows_BS[:, 0]
    cross_BPL = sums.cross_BSPL[:, 0] / rows_B[:, None, None]
    ridge_BLL = torch.diag_embed((probe_ridge / rows_B)[:, None] * live_BL)
    probes_BPL = solve_symmetric(covariance_BLL + ridge_BLL, cross_BPL.mT, live_BL).mT
    spread_BPL = probes_BPL @ covariance_BLL
    inner_BPP = spread_BPL @ probes_BPL.mT
    condition_B = condition(inner_BPP, layout.real_P)
    hybrid_BPL = effects_BPL @ probes_BPL.mT @ solve_symmetric(inner_BPP, spread_BPL, layout.real_P)
    trusted_B = torch.isfinite(condition_B) & (condition_B <= WORST_CONDITION)
    chosen_BPL = torch.where(trusted_B[:, None, None], hybrid_BPL, effects_BPL)
    return chosen_BPL, torch.nan_to_num(condition_B, nan=_MOST, posinf=_MOST).clamp(max=_MOST)


def whitening(covariance_BLL: Tensor, live_BL: Tensor) -> Tensor:
    """Return U [B, L, L] with U U' = inverse(covariance), zero for dead latents."""
    size, latents = live_BL.shape
    eye = torch.eye(latents, dtype=live_BL.dtype, device=live_BL.device).expand(size, -1, -1)
    precision = solve_symmetric(covariance_BLL, eye, live_BL)
    return cholesky(precision) * live_BL[:, :, None] * live_BL[:, None, :]


def trusted_radius(
    norms_BN: Tensor,
    weight_BN: Tensor,
    quantile_B: Tensor,
    latents_B: Tensor,
    covariance_BLL: Tensor,
    whiten_BLL: Tensor,
) -> Tensor:
    """Return `linear.trusted_radius` [B] of whitened norms, rows' weights (zero in padding) and their quantile."""
    rows_B = weight_BN.sum(1)
    mean_B = (norms_BN.square() * weight_BN).sum(1) / rows_B
    identity_B = trace(covariance_BLL) / latents_B * whiten_BLL.square().sum((1, 2))
    spread_B = torch.maximum(identity_B - mean_B, 1e-9 * latents_B)
    kept_B = ((identity_B - latents_B) / spread_B).clamp(0.0, 1.0)
    inside_B, others_B = quantile_B.square(), (rows_B - 1).clamp(min=1.0)
    left_out_B = inside_B / torch.maximum(1.0 - kept_B * inside_B / others_B, 1.0 / rows_B)
    return rows_B / others_B * left_out_B.sqrt()


def high_quantile(values_BN: Tensor, weight_BN: Tensor, share: float) -> Tensor:
    """Return the quantile [B] of values whose weight is one, interpolated as numpy does."""
    ordered_BN = torch.where(weight_BN > 0, values_BN, torch.inf).sort(dim=1).values
    place_B = share * (weight_BN.sum(1) - 1)
    low_B = place_B.floor().to(torch.int64)
    high_B = place_B.ceil().to(torch.int64)
    low, high = (ordered_BN.gather(1, index[:, None])[:, 0] for index in (low_B, high_B))
    return low + (high - low) * (place_B - low_B)


def weighted_quantile(values_BN: Tensor, weight_BN: Tensor, share: float) -> Tensor:
    """Return `weights.quantile_of` [B] of values with relative weights, zero in padding."""
    order_BN = torch.where(weight_BN > 0, values_BN, torch.inf).argsort(dim=1)
    ends_BN = weight_BN.gather(1, order_BN).cumsum(1)
    first_B1 = share * (ends_BN[:, -1:] - 1.0).clamp(min=0.0)
    inside_BN = ends_BN.clamp(first_B1, first_B1 + 1.0).diff(dim=1, prepend=first_B1)
    return (inside_BN * values_BN.gather(1, order_BN)).sum(1) / inside_BN.sum(1)
