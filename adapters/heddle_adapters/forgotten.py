"""Downdating: statistics less the rows that go, refused where what stays could not have been fitted."""

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.ground import ground_slices
from heddle_adapters.held_out import FEW_ROWS_FOLDS
from heddle_adapters.statistics import Statistics, less, sums_of
from heddle_adapters.weights import given_weights, unequal_weights
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Continuous, LevelledFactor

_LEAST_SPREAD = 1e-9  # of an angle's (cos, sin), below which all angles are one


def without(
    statistics: Statistics,
    latents_NL: Floats,
    values_NF: Floats,
    pool_ML: Floats | None,
    weight_N: Floats | None = None,
) -> Statistics:
    """Return the statistics of the rows that stay.

    A row without gaps is recognised by its levels' counts and its numbers only: sums do not remember rows. It is the
    caller who knows which rows were fitted.

    Args:
        statistics: of all rows.
        latents_NL, values_NF, pool_ML, weight_N: the rows that go.

    Raises:
        InvalidInput: see `unlearn.unlearn`.
    """
    _check_rows(statistics, latents_NL, values_NF)
    weight_N = _same_weights(statistics, weight_N, len(latents_NL))
    about = statistics.factor_set, statistics.base_digest, statistics.kinds, statistics.ridge
    gone = sums_of(latents_NL, values_NF, weight_N, pool_ML, about=about)
    left = less(
        statistics,
        gone,
        _sparse_kept(statistics, gone),
        [_numbers_kept(statistics, gone, index) for index in range(len(statistics.numbers))],
    )
    _check_left(statistics, left)
    return left


def _check_rows(statistics: Statistics, latents_NL: Floats, values_NF: Floats) -> None:
    factors = statistics.factor_set.factors
    if values_NF.shape != (len(latents_NL), len(factors)):
        raise InvalidInput(
            f"the rows to unlearn have {len(latents_NL)} latents and labels of shape {values_NF.shape}; give each row "
            f"its {len(factors)} labels",
            code="row_count_mismatch",
        )
    if not np.isfinite(latents_NL).all() or np.isinf(values_NF).any():
        raise InvalidInput("rows to unlearn hold values that are not finite numbers", code="not_finite")
    for factor, values_N in zip(factors, values_NF.T, strict=True):
        known_N = values_N[~np.isnan(values_N)]
        if isinstance(factor, LevelledFactor) and not np.isin(known_N, np.arange(len(factor.level_names))).all():
            raise _unknown(f"a row to unlearn has a level of {factor.name!r} that the factor does not have")


def _same_weights(statistics: Statistics, weight_N: Floats | None, rows: int) -> Floats | None:
    """Return the weights of the rows that go as their statistics have them."""
    if statistics.weights is None:
        if unequal_weights(weight_N, rows) is not None:
            raise _unknown("the rows to unlearn have weights, those the adapter was fitted on had none or equal ones")
        return None
    if weight_N is None and rows:
        raise _unknown("the adapter was fitted on rows with weights; give those of the rows to unlearn")
    return np.empty(0) if weight_N is None else given_weights(weight_N, rows)


def _sparse_kept(statistics: Statistics, gone: Statistics) -> Mask:
    stays_K = np.ones(len(statistics.sparse_values_KF), dtype=bool)
    weight_K, gone_K = _or_ones(statistics), _or_ones(gone)
    for latents_L, values_F, weight in zip(gone.sparse_latents_KL, gone.sparse_values_KF, gone_K, strict=True):
        same_K = stays_K & (statistics.sparse_latents_KL == latents_L).all(axis=1)
        same_K &= ((statistics.sparse_values_KF == values_F) | np.isnan(values_F)).all(axis=1)
        same_K &= (np.isnan(statistics.sparse_values_KF) == np.isnan(values_F)).all(axis=1) & (weight_K == weight)
        if not same_K.any():
            raise _unknown("a row with a missing label is not among those the adapter was fitted on")
        stays_K[int(np.argmax(same_K))] = False
    return stays_K


