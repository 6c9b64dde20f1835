"""Fit: labelled latents -> adapter, in closed form and jointly over all factors.

1. Code all factors' labels as one design matrix (`design`), missing labels allowed per factor.
2. Encoding model: ridge regression of latents on the whole design (`solve`), its ridge chosen by leave-one-out
   (`leave_one_out`).
3. Read: Gaussian classifier or posterior mean per factor (`linear`), calibrated on out-of-fold rows, which with few
   labels choose the noise's shrinkage too (`held_out`).
4. With enough labels the discriminative read started from it wins where out-of-fold rows say so (`discriminate`).
5. Write: the hybrid of joint effects and probes (`linear`), or the effects alone where the probes are too
   badly conditioned. Pairs of factors found to interact (`discover`) get product columns in the same solve.

The same input gives the same bytes whatever the number of threads: sums run on one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode, ReadKind
from heddle_adapters.arrays import LARGEST_LATENT, Floats, Mask, Singles, finite_matrix
from heddle_adapters.design import score_slices
from heddle_adapters.discriminate import Walked, stay, unmoved, walk
from heddle_adapters.held_out import read_held_out
from heddle_adapters.intake import check_values, codings_of, live_latents
from heddle_adapters.interaction import Interaction
from heddle_adapters.leave_one_out import RIDGE, best_ridge
from heddle_adapters.linear import WORST_CONDITION, hybrid_write, trusted_radius, whitening
from heddle_adapters.one_thread import one_thread
from heddle_adapters.solution import Solution, interacting_effects, solve
from heddle_adapters.weights import among_pool, mean_of, quantile_of, relative_weights
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Continuous, FactorSet

PROBE_RIDGE = 10.0  # imagined rows per latent in the probes of the hybrid write
TRUSTED_SHARE = 0.99  # of images like the tenant's that lie within the radius


def fit_adapter(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    base_digest: str,
    pool_ML: Floats | None = None,
    weight_N: Floats | None = None,
    ridge: float | None = None,
    residual_share: float | None = None,
    temperature_F: Floats | None = None,
    refine: bool = True,
    interactions: Sequence[Interaction] = (),
) -> Adapter:
    """Fit an adapter.

    Args:
        latents_NL: latents of the N labelled images, standardised by the base's statistics.
        values_NF: labels, see `LabelTable.values_NF`.
        factor_set: the F factors.
        base_digest: digest of the base the latents come from.
        pool_ML: latents of unlabelled images of the same tenant.
        weight_N: how often each labelled image counts, 1e-12 to 1e12; only ratios matter, and None or equal weights
            count every image once. Means, ridge regression, priors, leave-one-out, held-out losses and temperatures
            are weighted by w = v sum(v) / sum(v^2) (v: as given), whose sum is the effective number of rows; images
            of the pool count once. A weight k is not the same as k copies: copies would fall into several folds and
            judge themselves, and the ridge would be told of more rows; but the encoding is theirs at a ridge in
            proportion (`weights`).
        ridge: pseudo-counts per level; None chooses them by leave-one-out (`leave_one_out`).
        residual_share: how far the noise is shrunk; None chooses it where labels are few (`held_out`).
        temperature_F: how sure readings are (`Adapter.temperature_F`), where that and `residual_share` were chosen
            before: no rows are held out then, and the read is the closed form. None learns it from held-out rows.
        refine: try the discriminative read where labels are many; without it the read is the closed form, and the
            adapter the one that `fleet` solves for in bulk.
        interactions: pairs whose write directions depend on each other (`discover.find_interactions`); reads and
            the fit's other parts are the same with them and without.

    Raises:
        InvalidInput: codes `wrong_shape`, `not_finite`, `row_count_mismatch`, `factor_count_mismatch`,
            `latent_mismatch`, `unknown_level`, `constant_factor`, `too_few_labels`, `no_live_latent`, `not_numbers`,
            `invalid_value`, `invalid_weight`, `bad_setting`.
    """
    latents_NL = finite_matrix(latents_NL, "latents", LARGEST_LATENT)
    values_NF = check_values(values_NF, factor_set, len(latents_NL))
    pool_ML = None if pool_ML is None or not len(pool_ML) else finite_matrix(pool_ML, "pool latents", LARGEST_LATENT)
    weight_N = relative_weights(weight_N, len(latents_NL))
    _check_chosen(factor_set, ridge, residual_share, temperature_F)
    with one_thread():
        live_L = live_latents(latents_NL, pool_ML, weight_N)
        latents_NL = latents_NL[:, live_L]
        pool_ML = None if pool_ML is None else pool_ML[:, live_L]
        codings = codings_of(latents_NL, values_NF, factor_set, RIDGE, weight_N)
        ridge = best_ridge(latents_NL, values_NF, codings, weight_N=weight_N) if ridge is None else ridge
        if temperature_F is not None and residual_share is not None:
            share = residual_share
            walked = unmoved(temperature_F, latents_NL.shape[1], score_slices(codings)[-1].stop)
        else:
            held = read_held_out(latents_NL, values_NF, codings, ridge, residual_share, weight_N=weight_N)
            share = held.share
            walked = walk(held, latents_NL, values_NF, codings) if refine else stay(held, latents_NL.shape[1])
        solution = solve(latents_NL, values_NF, codings, ridge=ridge, pool_ML=pool_ML, share=share, weight_N=weight_N)
        images_ML = latents_NL if pool_ML is None else np.vstack([latents_NL, pool_ML])
        kept = ridge, share
        adapter = _assemble(factor_set, base_digest, values_NF, images_ML, live_L, solution, walked, kept)
        return _interacting(adapter, latents_NL, values_NF, solution, interactions, ridge) if interactions else adapter


def _check_chosen(
    factor_set: FactorSet, ridge: float | None, residual_share: float | None, temperature_F: Floats | None
) -> None:
    factors = len(factor_set.factors)
    for name, value, shape, least, most, wanted in (
        ("ridge", ridge, (), 1e-9, 1e9, "a number from 1e-9 to 1e9"),
        ("residual_share", residual_share, (), 0.0, 1.0, "a number from 0 to 1"),
        ("temperature_F", temperature_F, (factors,), 1e-9, 1e30, f"one number above 0 for each of {factors} factors"),
    ):
        if value is None:
            continue
        chosen = np.asarray(value)
        if chosen.dtype.kind not in "iuf" or chosen.shape != shape or not ((chosen >= least) & (chosen <= most)).all():
            raise InvalidInput(f"{name} must be {wanted}, got {value!r:.60}", code="bad_setting", param=name)


def _interacting(
    adapter: Adapter,
    latents_NL: Floats,
    values_NF: Floats,
    solution: Solution,
    interactions: Sequence[Interaction],
    ridge: float,
) -> Adapter:
    """Return the adapter with the write directions of the joint solve that holds the pairs' product columns.

    The products' effects are written as they are: what they add to a picture is mostly what the factors' own probes
    do not see, and the hybrid write would project it out.
    """
    effects_PL, interact_QL = interacting_effects(
        latents_NL, values_NF, solution, adapter.codings, interactions, ridge=ridge
    )
    write_PL, _ = hybrid_write(replace(solution.encoding, effects_PL=effects_PL), PROBE_RIDGE)
    return replace(
        adapter,
        write_PL=among_all(write_PL, adapter.live_L, axis=1),
        interactions=tuple(interactions),
        interact_QL=among_all(interact_QL, adapter.live_L, axis=1),
    )


def _assemble(
    factor_set: FactorSet,
    base_digest: str,
    values_NF: Floats,
    images_ML: Floats,
    live_L: Mask,
    solution: Solution,
    walked: Walked,
    kept: tuple[float, float],
) -> Adapter:
    encoding, codings = solution.encoding, solution.codings
    direction_LC, offset_C = solution.read[0] + walked.move_LC, solution.read[1] + walked.move_C
    write_PL, condition = hybrid_write(encoding, PROBE_RIDGE)
    weight_N = solution.weight_N
    weight_M = among_pool(weight_N, len(images_ML) - len(values_NF))
    mean_L = mean_of(images_ML, weight_M)
    whiten_LL = whitening(encoding.covariance_LL)
    radius = trusted_radius(images_ML - mean_L, encoding.covariance_LL, whiten_LL, TRUSTED_SHARE, weight_M)
    decode: list[DetailMode] = ["decode" for _ in codings]
    read_kinds: tuple[ReadKind, ...] = tuple("discriminative" if one else "closed_form" for one in walked.walked_F)
    return Adapter(
        factor_set=factor_set,
        base_digest=base_digest,
        codings=codings,
        read_LC=among_all(direction_LC, live_L, axis=0),
        read_bias_C=offset_C.astype(np.float32),
        temperature_F=walked.temperature_F.astype(np.float32),
        write_PL=among_all(write_PL, live_L, axis=1),
        gain_F=np.ones(len(codings), np.float32),
        detail=tuple(decode),
        refused=(),
        live_L=live_L,
        usable_F2=usable_range(factor_set, values_NF, weight_N),
        spread_CL=among_all(direction_LC.T @ encoding.covariance_LL, live_L, axis=1),
        mean_L=among_all(mean_L, live_L, axis=0),
        whiten_LL=among_all(among_all(whiten_LL, live_L, axis=0), live_L, axis=1),
        radius=max(radius, 1e-6),
        write_kind="additive" if condition > WORST_CONDITION else "hybrid",
        write_condition=condition,
        read_kinds=read_kinds,
        ridge=kept[0],
        residual_share=kept[1],
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


def usable_range(factor_set: FactorSet, values_NF: Floats, weight_N: Floats | None = None) -> Singles:
    """Return the lowest and highest value edits reach: all levels, the middle 98 % of labelled numbers, a period."""
    rows = []
    for index, factor in enumerate(factor_set.factors):
        if isinstance(factor, Continuous):
            known_N = ~np.isnan(values_NF[:, index])
            labels = values_NF[known_N, index], None if weight_N is None else weight_N[known_N]
            rows.append((quantile_of(labels[0], 0.01, labels[1]), quantile_of(labels[0], 0.99, labels[1])))
        elif factor.kind == "periodic":
            rows.append((0.0, factor.period))
        else:
            rows.append((0.0, len(factor.level_names) - 1.0))
    return np.array(rows, np.float32)
