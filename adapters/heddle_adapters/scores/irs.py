"""Interventional robustness (Suter et al. 2019): while one factor is held, how far can a code still be moved?

What implementations return for `metric_golden.npz`:

| implementation | good | rotated | random |
|---|---|---|---|
| disentanglement_lib (10,000 rows drawn with replacement, seed 0) | .7681093 | .4981434 | .3518447 |
| this one, `rows="drawn"` | .7681093 | .4981434 | .3518447 |
| Ubisoft La Forge's (every row, factors in 20 bins, quantile .99) | .7712772 | .5004730 | .3698773 |
| this one, `rows="each"` | .7712772 | .5004730 | .3698773 |
| Ubisoft La Forge's with the paper's maximum (quantile 1) | .7002572 | .3976376 | .1953669 |
| this one, `rows="each"`, `quantile=1.0` | .7002572 | .3976376 | .1953669 |

Noise does not score 0: the fewer rows a level has, the less far its farthest one lies. `null` says how high codes
of the same distribution score on labels in shuffled order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.bounds import bins_of, number, seed_of
from heddle_adapters.scores.columns import alive
from heddle_adapters.scores.information import binned, checked
from heddle_adapters.scores.kinds import factor_levels
from heddle_adapters.scores.result import Score, protocol_of
from heddle_adapters.scores.rows import Rows, described


@dataclass(frozen=True, eq=False)
class IrsResult(Score):
    """The mean over codes, a code counting by its farthest deviation, so by its unit.

    Attributes:
        per_code: 1 - deviation under the best held factor over the farthest deviation, [L]; NaN for dead codes.
        parents: the factor each code belongs to, [L]; -1 for dead codes.
        robustness_LF: the same for every factor.
        null: value on labels in shuffled order.
    """

    per_code: Floats
    parents: Integers
    robustness_LF: Floats
    null: float


def irs(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    bins: int = 20,
    quantile: float = 0.99,
    rows: Rows = "drawn",
    seed: int = 0,
) -> IrsResult:
    """Return interventional robustness; 0 if all codes are dead.

    Args:
        codes: [N, L]. As published, each counts by its farthest deviation: a common scale does not matter, one
            code's own scale does.
        factors: [N, F]; all are binned, as published.
        kinds: kind of each factor, only to refuse unique-valued levels.
        bins: equally wide bins of each factor.
        quantile: of the deviations within a level; 1 is the maximum of the paper.
        rows: "drawn" as published, "each" for every row once; under the jackknife take "each".
        seed: of the drawn rows and of the null.

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`, `wrong_shape`,
            `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`, `unknown_rows`.
    """
    bins_of(bins)
    seed_of(seed)
    number("quantile", quantile, 1e-6, 1.0)
    codes_NL, factors_NF = checked(codes, factors)
    factor_levels(factors_NF, kinds, bins)
    taken_N = described(len(codes_NL), rows, seed)
    place_M = np.flatnonzero(alive(codes_NL))
    live_NM = codes_NL[taken_N][:, place_M]
    columns = [binned(factors_NF[taken_N, index], bins) for index in range(factors_NF.shape[1])]
    shuffled_N = np.random.default_rng(seed).permutation(len(taken_N))
    robustness_LF = np.full((codes_NL.shape[1], len(columns)), np.nan)
    parents_L = np.full(codes_NL.shape[1], -1, dtype=np.int64)
    value = null = 0.0
    if len(place_M):
        farthest_M = np.abs(live_NM - live_NM.mean(axis=0)).max(axis=0)
        robustness_LF[place_M] = _robustness(live_NM, columns, quantile, farthest_M)
        parents_L[place_M] = robustness_LF[place_M].argmax(axis=1)
        value = float(np.average(robustness_LF[place_M].max(axis=1), weights=farthest_M))
        chance_MF = _robustness(live_NM, [column_N[shuffled_N] for column_N in columns], quantile, farthest_M)
        null = float(np.average(chance_MF.max(axis=1), weights=farthest_M))
    return IrsResult(
        value=value,
        protocol=protocol_of("irs", bins=bins, quantile=quantile, rows=rows, n=len(codes_NL), seed=seed),
        per_code=robustness_LF.max(axis=1),
        parents=parents_L,
        robustness_LF=robustness_LF,
        null=null,
    )


def _robustness(live_NM: Floats, columns: Sequence[Integers], quantile: float, farthest_M: Floats) -> Floats:
    deviation_FM = np.array([_deviation(live_NM, column_N, quantile) for column_N in columns])
    # rows drawn may leave a live code without spread: then nothing can move it
    still_M = farthest_M == 0
    return 1.0 - np.asarray(deviation_FM / np.where(still_M, 1.0, farthest_M)).T


def _deviation(live_NM: Floats, levels_N: Integers, quantile: float) -> Floats:
    """Mean over levels of a high quantile of the distances from the level's mean, [M]."""
    order_N = np.argsort(levels_N, kind="stable")
    count_K = np.bincount(levels_N)
    total_M = np.zeros(live_NM.shape[1])
    groups = np.split(live_NM[order_N], np.cumsum(count_K[count_K > 0])[:-1])
    for group_NM in groups:
        sorted_NM = np.sort(np.abs(group_NM - group_NM.mean(axis=0)), axis=0)
        place = quantile * (len(sorted_NM) - 1)
        low = int(place)
        high = min(low + 1, len(sorted_NM) - 1)
        total_M += sorted_NM[low] + (place - low) * (sorted_NM[high] - sorted_NM[low])
    result: Floats = total_M / len(groups)
    return result
