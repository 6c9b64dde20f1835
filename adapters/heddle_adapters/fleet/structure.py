"""How one tenant's codings lie in padded arrays: which column belongs to whom. Numbers only, no labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.design import Coding, column_slices, pseudo_counts, score_slices

_COLUMN_STEP = 8  # padded widths are multiples of it, so that a tenant's own shape decides, not its company


@dataclass(frozen=True)
class Widths:
    """Padded widths: tenants of equal widths are solved side by side.

    Attributes:
        columns: P, design columns.
        scores: C, score columns.
        block: J, most design columns of one factor.
        levels: K, most score columns of one factor.
    """

    columns: int
    scores: int
    block: int
    levels: int


@dataclass(frozen=True, eq=False)
class Structure:
    """One tenant's codings as padded arrays.

    A place that holds no column points one past the end (P or C), at a column of zeros.

    Attributes:
        table_CP: design row of each score column: of its level, or the unit row of a number's column.
        centred_CP: where `table_CP` is meant about the design's mean: a level's own block.
        penalty_PP: ridge penalty at one pseudo-count; the identity in padding.
        real_P: columns that are not padding.
        real_C: likewise.
        number_F: columns of a number, 1 or 2; 0 for a levelled factor and in padding.
        center_F, spread_F: what a number is centred on and divided by in its design column.
        columns_FJ: design columns of each factor.
        scores_FK: score columns of each factor.
        place_C: where a score column lies in `scores_FK`, counted through; 0 for padding.
    """

    table_CP: Floats
    centred_CP: Mask
    penalty_PP: Floats
    real_P: Mask
    real_C: Mask
    number_F: NDArray[np.int64]
    center_F: Floats
    spread_F: Floats
    columns_FJ: NDArray[np.int64]
    scores_FK: NDArray[np.int64]
    place_C: NDArray[np.int64]


def widths_of(codings: Sequence[Coding]) -> Widths:
    """Return the padded widths of a tenant's codings, which depend on nothing else."""
    return Widths(
        _padded(sum(coding.columns for coding in codings)),
        _padded(sum(coding.scores for coding in codings)),
        _power(max(coding.columns for coding in codings)),
        _power(max(coding.scores for coding in codings)),
    )


def structure_of(codings: Sequence[Coding], widths: Widths, factors: int) -> Structure:
    """Lay out a tenant's codings.

    Args:
        codings: per factor.
        widths: at least `widths_of(codings)`.
        factors: F, padded.
    """
    table_CP = np.zeros((widths.scores, widths.columns))
    centred_CP = np.zeros(table_CP.shape, dtype=np.bool_)
    number_F = np.zeros(factors, dtype=np.int64)
    center_F, spread_F = np.zeros(factors), np.ones(factors)
    columns_FJ = np.full((factors, widths.block), widths.columns)
    scores_FK = np.full((factors, widths.levels), widths.scores)
    place_C = np.zeros(widths.scores, dtype=np.int64)
    columns, scores = column_slices(codings), score_slices(codings)
    for index, (coding, block, score) in enumerate(zip(codings, columns, scores, strict=True)):
        table_CP[score, block] = coding.table_KP if coding.levels else np.eye(coding.columns)
        centred_CP[score, block] = coding.levels > 0
        number_F[index] = 0 if coding.levels else coding.columns
        if coding.kind == "continuous":
            center_F[index], spread_F[index] = coding.center, coding.spread
        columns_FJ[index, : coding.columns] = np.arange(block.start, block.stop)
        scores_FK[index, : coding.scores] = np.arange(score.start, score.stop)
        place_C[score] = index * widths.levels + np.arange(coding.scores)
    real = columns[-1].stop
    penalty_PP = np.eye(widths.columns)
    penalty_PP[:real, :real] = pseudo_counts(codings, 1.0)
    return Structure(
        table_CP,
        centred_CP,
        penalty_PP,
        np.arange(widths.columns) < real,
        np.arange(widths.scores) < scores[-1].stop,
        number_F,
        center_F,
        spread_F,
        columns_FJ,
        scores_FK,
        place_C,
    )


def stacked(structures: Sequence[Structure]) -> dict[str, NDArray[Any]]:
    """Return the fields of several structures of equal widths, stacked [B, ...]."""
    return {name: np.stack([getattr(one, name) for one in structures]) for name in Structure.__dataclass_fields__}


def padded_rows(rows: int) -> int:
    """Return the padded number of rows: at most an eighth more, and few distinct ones."""
    step = max(8, _power(rows) // 16)
    return -(-rows // step) * step


def _padded(width: int) -> int:
    return -(-width // _COLUMN_STEP) * _COLUMN_STEP


def _power(width: int) -> int:
    power = 1
    while power < width:
        power *= 2
    return power
