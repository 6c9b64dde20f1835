"""Ground columns: labels as columns that depend on the factor set alone, whatever the codings of a fit.

One column per level, a number as its place in the declared range, an angle as (cos, sin).
"""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding
from heddle_platform.factors import Continuous, FactorSet, FactorSpec, Periodic


def ground_columns(values_NF: Floats, factor_set: FactorSet) -> Floats:
    """Return the ground columns [N, G] of labels without gaps."""
    columns = []
    for index, factor in enumerate(factor_set.factors):
        value_N = values_NF[:, index]
        if isinstance(factor, Periodic):
            angle_N = value_N * (2 * np.pi / factor.period)
            columns.append(np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1))
        elif isinstance(factor, Continuous):
            low, high = factor.range
            columns.append(((value_N - low) / (high - low))[:, None])
        else:
            columns.append((value_N[:, None] == np.arange(len(factor.level_names))).astype(np.float64))
    return np.hstack(columns)


def ground_slices(factor_set: FactorSet) -> tuple[slice, ...]:
    """Return each factor's slice of the G ground columns."""
    ends = np.cumsum([_width(factor) for factor in factor_set.factors]).tolist()
    return tuple(slice(end - _width(factor), end) for factor, end in zip(factor_set.factors, ends, strict=True))


def design_of_ground(factor_set: FactorSet, codings: Sequence[Coding]) -> tuple[Floats, Floats]:
    """Return (map [G, P], offset [P]) with design rows = ground rows @ map + offset."""
    blocks = ground_slices(factor_set)
    map_GP = np.zeros((blocks[-1].stop, sum(coding.columns for coding in codings)))
    offset_P = np.zeros(map_GP.shape[1])
    start = 0
    for factor, coding, block in zip(factor_set.factors, codings, blocks, strict=True):
        columns = slice(start, start + coding.columns)
        start = columns.stop
        if isinstance(factor, Continuous):
            low, high = factor.range
            map_GP[block, columns] = (high - low) / coding.spread
            offset_P[columns] = (low - coding.center) / coding.spread
        else:
            map_GP[block, columns] = coding.table_KP if coding.levels else np.eye(2)
    return map_GP, offset_P


def _width(factor: FactorSpec) -> int:
    if isinstance(factor, Periodic):
        return 2
    return 1 if isinstance(factor, Continuous) else len(factor.level_names)
