"""Declared orders put to the test for the whole fleet: `intake.codings_of`, its half fits in bulk."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from heddle_adapters.arrays import Floats
from heddle_adapters.design import coding_of, column_slices
from heddle_adapters.fleet.chunk import load, solve
from heddle_adapters.fleet.encode import covariance
from heddle_adapters.fleet.intake import Admitted, chunks_of, pack
from heddle_adapters.intake import MONOTONE_SHARE, half_is_empty, pairs_in_order
from heddle_adapters.leave_one_out import RIDGE


def settle_orders(tenants: Sequence[Admitted], device: torch.device) -> list[Admitted]:
    """Return the tenants, ordinal factors whose latents do not follow their order coded as categorical.

    Like the single fit, factors are settled one after the other; each turn settles one factor of every tenant.
    """
    settled = {tenant.index: tenant for tenant in tenants}
    turns = {tenant.index: _ordinals(tenant) for tenant in tenants}
    while waiting := {index: factors.pop(0) for index, factors in turns.items() if factors}:
        halved = [replace(settled[index], fold_N=_halves(settled[index]), folds=2) for index in waiting]
        for chunk in chunks_of(halved):
            for tenant, directions in zip(chunk, _directions(chunk, waiting, device), strict=True):
                if _share(tenant, waiting[tenant.index], directions) < MONOTONE_SHARE:
                    settled[tenant.index] = _categorical(settled[tenant.index], waiting[tenant.index])
    return list(settled.values())


def _ordinals(tenant: Admitted) -> list[int]:
    return [place for place, coding in enumerate(tenant.codings) if coding.kind == "ordinal" and coding.levels > 2]


def _halves(tenant: Admitted) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.arange(len(tenant.values_NF), dtype=np.intp) % 2


def _directions(chunk: Sequence[Admitted], waiting: dict[int, int], device: torch.device) -> list[tuple[Floats, ...]]:
    """Return, per tenant, the rank direction [L] fitted without the even rows, then without the odd ones."""
    loaded = load(pack(chunk), device)
    live_BL = loaded.rows.live_BL
    encodings, _, _, _ = solve(loaded, RIDGE)
    column = [column_slices(tenant.codings)[waiting[tenant.index]].start for tenant in chunk]
    found = []
    for problem in (1, 2):
        effect_BL = encodings.effects_BSPL[torch.arange(len(chunk)), problem, column]
        sigma_BLL = covariance(loaded.rows, encodings.sums, problem, None, None)
        ridge_BLL = torch.diag_embed(1e-9 * live_BL + (1.0 - live_BL))
        direction_BL, _ = torch.linalg.solve_ex(sigma_BLL + ridge_BLL, effect_BL)
        found.append(direction_BL.cpu().numpy())
    return list(zip(*found, strict=True))


def _share(tenant: Admitted, index: int, directions: tuple[Floats, ...]) -> float:
    in_order = total = 0.0
    for fold, direction_L in enumerate(directions):
        judged_N = tenant.fold_N == fold
        if half_is_empty(tenant.values_NF[~judged_N], tenant.codings):
            continue
        place_N = tenant.tenant.latents_NL[judged_N].astype(np.float64) @ direction_L
        weight_N = None if tenant.weight_N is None else tenant.weight_N[judged_N]
        found, possible = pairs_in_order(place_N, tenant.values_NF[judged_N, index], weight_N)
        in_order, total = in_order + found, total + possible
    return in_order / total if total else 1.0


def _categorical(tenant: Admitted, index: int) -> Admitted:
    factor = tenant.tenant.factor_set.factors[index]
    codings = list(tenant.codings)
    codings[index] = coding_of(factor, tenant.values_NF[:, index], monotone=False)
    return replace(tenant, codings=tuple(codings))
