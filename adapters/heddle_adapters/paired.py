"""Two bases held against each other on one labelled set: same rows, same folds, same estimator, so differences pair up.

Two cards of the same set share most of their noise: the same hard pictures are misread by both. Row by row that noise
cancels, and a difference of a point shows with some hundred labels. Both sides are read out of fold by the closed form
(`fit_adapter(..., refine=False)`) at one fixed ridge and shrinkage, which no side's card chose.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, finite_matrix
from heddle_adapters.fit import fit_adapter
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.intake import check_values
from heddle_adapters.leave_one_out import RIDGE
from heddle_adapters.read import read_values
from heddle_adapters.solve import RESIDUAL_SHARE
from heddle_adapters.weights import known_mean, mean_of, relative_weights, spread_of, total_of, weighed
from heddle_platform.factors import FactorSet

Outcome = Literal["better", "equal", "worse"]
FOLDS = 5
TOLERANCE = 0.02  # as the gate's `regression`: a fall that small is not called one
_Z = 1.959964


@dataclass(frozen=True)
class Difference:
    """One number under both bases.

    Attributes:
        factor: its name; None for the weighted mean over factors.
        measure: "accuracy" for levels, "r2" for numbers ("1 - mean(1 - cos)" for angles).
        before, after: under the old base and the new.
        difference: after - before.
        interval: 95 % of the difference, paired over rows.
        rows: labelled rows behind it.
        outcome: "worse" if the whole interval lies below minus the tolerance, or below zero for the mean; "better" if
            it lies above zero; else "equal".
    """

    factor: str | None
    measure: str
    before: float
    after: float
    difference: float
    interval: tuple[float, float]
    rows: int
    outcome: Outcome


def paired_differences(
    before_NL: Floats,
    after_NM: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    weight_N: Floats | None = None,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """Compare what two bases' latents of the same labelled images let a fit read, factor by factor and as a whole.

    Args:
        before_NL, after_NM: standardised latents of the N images under the old and the new base.
        values_NF: their labels, NaN where missing.
        factor_set: the factors.
        weight_N: how often each image counts, see `fit_adapter`; intervals are of the effective number of rows.
        seed: of the folds; the card's, so that both judge on the same ones.

    Returns:
        A difference per factor, in order, and the weighted mean last.

    Raises:
        InvalidInput: see `fit_adapter` and `fold_of_rows`.
    """
    before_NL, after_NM = finite_matrix(before_NL, "latents"), finite_matrix(after_NM, "latents")
    values_NF = check_values(values_NF, factor_set, len(before_NL))
    weight_N = relative_weights(weight_N, len(before_NL))
    fold_N = fold_of_rows(values_NF, FOLDS, seed)
    merits = [_merits(latents, values_NF, factor_set, fold_N, weight_N) for latents in (before_NL, after_NM)]
    weights = np.array([factor.importance for factor in factor_set.factors], dtype=np.float64)
    found = [
        _of_factor(factor.name, "accuracy" if hasattr(factor, "level_names") else "r2", *pair, weight_N=weight_N)
        for factor, pair in zip(factor_set.factors, zip(*(merit.T for merit in merits), strict=True), strict=True)
    ]
    return (*found, _of_mean(found, merits[0], merits[1], weights, weight_N))


def _merits(
    latents_NL: Floats, values_NF: Floats, factor_set: FactorSet, fold_N: NDArray[np.intp], weight_N: Floats | None
) -> Floats:
    """Return what each row contributes to each factor's accuracy or R squared [N, F]; NaN where there is no label."""
    read_NF = np.empty_like(values_NF)
    codings = None
    for fold in range(int(fold_N.max()) + 1):
        held_N = fold_N == fold
        adapter = fit_adapter(
            latents_NL[~held_N],
            values_NF[~held_N],
            factor_set,
            base_digest="paired",
            weight_N=None if weight_N is None else weight_N[~held_N],
            ridge=RIDGE,
            residual_share=RESIDUAL_SHARE,
            refine=False,
        )
        codings = adapter.codings
        read_NF[held_N] = read_values(adapter, latents_NL[held_N])
    merits_NF = np.empty_like(values_NF)
    for index, coding in enumerate(codings or ()):
        truth_N, told_N = values_NF[:, index], read_NF[:, index]
        if coding.levels:
            merit_N = (truth_N == told_N).astype(np.float64)
        elif coding.kind == "periodic":
            merit_N = np.cos(2 * np.pi * (truth_N - told_N) / coding.spread)
        else:
            spread = float(np.nanvar(truth_N)) if weight_N is None else _known_spread(truth_N, weight_N) ** 2
            merit_N = 1.0 - np.square(truth_N - told_N) / max(spread, 1e-12)
        merits_NF[:, index] = np.where(np.isnan(truth_N), np.nan, merit_N)
    return merits_NF


