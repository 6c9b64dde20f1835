"""Finding interactions: which pairs of factors' effects do not add up, by cross-validated gain.

1. Screen every pair whose product columns are few: how much of the additive model's residual do they explain, in
   standard errors of what chance explains (chi-square with columns x latents degrees of freedom)?
2. The best few are judged out of fold, strongest first, each on what those kept before it leave: the gain is the
   share of the additive model's held-out residual that goes away. Kept is what exceeds its noise clearly.

Residuals are whitened by their own covariance, so that a thin thing in a few latents counts like a large one. On
additive data a pair's columns fit noise and make held-out residuals *worse*; nothing is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from heddle_adapters.arrays import Floats, finite_matrix
from heddle_adapters.design import Coding, column_slices, pseudo_counts
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.intake import check_values, codings_of, live_latents
from heddle_adapters.interaction import Interaction, product_columns, product_penalty, thin_cells
from heddle_adapters.linear import whitening
from heddle_adapters.one_thread import one_thread
from heddle_adapters.solution import solve
from heddle_adapters.solve import encode_jointly
from heddle_adapters.weights import mean_of, relative_weights, rooted, spread_of, total_of
from heddle_platform.factors import FactorSet

FOLDS = 5
FEWEST_ROWS = 50
MOST_PAIRS = 200  # screened; of more, those of the factors that move the latents most
MOST_JUDGED = 24  # judged out of fold
MOST_KEPT = 16
MOST_PAIR_COLUMNS = 96  # of one pair: a factor of hundreds of levels interacts with nothing
MOST_COLUMNS = 320  # of all kept together, and never more than a third of the labelled rows
CLEAR_OF_CHANCE = 3.0  # standard errors above chance from which a screened pair is judged
CLEAR_OF_NOISE = 4.0  # standard errors of the gain from which it is kept
LEAST_GAIN = 0.002  # a smaller share of the residual is not worth columns however sure it is


@dataclass(frozen=True)
class Tried:
    """One pair judged out of fold.

    Attributes:
        interaction: the pair, its gain and the gain's error.
        columns: product columns it takes.
        kept: whether it enters the fit.
        reason: why, or why not, in a sentence with the numbers.
    """

    interaction: Interaction
    columns: int
    kept: bool
    reason: str


@dataclass(frozen=True, eq=False)
class _Fold:
    """One fold: the additive fit on the others, and the whitened residual of all rows, shrinking as pairs are kept."""

    held_N: NDArray[np.bool_]
    design_NP: Floats
    taught_PP: Floats
    residual_NL: Floats
    weight_N: Floats | None

    def taught(self, array_NX: Floats) -> Floats:
        """Return the rows not held out, times the roots of their weights."""
        return rooted(array_NX, self.weight_N)[~self.held_N]

    def centered(self, array_NX: Floats) -> Floats:
        """Return the array less the mean of the rows not held out."""
        taught_N = ~self.held_N
        return array_NX - mean_of(array_NX[taught_N], None if self.weight_N is None else self.weight_N[taught_N])

    @cached_property
    def design(self) -> tuple[Floats, Floats, tuple[Floats, bool]]:
        """Design columns centered, of all rows and as `taught`; and the Cholesky factor of their gram."""
        centered_NP = self.centered(self.design_NP)
        return centered_NP, self.taught(centered_NP), cho_factor(self.taught_PP)

    @cached_property
    def taught_ML(self) -> Floats:  # noqa: N802  shape suffix
        """Residual, as `taught`."""
        return self.taught(self.residual_NL)

    def left(self, residual_NL: Floats) -> Self:
        """Return the fold with another residual; the design is the same and not worked out again."""
        other = replace(self, residual_NL=residual_NL)
        vars(other)["design"] = self.design
        return other


def find_interactions(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    weight_N: Floats | None = None,
    ridge: float = 3.0,
    seed: int = 0,
) -> tuple[Tried, ...]:
    """Judge the pairs of factors that may interact; give the kept ones to `fit_adapter`.

    Args:
        latents_NL: standardised latents of the N labelled images.
        values_NF: labels, see `LabelTable.values_NF`.
        factor_set: the F factors.
        weight_N: of the rows, see `fit_adapter`; thin cells count rows whatever their weights.
        ridge: pseudo-counts per level, and per pair of levels.
        seed: of the folds.

    Returns:
        Pairs judged out of fold, strongest screened first; none with fewer than 50 rows or two factors.

    Raises:
        InvalidInput: see `fit_adapter`.
    """
    latents_NL = finite_matrix(latents_NL, "latents")
    values_NF = check_values(values_NF, factor_set, len(latents_NL))
    weight_N = relative_weights(weight_N, len(latents_NL))
    if len(latents_NL) < FEWEST_ROWS or len(factor_set.factors) < 2:
        return ()
    with one_thread():
        latents_NL = latents_NL[:, live_latents(latents_NL, None, weight_N)]
        codings = codings_of(latents_NL, values_NF, factor_set, ridge, weight_N)
        design_NP = solve(latents_NL, values_NF, codings, ridge=ridge, weight_N=weight_N).design_NP
        pairs = _screened(latents_NL, values_NF, design_NP, codings, ridge, weight_N)
        if not pairs:
            return ()
        fold_N = fold_of_rows(values_NF, FOLDS, seed)
        folds = [_fold(latents_NL, design_NP, codings, fold_N == fold, ridge, weight_N) for fold in range(FOLDS)]
        return _judged(folds, values_NF, codings, pairs, ridge)


def kept(tried: Sequence[Tried]) -> tuple[Interaction, ...]:
    """Return the interactions that enter the fit."""
    return tuple(one.interaction for one in tried if one.kept)


def _screened(
    latents_NL: Floats,
    values_NF: Floats,
    design_NP: Floats,
    codings: Sequence[Coding],
    ridge: float,
    weight_N: Floats | None,
) -> list[tuple[int, int]]:
    """Return the pairs (dependent factor, the other) whose products explain more than chance would, best first."""
    rows = len(latents_NL)
    everything = _fold(latents_NL, design_NP, codings, np.zeros(rows, dtype=np.bool_), ridge, weight_N)
    energy_F = _energies(latents_NL, everything.design_NP, codings, everything.taught_PP, weight_N)
    pairs = [
        (first, second) if energy_F[first] <= energy_F[second] else (second, first)
        for first, second in combinations(range(len(codings)), 2)
        if codings[first].columns * codings[second].columns <= min(MOST_PAIR_COLUMNS, rows // 3)
    ]
    pairs.sort(key=lambda pair: (-energy_F[pair[0]] * energy_F[pair[1]], pair))
    penalty_PP = pseudo_counts(codings, ridge)
    found = []
    for factor, on in pairs[:MOST_PAIRS]:
        columns_NQ = product_columns(design_NP, values_NF, codings, factor, on)
        penalty_QQ = product_penalty(penalty_PP, codings, factor, on, ridge)
        product_NQ, effect_QL = _effect(everything, columns_NQ, penalty_QQ)
        shared_QL = everything.taught(product_NQ).T @ everything.taught_ML
        explained = float(np.sum(shared_QL * effect_QL))
        chance = effect_QL.size
        surplus = (explained - chance) / float(np.sqrt(2 * chance))
        if surplus > CLEAR_OF_CHANCE:
            found.append((-surplus, (factor, on)))
    return [pair for _, pair in sorted(found)[:MOST_JUDGED]]


def _judged(
    folds: Sequence[_Fold],
    values_NF: Floats,
    codings: Sequence[Coding],
    pairs: Sequence[tuple[int, int]],
    ridge: float,
) -> tuple[Tried, ...]:
    penalty_PP = pseudo_counts(codings, ridge)
    weight_N = folds[0].weight_N
    rows = total_of(len(values_NF), weight_N)
    held = (rooted(fold.residual_NL, weight_N)[fold.held_N] for fold in folds)
    additive = float(sum(np.square(held_ML).sum() for held_ML in held)) / rows
    room = min(MOST_COLUMNS, int(rows // 3))
    tried: list[Tried] = []
    for factor, on in pairs:
        gain_N = np.empty(len(values_NF))
        columns_NQ = product_columns(folds[0].design_NP, values_NF, codings, factor, on)
        penalty_QQ = product_penalty(penalty_PP, codings, factor, on, ridge)
        shrunk = []
        for fold in folds:
            product_NQ, effect_QL = _effect(fold, columns_NQ, penalty_QQ)
            left_NL = fold.residual_NL - product_NQ @ effect_QL
            gain_N[fold.held_N] = np.square(fold.residual_NL[fold.held_N]).sum(axis=1)
            gain_N[fold.held_N] -= np.square(left_NL[fold.held_N]).sum(axis=1)
            shrunk.append(fold.left(left_NL))
        gain, error = _gain(gain_N / additive, folds)
        columns = effect_QL.shape[0]
        fits = columns <= room and sum(one.kept for one in tried) < MOST_KEPT
        keep = fits and gain >= max(LEAST_GAIN, CLEAR_OF_NOISE * error)
        if keep:
            room, folds = room - columns, shrunk
        interaction = Interaction(
            factor, on, round(gain, 6), round(error, 6), thin_cells(values_NF, codings, factor, on)
        )
        tried.append(Tried(interaction, columns, keep, _reason(gain, error, columns, fits, room)))
    return tuple(tried)


def _gain(gain_N: Floats, folds: Sequence[_Fold]) -> tuple[float, float]:
    """Return the mean gain and its standard error: over rows or over folds, whichever is larger."""
    weight_N = folds[0].weight_N
    parts = [(gain_N[fold.held_N], None if weight_N is None else weight_N[fold.held_N]) for fold in folds]
    per_fold = np.array([mean_of(*part) for part in parts])
    over_rows = float(spread_of(gain_N, weight_N)) / float(np.sqrt(total_of(len(gain_N), weight_N)))
    over_folds = float(per_fold.std(ddof=1)) / float(np.sqrt(len(per_fold)))
    return float(mean_of(gain_N, weight_N)), max(over_rows, over_folds)


def _reason(gain: float, error: float, columns: int, fits: bool, room: int) -> str:
    found = f"explains {gain:.4f} of what the additive model leaves out of fold (standard error {error:.4f})"
    if gain < max(LEAST_GAIN, CLEAR_OF_NOISE * error):
        return f"{found}, at least {max(LEAST_GAIN, CLEAR_OF_NOISE * error):.4f} is needed"
    return found if fits else f"{found}, but its {columns} columns exceed the {room} left or {MOST_KEPT} are kept"


def _fold(
    latents_NL: Floats,
    design_NP: Floats,
    codings: Sequence[Coding],
    held_N: NDArray[np.bool_],
    ridge: float,
    weight_N: Floats | None,
) -> _Fold:
    penalty_PP = pseudo_counts(codings, ridge)
    weights = None if weight_N is None else weight_N[~held_N]
    encoding = encode_jointly(latents_NL[~held_N], design_NP[~held_N], penalty_PP, None, weights)
    centered_NP = design_NP - encoding.center_P
    residual_NL = (latents_NL - encoding.mean_L - centered_NP @ encoding.effects_PL) @ whitening(encoding.residual_LL)
    taught_NP = rooted(centered_NP, weight_N)[~held_N]
    return _Fold(held_N, design_NP, taught_NP.T @ taught_NP + penalty_PP, residual_NL, weight_N)


def _effect(fold: _Fold, columns_NQ: Floats, penalty_QQ: Floats) -> tuple[Floats, Floats]:
    """Return a pair's products [N, Q], cleared of the design, and their effect [Q, L] on the rows not held out.

    Regressing the residual on cleared columns gives what the joint solve gives them (Frisch & Waugh 1933), up to
    the ridge.
    """
    centered_NP, taught_MP, factored_PP = fold.design
    product_NQ = fold.centered(columns_NQ)
    shared_PQ = taught_MP.T @ fold.taught(product_NQ)
    product_NQ -= centered_NP @ cho_solve(factored_PP, shared_PQ)
    taught_MQ = fold.taught(product_NQ)
    gram_QQ = taught_MQ.T @ taught_MQ + penalty_QQ
    effect_QL = cho_solve(cho_factor(gram_QQ), taught_MQ.T @ fold.taught_ML)
    return product_NQ, np.asarray(effect_QL, dtype=np.float64)


def _energies(
    latents_NL: Floats, design_NP: Floats, codings: Sequence[Coding], gram_PP: Floats, weight_N: Floats | None
) -> Floats:
    """Return how much each factor [F] moves the latents: the variance its columns explain, all latents together."""
    centered_NP = rooted(design_NP - mean_of(design_NP, weight_N), weight_N)
    centered_NL = rooted(latents_NL - mean_of(latents_NL, weight_N), weight_N)
    effects_PL = cho_solve(cho_factor(gram_PP), centered_NP.T @ centered_NL)
    return np.array(
        [float(np.square(centered_NP[:, block] @ effects_PL[block]).mean()) for block in column_slices(codings)]
    )
