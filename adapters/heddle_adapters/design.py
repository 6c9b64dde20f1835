"""The design matrix: how each kind of factor becomes numeric columns, and back.

| kind | columns P | coding |
|---|---|---|
| binary | 1 | -1/2, +1/2 |
| categorical | K - 1 | effect coding: level k < K-1 is unit vector k, the last level is -1 everywhere |
| ordinal | 1 | the level's rank, standardised |
| continuous | 1 | the value, standardised |
| periodic | 2 | cos and sin of the angle |

A `Coding` holds what was learnt from the labels (centre, spread, whether an ordinal factor is monotone), so
that an adapter can code an edit without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.weights import mean_of, spread_of
from heddle_platform.factors import Continuous, FactorSpec, Kind, Periodic

THIN_CELL = 5  # labelled images of a pair of levels under which its edits are guesses


@dataclass(frozen=True)
class Coding:
    """How one factor is coded.

    Attributes:
        kind: the kind it is coded as; an ordinal factor whose latents do not follow its order is "categorical".
        levels: K, the number of levels; 0 for continuous and periodic.
        center: subtracted from ranks and values before coding; 0 for other kinds.
        spread: standard deviation they are divided by; the period for periodic; 1 for other kinds.
    """

    kind: Kind
    levels: int
    center: float = 0.0
    spread: float = 1.0

    @property
    def columns(self) -> int:
        """P, the number of design columns."""
        return {"categorical": self.levels - 1, "periodic": 2}.get(self.kind, 1)

    @property
    def scores(self) -> int:
        """C, the number of score columns: one logit per level, one value, or (cos, sin)."""
        return self.levels or {"periodic": 2}.get(self.kind, 1)

    @cached_property
    def table_KP(self) -> Floats:  # noqa: N802  shape suffix
        """Design rows of all K levels, [K, P]; [0, P] for continuous and periodic."""
        if self.kind == "binary":
            return np.array([[-0.5], [0.5]])
        if self.kind == "categorical":
            return np.vstack([np.eye(self.levels - 1), np.full((1, self.levels - 1), -1.0)])
        return self.encode(np.arange(self.levels, dtype=np.float64))

    def encode(self, values_N: Floats) -> Floats:
        """Code values (level indices or values in the factor's unit; NaN stays NaN) as design rows [N, P]."""
        values_N = np.asarray(values_N, dtype=np.float64)
        if self.kind == "periodic":
            angle_N = values_N * (2 * np.pi / self.spread)
            return np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
        if self.kind in ("continuous", "ordinal"):
            return ((values_N - self.center) / self.spread)[:, None]
        rows_NP = np.full((len(values_N), self.columns), np.nan)
        known_N = ~np.isnan(values_N)
        rows_NP[known_N] = self.table_KP[values_N[known_N].astype(int)]
        return rows_NP


def coding_of(factor: FactorSpec, values_N: Floats, *, monotone: bool = True, weight_N: Floats | None = None) -> Coding:
    """Learn a factor's coding from its labels.

    Args:
        factor: the declared factor.
        values_N: its labels, NaN where missing, at least one known.
        monotone: False codes an ordinal factor as categorical.
        weight_N: of the labels, see `weights`.
    """
    there_N = ~np.isnan(values_N)
    known = values_N[there_N], None if weight_N is None else weight_N[there_N]
    if isinstance(factor, Periodic):
        return Coding("periodic", 0, 0.0, factor.period)
    if isinstance(factor, Continuous):
        return Coding("continuous", 0, *_moments(*known))
    if factor.kind == "ordinal" and monotone:
        return Coding("ordinal", len(factor.level_names), *_moments(*known))
    return Coding("binary" if factor.kind == "binary" else "categorical", len(factor.level_names))


def code_all(values_NF: Floats, codings: Sequence[Coding]) -> Floats:
    """Code the labels of all factors side by side, [N, P]; rows of missing labels are NaN in their columns."""
    return np.hstack([coding.encode(values_NF[:, index]) for index, coding in enumerate(codings)])


def column_slices(codings: Sequence[Coding]) -> tuple[slice, ...]:
    """Return each factor's slice of the P design columns."""
    return _slices(tuple(coding.columns for coding in codings))


def score_slices(codings: Sequence[Coding]) -> tuple[slice, ...]:
    """Return each factor's slice of the C score columns."""
    return _slices(tuple(coding.scores for coding in codings))


def pseudo_counts(codings: Sequence[Coding], ridge: float) -> Floats:
    """Return the ridge penalty [P, P] that adds `ridge` imagined images without effect to every level.

    For effect coding the penalty on all K level offsets, the last being minus the sum of the others, is
    ridge * a'(I + 11')a; for the binary coding, offsets of +-a/2, it is ridge * a^2 / 2.
    """
    blocks = column_slices(codings)
    penalty_PP = np.zeros((blocks[-1].stop, blocks[-1].stop))
    for coding, block in zip(codings, blocks, strict=True):
        size = coding.columns
        if coding.kind == "categorical":
            penalty_PP[block, block] = ridge * (np.eye(size) + 1.0)
        else:
            penalty_PP[block, block] = ridge * np.eye(size) * (0.5 if coding.kind == "binary" else 1.0)
    return penalty_PP


def _moments(known_N: Floats, weight_N: Floats | None) -> tuple[float, float]:
    spread = float(spread_of(known_N, weight_N))
    return float(mean_of(known_N, weight_N)), spread if spread > 0 else 1.0


@lru_cache(maxsize=256)  # a fit asks forty times, a fleet with the same few factor sets
def _slices(widths: tuple[int, ...]) -> tuple[slice, ...]:
    ends = np.cumsum(widths).tolist()
    return tuple(slice(end - width, end) for width, end in zip(widths, ends, strict=True))
