"""Interactions: factors whose look depends on another factor, as product columns beside the design matrix.

A beard has the colour of the hair. One direction per factor cannot say so; the products of the two factors' design
columns can, and they enter the same joint solve. An edit then changes them as it changes the design: with the level
*read* of the other factor, or with its target where the same request edits it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats
from heddle_adapters.design import THIN_CELL, Coding, column_slices


@dataclass(frozen=True)
class Interaction:
    """One pair of factors whose effects do not add up.

    Attributes:
        factor: index of the factor whose look depends more on the other: the one with the smaller effect.
        on: index of the factor it depends on.
        gain: share of what the additive model leaves unexplained out of fold that the pair's columns explain.
        error: standard error of `gain`, over rows or over folds, whichever is larger.
        thin: pairs (level of `factor`, level of `on`) with too few labelled images.
    """

    factor: int
    on: int
    gain: float
    error: float
    thin: tuple[tuple[int, int], ...] = ()

    def is_thin(self, value: float, other: float) -> bool:
        """Say whether this pair of values (of `factor`, of `on`) is one of too few images."""
        return bool(self.thin) and (round(value), round(other)) in self.thin

    def are_thin(self, values_B: Floats, others_B: Floats) -> NDArray[np.bool_]:
        """Return `is_thin` of B pairs of values."""
        thin_B = np.zeros(len(values_B), dtype=np.bool_)
        for value, other in self.thin:
            thin_B |= (np.rint(values_B) == value) & (np.rint(others_B) == other)
        return thin_B


def pair_columns(codings: Sequence[Coding], interaction: Interaction) -> int:
    """Return the number of product columns of one pair."""
    return codings[interaction.factor].columns * codings[interaction.on].columns


def product_columns(design_NP: Floats, values_NF: Floats, codings: Sequence[Coding], factor: int, on: int) -> Floats:
    """Return all products of two factors' design columns, [N, P of factor * P of on], `factor` outermost.

    Rows in thin cells hold zeros: the model of these cells is additive, as their edits are.

    Args:
        design_NP: design rows without NaN.
        values_NF: the labels behind them, NaN where missing.
        codings: per factor.
        factor, on: the pair.
    """
    blocks = column_slices(codings)
    own_NP, other_NP = design_NP[:, blocks[factor]], design_NP[:, blocks[on]]
    product_NQ = (own_NP[:, :, None] * other_NP[:, None, :]).reshape(len(design_NP), -1)
    for own, other in thin_cells(values_NF, codings, factor, on):
        product_NQ[(values_NF[:, factor] == own) & (values_NF[:, on] == other)] = 0.0
    return product_NQ


def product_penalty(penalty_PP: Floats, codings: Sequence[Coding], factor: int, on: int, ridge: float) -> Floats:
    """Return the ridge penalty of a pair's product columns: `ridge` imagined images without effect to every cell.

    For two effect-coded factors the offset of a cell is a sum over products, and the penalty on all K x K' cells
    is the Kronecker product of the factors' own (see `design.pseudo_counts`).
    """
    blocks = column_slices(codings)
    own_PP, other_PP = (penalty_PP[blocks[index], blocks[index]] for index in (factor, on))
    return np.asarray(np.kron(own_PP, other_PP) / ridge, dtype=np.float64)


def thin_cells(values_NF: Floats, codings: Sequence[Coding], factor: int, on: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of levels with fewer than five labelled images; none where one factor is a number."""
    levels = codings[factor].levels, codings[on].levels
    if not all(levels):
        return ()
    pair_N2 = values_NF[:, [factor, on]]
    known_M2 = pair_N2[~np.isnan(pair_N2).any(axis=1)].astype(np.intp)
    counts = np.bincount(known_M2[:, 0] * levels[1] + known_M2[:, 1], minlength=levels[0] * levels[1])
    return tuple((int(cell) // levels[1], int(cell) % levels[1]) for cell in np.flatnonzero(counts < THIN_CELL))
