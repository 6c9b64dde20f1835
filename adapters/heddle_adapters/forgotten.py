"""Downdating: statistics less the rows that go, refused where what stays could not have been fitted."""

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.held_out import FEW_ROWS_FOLDS
from heddle_adapters.statistics import Statistics, gather, ground_slices, less
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Continuous, LevelledFactor

_LEAST_SPREAD = 1e-9  # of an angle's (cos, sin), below which all angles are one


def without(statistics: Statistics, latents_NL: Floats, values_NF: Floats, pool_ML: Floats | None) -> Statistics:
    """Return the statistics of the rows that stay.

    A row without gaps is recognised by its levels' counts and its numbers only: sums do not remember rows. It is the
    caller who knows which rows were fitted.

    Args:
        statistics: of all rows.
        latents_NL, values_NF, pool_ML: the rows that go.

    Raises:
        InvalidInput: see `unlearn.unlearn`.
    """
    _check_rows(statistics, latents_NL, values_NF)
    gone = gather(
        latents_NL,
        values_NF,
        statistics.factor_set,
        (),
        base_digest=statistics.base_digest,
        pool_ML=pool_ML,
        ridge=statistics.ridge,
    )
    left = less(
        statistics,
        gone,
        _sparse_kept(statistics, gone),
        [_numbers_kept(all_N, some_N) for all_N, some_N in zip(statistics.numbers, gone.numbers, strict=True)],
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


def _sparse_kept(statistics: Statistics, gone: Statistics) -> Mask:
    stays_K = np.ones(len(statistics.sparse_values_KF), dtype=bool)
    for latents_L, values_F in zip(gone.sparse_latents_KL, gone.sparse_values_KF, strict=True):
        same_K = stays_K & (statistics.sparse_latents_KL == latents_L).all(axis=1)
        same_K &= ((statistics.sparse_values_KF == values_F) | np.isnan(values_F)).all(axis=1)
        same_K &= (np.isnan(statistics.sparse_values_KF) == np.isnan(values_F)).all(axis=1)
        if not same_K.any():
            raise _unknown("a row with a missing label is not among those the adapter was fitted on")
        stays_K[int(np.argmax(same_K))] = False
    return stays_K


def _numbers_kept(all_N: Floats, some_N: Floats) -> Floats:
    stays_N = np.ones(len(all_N), dtype=bool)
    for value in some_N:
        same_N = stays_N & (all_N == value)
        if not same_N.any():
            raise _unknown(f"no row with the number {value:g} is left to unlearn")
        stays_N[int(np.argmax(same_N))] = False
    return all_N[stays_N]


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
    counted = zip(before.factor_set.factors, before.counts(), left.counts(), strict=True)
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
    angle_K = value_K[~np.isnan(value_K)] * (2 * np.pi / period)
    known = left.complete + len(angle_K)
    mean = (left.ground_G[block] + [np.cos(angle_K).sum(), np.sin(angle_K).sum()]) / max(known, 1)
    return float(1.0 - mean @ mean) if known else 0.0


def _check_varies(name: str, varies: bool) -> None:
    if not varies:
        raise InvalidInput(
            f"{name!r} would have fewer than 2 distinct labels; label more images or leave it out of the factor set",
            code="constant_factor",
            param=name,
        )


def _unknown(sentence: str) -> InvalidInput:
    return InvalidInput(f"{sentence}; unlearn rows that the adapter was fitted on, each once", code="unknown_row")
