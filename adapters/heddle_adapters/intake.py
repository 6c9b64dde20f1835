"""What enters a fit: labels and latents checked, dead latents found, declared orders put to the test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Mask, numbers_of, rows_of
from heddle_adapters.design import Coding, coding_of, column_slices
from heddle_adapters.solution import solve
from heddle_adapters.weights import among_pool, mean_of, spread_of, total_of
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Continuous, FactorSet, FactorSpec, LevelledFactor, Periodic

DEAD_BELOW = 0.05  # standard deviation, in the base's own, under which a latent is dead
LARGEST_NUMBER = 1e30  # of a label or a period: a number is read and stored as float32
FINEST_SHARE = 1e-5  # of its magnitude that a number must vary by: float32 tells a tenth of a millionth
MONOTONE_SHARE = 0.8  # of level pairs that must be in order for an ordinal factor to be coded as one column


def check_values(values_NF: NDArray[Any], factor_set: FactorSet, rows: int) -> Floats:
    """Return labels as float64 [N, F], NaN where missing; what is masked is missing.

    Raises:
        InvalidInput: codes `row_count_mismatch`, `factor_count_mismatch`, `wrong_shape`, `not_numbers`, `not_finite`,
            `unknown_level`, `invalid_value` (out of the declared range, or a unit that float32 cannot hold),
            `constant_factor`.
    """
    values_NF = labels_of(values_NF)
    factors = factor_set.factors
    if values_NF.ndim != 2 or values_NF.shape[1] != len(factors):
        raise InvalidInput(
            f"labels have shape {values_NF.shape}, the factor set has {len(factors)} factors; give one column each",
            code="factor_count_mismatch",
            param="labels",
        )
    if len(values_NF) != rows:
        raise InvalidInput(
            f"labels have {len(values_NF)} rows, images {rows}; they must be equal", code="row_count_mismatch"
        )
    if np.isinf(values_NF).any():
        raise InvalidInput(
            f"labels hold {int(np.isinf(values_NF).sum())} infinite values; leave a label out where it is not known",
            code="not_finite",
            param="labels",
        )
    known = [values_N[~np.isnan(values_N)] for values_N in values_NF.T]
    distinct = [np.unique(known_N) for known_N in known]
    for factor, found in zip(factors, distinct, strict=True):
        _check_labels(found, factor)
    # last: a preview goes on without a constant factor, but not with a wrong label
    for factor, found, known_N in zip(factors, distinct, known, strict=True):
        _check_distinct(found, len(known_N), factor)
    return values_NF


def live_latents(latents_NL: Floats, pool_ML: Floats | None, weight_N: Floats | None = None) -> Mask:
    """Return which latents vary, [L]; `weight_N` is of the labelled ones, see `weights`.

    Raises:
        InvalidInput: code `latent_mismatch` (the pool is another base's) or `no_live_latent`.
    """
    if pool_ML is not None and pool_ML.shape[1] != latents_NL.shape[1]:
        raise InvalidInput(
            f"labelled latents have {latents_NL.shape[1]} columns, the pool's {pool_ML.shape[1]}; use one base",
            code="latent_mismatch",
        )
    images_NL = latents_NL if pool_ML is None else np.vstack([latents_NL, pool_ML])
    if pool_ML is not None:
        weight_N = among_pool(weight_N, len(pool_ML))
    live_L: Mask = spread_of(images_NL, weight_N) >= DEAD_BELOW
    if not live_L.any():
        raise InvalidInput(
            f"none of {live_L.size} latents varies by {DEAD_BELOW} over {len(images_NL)} images; "
            "are they all the same picture?",
            code="no_live_latent",
        )
    return live_L


def codings_of(
    latents_NL: Floats, values_NF: Floats, factor_set: FactorSet, ridge: float, weight_N: Floats | None = None
) -> tuple[Coding, ...]:
    """Return codings of all factors; an ordinal factor whose latents do not follow its order is categorical."""
    factors = factor_set.factors
    codings = [coding_of(factor, values_NF[:, index], weight_N=weight_N) for index, factor in enumerate(factors)]
    for index, factor in enumerate(factors):
        if codings[index].kind == "ordinal" and codings[index].levels > 2:
            share = monotone_share(latents_NL, values_NF, codings, index, ridge, weight_N)
            if share < MONOTONE_SHARE:
                codings[index] = coding_of(factor, values_NF[:, index], monotone=False)
    return tuple(codings)


def monotone_share(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    index: int,
    ridge: float,
    weight_N: Floats | None = None,
) -> float:
    """Return the share of level pairs that lie in order along the fitted rank direction, 0..1.

    The direction is fitted on one half of the rows and the level means are taken on the other, both ways;
    a pair counts by the images behind it, n m / (n + m).
    """
    halves = np.arange(len(latents_NL)) % 2 == 0
    in_order = total = 0.0
    for half_N in (halves, ~halves):
        if half_is_empty(values_NF[half_N], codings):
            continue
        taught_N, judged_N = (None if weight_N is None else weight_N[some_N] for some_N in (half_N, ~half_N))
        encoding = solve(latents_NL[half_N], values_NF[half_N], codings, ridge=ridge, weight_N=taught_N).encoding
        effect_L = encoding.effects_PL[column_slices(codings)[index]][0]
        direction_L = np.linalg.solve(encoding.covariance_LL + 1e-9 * np.eye(len(effect_L)), effect_L)
        found, possible = pairs_in_order(latents_NL[~half_N] @ direction_L, values_NF[~half_N, index], judged_N)
        in_order, total = in_order + found, total + possible
    return in_order / total if total else 1.0


def pairs_in_order(place_N: Floats, level_N: Floats, weight_N: Floats | None = None) -> tuple[float, float]:
    """Return the weight of level pairs whose mean places rise with the level, and the weight of all pairs."""
    in_order = total = 0.0
    means = []
    for level in np.unique(level_N[~np.isnan(level_N)]):
        own_N = level_N == level
        weights = None if weight_N is None else weight_N[own_N]
        means.append((float(mean_of(place_N[own_N], weights)), total_of(int(np.count_nonzero(own_N)), weights)))
    for low in range(len(means)):
        for high in range(low + 1, len(means)):
            weight = means[low][1] * means[high][1] / (means[low][1] + means[high][1])
            in_order += weight * (means[low][0] < means[high][0])
            total += weight
    return in_order, total


def half_is_empty(values_NF: Floats, codings: Sequence[Coding]) -> bool:
    """Return whether half of the rows hold too little for a fit of their own."""
    return len(values_NF) < 2 or any(np.isnan(values_NF[:, index]).all() for index in range(len(codings)))


def labels_of(values: NDArray[Any]) -> Floats:
    """Return labels as float64, what is masked as NaN.

    Raises:
        InvalidInput: codes `wrong_shape`, `not_numbers`.
    """
    given = rows_of(values, "labels")
    mask = np.ma.getmaskarray(given) if isinstance(given, np.ma.MaskedArray) else None
    numbers = numbers_of(np.ma.getdata(given), "labels")
    return numbers if mask is None else np.where(mask, np.nan, numbers)


def _check_distinct(distinct: Floats, labels: int, factor: FactorSpec) -> None:
    if len(distinct) < 2:
        raise InvalidInput(
            f"{factor.name!r} has {len(distinct)} distinct label(s) among {labels} labelled images, at least 2 "
            "are needed; label images that differ in it or leave it out of the factor set",
            code="constant_factor",
            param=factor.name,
        )


def _check_labels(distinct: Floats, factor: FactorSpec) -> None:
    if len(distinct) == 0:
        return
    if isinstance(factor, LevelledFactor):
        levels = len(factor.level_names)
        if (distinct < 0).any() or (distinct >= levels).any() or (distinct != np.round(distinct)).any():
            wrong = distinct[(distinct < 0) | (distinct >= levels) | (distinct != np.round(distinct))][0]
            raise InvalidInput(
                f"{factor.name!r} has a label {wrong:g}, its {levels} levels are 0 to {levels - 1}",
                code="unknown_level",
                param=factor.name,
            )
    elif isinstance(factor, Continuous):
        low, high = factor.range
        if distinct[0] < low or distinct[-1] > high:
            wrong = distinct[0] if distinct[0] < low else distinct[-1]
            raise InvalidInput(
                f"{factor.name!r} has a label {wrong:g} outside its declared range {low:g} to {high:g}; correct the "
                "label or declare a wider range",
                code="invalid_value",
                param=factor.name,
            )
        if len(distinct) > 1:
            _check_unit(max(abs(distinct[0]), abs(distinct[-1])), distinct[-1] - distinct[0], factor)
    elif isinstance(factor, Periodic):
        _check_unit(max(abs(distinct[0]), abs(distinct[-1]), factor.period), factor.period, factor)


def _check_unit(largest: float, spread: float, factor: FactorSpec) -> None:
    """Refuse a number whose readings float32 would round away."""
    if largest > LARGEST_NUMBER or spread < max(1.0 / LARGEST_NUMBER, FINEST_SHARE * largest):
        raise InvalidInput(
            f"{factor.name!r} reaches {largest:.3g} and varies by {spread:.3g}, which float32 cannot hold; give it in "
            "another unit or less an offset",
            code="invalid_value",
            param=factor.name,
        )
