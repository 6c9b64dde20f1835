"""Modularity and explicitness (Ridgeway & Mozer 2018, section 3), always together.

Modularity alone is no news: pure noise scores .4 to .7, for each noise code has some factor it agrees with best by
chance. `null` is what these codes score on labels in shuffled order; explicitness is what tells the two apart.

What implementations return for `metric_golden.npz`:

| implementation | | good | rotated | random |
|---|---|---|---|---|
| disentanglement_lib (10,000 rows drawn, 5,000 more judge) | modularity | .8400640 | .8997921 | .6809379 |
| | explicitness | .9718807 | .9747610 | .5290914 |
| this one, `rows="drawn"` | modularity | .8400640 | .8997921 | .6809379 |
| | explicitness | .9718807 | .9748610 | .5290904 |
| this one, `rows="each"` | modularity | .8393053 | .9146651 | .6771881 |
| | explicitness | .9668830 | .9710709 | .4968006 |

Drawn from a finite set, three judged rows in five were also taught: that is why .53 and not .50 is read from noise.
`explicitness_held_out` has no such rows, whichever way `rows` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.bounds import bins_of, seed_of
from heddle_adapters.scores.columns import alive
from heddle_adapters.scores.information import binned_information, checked
from heddle_adapters.scores.kinds import factor_levels
from heddle_adapters.scores.logistic import fit_logistic, ranking
from heddle_adapters.scores.result import Score, protocol_of
from heddle_adapters.scores.rows import Cut, Rows, described, held_out, take


@dataclass(frozen=True, eq=False)
class ModularityResult(Score):
    """Both numbers; `value` is modularity, and the text of a result shows explicitness beside it.

    Attributes:
        modularity: does each code hold one factor only, 0..1.
        explicitness: can the factors be read from the codes, mean area under the ROC curve, .5 = chance.
        explicitness_held_out: the same on rows that taught nothing.
        null: modularity on labels in shuffled order.
        per_code: modularity of each code, [L]; NaN for dead codes.
        per_factor: explicitness of each factor, [F].
    """

    modularity: float
    explicitness: float
    explicitness_held_out: float
    null: float
    per_code: Floats
    per_factor: Floats

    def __str__(self) -> str:
        return (
            f"modularity {self.modularity:.4f} (noise {self.null:.4f}) with explicitness {self.explicitness:.4f} "
            f"({self.explicitness_held_out:.4f} held out, chance .5)"
        )


def modularity_explicitness(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    bins: int = 20,
    rows: Rows = "drawn",
    seed: int = 0,
) -> ModularityResult:
    """Return modularity of the live codes and explicitness of the factors.

    Modularity of a code is 1 - sum of squared informations on other factors / ((F - 1) times the largest squared one),
    0 for a code that holds nothing; one factor alone leaves nothing to confuse and gives 1. Explicitness is the
    area under the ROC curve of a multinomial logistic regression, each level against the rest.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor; continuous and periodic ones are binned.
        bins: equally wide bins of codes and numbers.
        rows: "drawn" as published, "each" for every row once; under the jackknife take "each".
        seed: of the rows.

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`, `wrong_shape`,
            `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`, `unknown_rows`.
    """
    bins_of(bins)
    seed_of(seed)
    codes_NL, factors_NF = checked(codes, factors)
    columns = factor_levels(factors_NF, kinds, bins)
    place_M = np.flatnonzero(alive(codes_NL))
    live_NM = codes_NL[:, place_M]
    taken_N = described(len(codes_NL), rows, seed)
    shuffled_N = np.random.default_rng(seed).permutation(len(taken_N))
    taken = [column_N[taken_N] for column_N in columns]
    per_code = np.full(codes_NL.shape[1], np.nan)
    per_code[place_M] = _modularity(live_NM[taken_N], taken, bins)
    null_M = _modularity(live_NM[taken_N], [column_N[shuffled_N] for column_N in taken], bins)
    cut, apart = take(len(codes_NL), rows, seed), held_out(len(codes_NL), 3, seed)
    explicit_F = _explicitness(live_NM, columns, cut)
    apart_F = explicit_F if rows == "each" else _explicitness(live_NM, columns, apart)
    modularity = float(per_code[place_M].mean()) if len(place_M) else 0.0
    return ModularityResult(
        value=modularity,
        protocol=protocol_of(
            "modularity_explicitness",
            model="logistic regression, C = 1",
            bins=bins,
            rows=rows,
            n=len(codes_NL),
            held_out=0.333,
            seed=seed,
        ),
        modularity=modularity,
        explicitness=_mean(explicit_F),
        explicitness_held_out=_mean(apart_F),
        null=float(null_M.mean()) if len(place_M) else 0.0,
        per_code=per_code,
        per_factor=explicit_F,
    )


def _modularity(live_NM: Floats, columns: Sequence[Integers], bins: int) -> Floats:
    if live_NM.shape[1] == 0:
        return np.zeros(0)
    squared_MF = np.square(binned_information(live_NM, columns, bins))
    best_M = squared_MF.max(axis=1)
    if len(columns) == 1:
        return np.asarray(best_M > 0, dtype=np.float64)
    others_M = (squared_MF.sum(axis=1) - best_M) / (len(columns) - 1)
    confused_M = np.divide(others_M, best_M, out=np.zeros_like(best_M), where=best_M > 0)
    result_M: Floats = np.where(best_M > 0, 1.0 - confused_M, 0.0)
    return result_M


def _explicitness(live_NM: Floats, columns: Sequence[Integers], cut: Cut) -> Floats:
    count_N = np.bincount(cut.taught, minlength=len(live_NM))
    taught = np.flatnonzero(count_N)
    # mean and deviation of the taught rows, repeats counted, scale all of them
    drawn_NM = live_NM[cut.taught]
    spread_M = drawn_NM.std(axis=0)
    scaled_NM = (live_NM - drawn_NM.mean(axis=0)) / np.where(spread_M > 0, spread_M, 1.0)
    areas = []
    for column_N in columns:
        reading = fit_logistic(scaled_NM[taught], column_N[taught], weight_N=count_N[taught])
        areas.append(ranking(reading.shares(scaled_NM[cut.judged]), reading.levels_K, column_N[cut.judged]))
    return np.array(areas)


def _mean(area_F: Floats) -> float:
    """Mean over the factors that the judged rows define; chance if there is none."""
    defined_F = area_F[np.isfinite(area_F)]
    return float(defined_F.mean()) if len(defined_F) else 0.5