def _known_spread(values_N: Floats, weight_N: Floats) -> float:
    known_N = ~np.isnan(values_N)
    return float(spread_of(values_N[known_N], weight_N[known_N]))


def _of_factor(name: str, measure: str, before_N: Floats, after_N: Floats, *, weight_N: Floats | None) -> Difference:
    known_N = ~np.isnan(before_N)
    before_M, after_M = before_N[known_N], after_N[known_N]
    rows = int(known_N.sum())
    weight_M = None if weight_N is None else relative_weights(weight_N[known_N], rows)
    change_M, counted = after_M - before_M, total_of(rows, weight_M)
    difference = float(mean_of(change_M, weight_M))
    if measure == "accuracy":
        gained, lost = (
            float(weighed(one_M.astype(np.float64), weight_M).sum()) for one_M in (change_M > 0, change_M < 0)
        )
        low, high = _discordant(gained, lost, counted)
    else:
        if weight_M is None:
            deviation = float(change_M.std(ddof=1))
        else:
            deviation = float(spread_of(change_M, weight_M)) * float(np.sqrt(counted / max(counted - 1.0, 1e-9)))
        reach = _Z * deviation / np.sqrt(counted)
        low, high = difference - reach, difference + reach
    outcome: Outcome = "worse" if high < -TOLERANCE else "better" if low > 0.0 else "equal"
    sides = float(mean_of(before_M, weight_M)), float(mean_of(after_M, weight_M))
    return _difference(name, measure, sides, (low, high), rows, outcome)


def _of_mean(
    found: list[Difference], before_NF: Floats, after_NF: Floats, weights: Floats, weight_N: Floats | None
) -> Difference:
    weight_F = weights / float(weights.sum())  # importances are positive
    change_NF = after_NF - before_NF
    # each row's share in the mean of means: its changes, weighted, over the factors' counts of labels
    counts_F = weighed(~np.isnan(change_NF), weight_N).sum(axis=0)
    rows = total_of(len(change_NF), weight_N)
    centred_NF = weighed(np.nan_to_num(change_NF - known_mean(change_NF, weight_N)), weight_N)
    share_N = (centred_NF * (weight_F * rows / np.maximum(counts_F, 1e-12))).sum(axis=1)
    difference = float(sum(weight * one.difference for weight, one in zip(weight_F, found, strict=True)))
    reach = _Z * float(np.sqrt(np.square(share_N).sum())) / rows
    # where no row changed nothing was measured to vary: one row more might have
    reach = max(reach, 1.0 / rows / len(found))
    low, high = difference - reach, difference + reach
    outcome: Outcome = "worse" if high < 0.0 else "better" if low > 0.0 else "equal"
    before = float(sum(weight * one.before for weight, one in zip(weight_F, found, strict=True)))
    return Difference(
        None,
        "mean",
        round(before, 6),
        round(before + difference, 6),
        round(difference, 6),
        (round(low, 6), round(high, 6)),
        len(change_NF),
        outcome,
    )


def _discordant(gained: float, lost: float, rows: float) -> tuple[float, float]:
    """Return the 95 % interval of a difference of paired shares (Agresti & Min 2005: half a row to each cell)."""
    total = rows + 2.0
    up, down = gained + 0.5, lost + 0.5
    middle = (up - down) / total
    reach = _Z * float(np.sqrt(max((up + down) - (up - down) ** 2 / total, 0.0))) / total
    return middle - reach, middle + reach


def _difference(
    name: str,
    measure: str,
    sides: tuple[float, float],
    interval: tuple[float, float],
    rows: int,
    outcome: Outcome,
) -> Difference:
    before, after = sides
    return Difference(
        name,
        measure,
        round(before, 6),
        round(after, 6),
        round(after - before, 6),
        (round(float(interval[0]), 6), round(float(interval[1]), 6)),
        rows,
        outcome,
    )