def _numbers_kept(statistics: Statistics, gone: Statistics, index: int) -> Mask:
    all_N, stays_N = statistics.numbers[index], np.ones(len(statistics.numbers[index]), dtype=bool)
    weight_N, gone_N = (None if one.weights is None else one.weights.numbers[index] for one in (statistics, gone))
    for place, value in enumerate(gone.numbers[index]):
        same_N = stays_N & (all_N == value)
        told = f"the number {value:g}"
        if weight_N is not None and gone_N is not None:
            same_N &= weight_N == gone_N[place]
            told = f"{told} and the weight {gone_N[place]:g}"
        if not same_N.any():
            raise _unknown(f"no row with {told} is left to unlearn")
        stays_N[int(np.argmax(same_N))] = False
    return stays_N


def _or_ones(statistics: Statistics) -> Floats:
    weight_K = statistics.sparse_weight_K
    return np.ones(len(statistics.sparse_values_KF)) if weight_K is None else weight_K


def _check_left(before: Statistics, left: Statistics) -> None:
    if left.complete < 0 or left.pool.count < 0:
        raise _unknown(
            f"{before.rows - left.rows} labelled and {before.pool.count - left.pool.count} unlabelled rows shall be "
            f"unlearned of {before.rows} and {before.pool.count}"
        )
    if left.rows < FEW_ROWS_FOLDS:
        raise InvalidInput(
            f"{max(left.rows, 0)} labelled rows would stay, a fit needs {FEW_ROWS_FOLDS}; delete the adapter instead",
            code="too_few_labels",
        )
    blocks = ground_slices(before.factor_set)
    counted = zip(before.factor_set.factors, before.row_counts(), left.row_counts(), strict=True)
    for index, (factor, was_K, is_K) in enumerate(counted):
        if isinstance(factor, LevelledFactor):
            _check_levels(factor.name, factor.level_names, was_K, is_K)
        elif isinstance(factor, Continuous):
            _check_varies(factor.name, bool(np.ptp(left.numbers[index]) if len(left.numbers[index]) else 0.0))
        else:
            _check_varies(factor.name, _angles_spread(left, index, blocks[index]) > _LEAST_SPREAD)


def _check_levels(name: str, levels: tuple[str, ...], was_K: Floats, is_K: Floats) -> None:
    for level, was, now in zip(levels, np.rint(was_K), np.rint(is_K), strict=True):
        if now < 0:
            raise _unknown(f"{int(was - now)} rows of {name!r} = {level!r} shall be unlearned, there are {int(was)}")
        if was > 0 and now == 0:
            raise InvalidInput(
                f"these are the last {int(was)} of {int(was)} rows of {name!r} = {level!r}: an adapter without them "
                "cannot offer that level; register a factor set without it and fit again",
                code="last_of_level",
                param=name,
            )


def _angles_spread(left: Statistics, index: int, block: slice) -> float:
    value_K = left.sparse_values_KF[:, index]
    period = float(getattr(left.factor_set.factors[index], "period", 1.0))
    known_K = ~np.isnan(value_K)
    angle_K, weight_K = value_K[known_K] * (2 * np.pi / period), _or_ones(left)[known_K]
    if not left.complete + len(angle_K):
        return 0.0
    mean = (left.ground_G[block] + [weight_K @ np.cos(angle_K), weight_K @ np.sin(angle_K)]) / (
        left.complete_weight + weight_K.sum()
    )
    return float(1.0 - mean @ mean)


def _check_varies(name: str, varies: bool) -> None:
    if not varies:
        raise InvalidInput(
            f"{name!r} would have fewer than 2 distinct labels; label more images or leave it out of the factor set",
            code="constant_factor",
            param=name,
        )


def _unknown(sentence: str) -> InvalidInput:
    return InvalidInput(f"{sentence}; unlearn rows that the adapter was fitted on, each once", code="unknown_row")
