"""Fit: labelled latents -> adapter, in closed form and jointly over all factors.

1. Code all factors' labels as one design matrix (`design`), missing labels allowed per factor.
2. Encoding model: ridge regression of latents on the whole design (`solve`).
3. Read: Gaussian classifier or posterior mean per factor (`linear`); with enough labels the discriminative
   read started from it (`refine`) wins where out-of-fold rows say so.
4. Calibrate on out-of-fold rows (`calibrate`).
5. Write: the hybrid of joint effects and probes (`linear`), or the effects alone where the probes are too
   badly conditioned. Pairs of factors found to interact (`discover`) get product columns in the same solve.

The same input gives the same bytes whatever the number of threads: sums run on one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from heddle_adapters.adapter import Adapter, DetailMode, ReadKind
from heddle_adapters.arrays import Floats, Mask, Singles, finite_matrix
from heddle_adapters.calibrate import angle_error, temperature_of
from heddle_adapters.design import Coding, score_slices
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.intake import check_values, codings_of, live_latents
from heddle_adapters.interaction import Interaction
from heddle_adapters.linear import WORST_CONDITION, hybrid_write, whitening
from heddle_adapters.refine import PATH
from heddle_adapters.solution import Solution, interacting_effects, solve
from heddle_platform.factors import Continuous, FactorSet

RIDGE = 3.0  # pseudo-counts per level
PROBE_RIDGE = 10.0  # imagined rows per latent in the probes of the hybrid write
DISCRIMINATIVE_ROWS = 200  # labels of a factor from which the discriminative read is tried
# Folds of the calibration: with few labels a fit on two thirds of them is clearly worse than on all, and its
# confidence would be calibrated too low; with many it is not, and three are cheaper.
FEW_ROWS, FEW_ROWS_FOLDS, MANY_ROWS_FOLDS = 500, 5, 3


@dataclass(frozen=True)
class _Choice:
    """What out-of-fold rows said of one factor: the step of the path that won, and its temperature there."""

    step: int
    temperature: float


def fit_adapter(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    base_digest: str,
    pool_ML: Floats | None = None,
    ridge: float = RIDGE,
    interactions: Sequence[Interaction] = (),
) -> Adapter:
    """Fit an adapter.

    Args:
        latents_NL: latents of the N labelled images, standardised by the base's statistics.
        values_NF: labels, see `LabelTable.values_NF`.
        factor_set: the F factors.
        base_digest: digest of the base the latents come from.
        pool_ML: latents of unlabelled images of the same tenant.
        ridge: pseudo-counts per level.
        interactions: pairs whose write directions depend on each other (`discover.find_interactions`); reads and
            the fit's other parts are the same with them and without.

    Raises:
        InvalidInput: codes `wrong_shape`, `not_finite`, `row_count_mismatch`, `factor_count_mismatch`,
            `latent_mismatch`, `unknown_level`, `constant_factor`, `too_few_labels`, `no_live_latent`.
    """
    latents_NL = finite_matrix(latents_NL, "latents")
    values_NF = check_values(values_NF, factor_set, len(latents_NL))
    pool_ML = None if pool_ML is None or not len(pool_ML) else finite_matrix(pool_ML, "pool latents")
    with threadpool_limits(1):
        live_L = live_latents(latents_NL, pool_ML)
        latents_NL = latents_NL[:, live_L]
        pool_ML = None if pool_ML is None else pool_ML[:, live_L]
        codings = codings_of(latents_NL, values_NF, factor_set, ridge)
        choices = _choose(latents_NL, values_NF, codings, ridge)
        steps = tuple({choice.step for choice in choices})
        solution = solve(latents_NL, values_NF, codings, ridge=ridge, pool_ML=pool_ML, steps=steps)
        images_ML = latents_NL if pool_ML is None else np.vstack([latents_NL, pool_ML])
        adapter = _assemble(factor_set, base_digest, codings, values_NF, images_ML, live_L, solution, choices)
        return _interacting(adapter, latents_NL, solution, interactions, ridge) if interactions else adapter


def _interacting(
    adapter: Adapter, latents_NL: Floats, solution: Solution, interactions: Sequence[Interaction], ridge: float
) -> Adapter:
    """Return the adapter with the write directions of the joint solve that holds the pairs' product columns.

    The products' effects are written as they are: what they add to a picture is mostly what the factors' own probes
    do not see, and the hybrid write would project it out.
    """
    effects_PL, interact_QL = interacting_effects(latents_NL, solution, adapter.codings, interactions, ridge=ridge)
    write_PL, _ = hybrid_write(replace(solution.encoding, effects_PL=effects_PL), PROBE_RIDGE)
    return replace(
        adapter,
        write_PL=among_all(write_PL, adapter.live_L, axis=1),
        interactions=tuple(interactions),
        interact_QL=among_all(interact_QL, adapter.live_L, axis=1),
    )


def _choose(latents_NL: Floats, values_NF: Floats, codings: Sequence[Coding], ridge: float) -> tuple[_Choice, ...]:
    """Solve on all folds but one, read the one, and choose per factor what reads best and how sure it may be."""
    enough = any(
        coding.levels and np.count_nonzero(~np.isnan(values_NF[:, index])) >= DISCRIMINATIVE_ROWS
        for index, coding in enumerate(codings)
    )
    steps = PATH if enough else (0,)
    folds = FEW_ROWS_FOLDS if len(values_NF) < FEW_ROWS else MANY_ROWS_FOLDS
    fold_N = fold_of_rows(values_NF, folds, seed=0)
    scores: dict[int, Floats] = {}
    for fold in range(folds):
        held_N = fold_N == fold
        if any(np.isnan(values_NF[~held_N, index]).all() for index in range(len(codings))):
            continue  # too few labels of a factor to leave some out; its prior stays
        path = solve(latents_NL[~held_N], values_NF[~held_N], codings, ridge=ridge, steps=steps).path
        for step, (direction_LC, offset_C) in path.items():
            whole_NC = scores.setdefault(step, np.full((len(latents_NL), len(offset_C)), np.nan))
            whole_NC[held_N] = latents_NL[held_N] @ direction_LC + offset_C
    blocks = score_slices(codings)
    return tuple(
        _choose_one({step: score_NC[:, block] for step, score_NC in scores.items()}, values_NF[:, index], coding)
        for index, (coding, block) in enumerate(zip(codings, blocks, strict=True))
    )


def _choose_one(scores: dict[int, Floats], values_N: Floats, coding: Coding) -> _Choice:
    if not scores:
        return _Choice(0, 1.0)
    known_N = ~np.isnan(values_N) & ~np.isnan(scores[0]).any(axis=1)
    if not known_N.any():
        return _Choice(0, 1.0)
    if not coding.levels:
        return _Choice(0, _typical_error(scores[0][known_N], values_N[known_N], coding))
    level_N = values_N[known_N].astype(np.int64)
    ranked: list[tuple[int, float, int, _Choice]] = []
    for step in sorted(scores) if known_N.sum() >= DISCRIMINATIVE_ROWS else [0]:
        logits_NK = scores[step][known_N]
        temperature, loss = temperature_of(logits_NK, level_N)
        right = int(np.count_nonzero(logits_NK.argmax(axis=1) == level_N))
        # accuracy decides, the loss settles ties; the earlier step stays where neither is better
        ranked.append((right, -loss, -step, _Choice(step, temperature)))
    return max(ranked, key=lambda candidate: candidate[:3])[3]


def _typical_error(score_NC: Floats, values_N: Floats, coding: Coding) -> float:
    if coding.kind == "periodic":
        angle_N = np.arctan2(score_NC[:, 1], score_NC[:, 0]) * (coding.spread / (2 * np.pi))
        error_N = angle_error(angle_N, values_N, coding.spread)
    else:
        error_N = score_NC[:, 0] - values_N
    return float(max(np.sqrt(np.square(error_N).mean()), 1e-6))


def _assemble(
    factor_set: FactorSet,
    base_digest: str,
    codings: tuple[Coding, ...],
    values_NF: Floats,
    images_ML: Floats,
    live_L: Mask,
    solution: Solution,
    choices: Sequence[_Choice],
) -> Adapter:
    encoding = solution.encoding
    direction_LC, offset_C = (array.copy() for array in solution.path[0])
    for choice, block in zip(choices, score_slices(codings), strict=True):
        direction_LC[:, block] = solution.path[choice.step][0][:, block]
        offset_C[block] = solution.path[choice.step][1][block]
    write_PL, condition = hybrid_write(encoding, PROBE_RIDGE)
    mean_L = images_ML.mean(axis=0)
    whiten_LL = whitening(encoding.covariance_LL)
    radius = float(np.quantile(np.linalg.norm((images_ML - mean_L) @ whiten_LL, axis=1), 0.99))
    decode: list[DetailMode] = ["decode" for _ in codings]
    read_kinds: tuple[ReadKind, ...] = tuple("discriminative" if choice.step else "closed_form" for choice in choices)
    return Adapter(
        factor_set=factor_set,
        base_digest=base_digest,
        codings=codings,
        read_LC=among_all(direction_LC, live_L, axis=0),
        read_bias_C=offset_C.astype(np.float32),
        temperature_F=np.array([choice.temperature for choice in choices], np.float32),
        write_PL=among_all(write_PL, live_L, axis=1),
        gain_F=np.ones(len(codings), np.float32),
        detail=tuple(decode),
        refused=(),
        live_L=live_L,
        usable_F2=_usable(factor_set, values_NF),
        spread_CL=among_all(direction_LC.T @ encoding.covariance_LL, live_L, axis=1),
        mean_L=among_all(mean_L, live_L, axis=0),
        whiten_LL=among_all(among_all(whiten_LL, live_L, axis=0), live_L, axis=1),
        radius=max(radius, 1e-6),
        write_kind="additive" if condition > WORST_CONDITION else "hybrid",
        write_condition=condition,
        read_kinds=read_kinds,
    )


def among_all(array: NDArray[Any], live_L: Mask, *, axis: int) -> Singles:
    """Put the entries of live latents back among all, zeros for the dead ones."""
    shape = list(array.shape)
    shape[axis] = live_L.size
    whole = np.zeros(shape, np.float32)
    index: list[slice | Mask] = [slice(None)] * array.ndim
    index[axis] = live_L
    whole[tuple(index)] = array
    return whole


def _usable(factor_set: FactorSet, values_NF: Floats) -> Singles:
    """Return the lowest and highest value edits reach: all levels, the middle 98 % of labelled numbers, a period."""
    rows = []
    for index, factor in enumerate(factor_set.factors):
        known_N = values_NF[~np.isnan(values_NF[:, index]), index]
        if isinstance(factor, Continuous):
            rows.append((float(np.quantile(known_N, 0.01)), float(np.quantile(known_N, 0.99))))
        elif factor.kind == "periodic":
            rows.append((0.0, factor.period))
        else:
            rows.append((0.0, len(factor.level_names) - 1.0))
    return np.array(rows, np.float32)
