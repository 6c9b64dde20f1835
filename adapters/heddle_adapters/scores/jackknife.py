"""Intervals: delete-a-group jackknife for any score, Wilson for shares.

The percentile bootstrap must not be used on information scores: duplicated rows look like information (it
covers the truth 0 % of the time on nearest-neighbour MIG; the jackknife over ten groups covers 93 to 100 %).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from heddle_adapters.arrays import rows_of
from heddle_adapters.chance import wilson_ends
from heddle_adapters.scores.bounds import folds_of, seed_of
from heddle_adapters.scores.information import same_rows
from heddle_adapters.scores.result import Interval, Score, protocol_of
from heddle_platform.errors import InvalidInput


def jackknife(
    score: Callable[[NDArray[Any], NDArray[Any]], float | Score],
    codes: NDArray[Any],
    factors: NDArray[Any],
    groups: int = 10,
    seed: int = 0,
) -> Interval:
    """Return a 95 % interval of a score by leaving out one group of rows at a time.

    Standard error = sqrt((g - 1) / g * sum of squared deviations of the g values from their mean), Student's t
    with g - 1 degrees of freedom, about the score of all rows.

    Args:
        score: function of (codes, factors), its number or its result: `jackknife(mig, codes, factors)`. One that draws
            rows with replacement must be told not to (`rows="each"`), or the interval holds that lottery as well.
        codes: [N, L].
        factors: [N, F].
        groups: g, at least 2.
        seed: of the cut into groups.

    Raises:
        InvalidInput: code `too_few_rows` if there are fewer than two rows a group; `bad_setting`, `wrong_shape`,
            `row_count_mismatch`; and what the score refuses, of all rows or of those that are left, the group named.
    """

    def named(left: NDArray[Any], right: NDArray[Any]) -> dict[str, float]:
        found = score(left, right)
        try:
            value = float(found)
        except (TypeError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise InvalidInput(
                f"score must return a finite number or a result with a value, got {found!r:.60}",
                code="bad_setting",
                param="score",
            )
        return {"score": value}

    if not callable(score):
        raise InvalidInput(
            f"score must be a function of (codes, factors) such as scores.mig, got {score!r:.60}",
            code="bad_setting",
            param="score",
        )
    return jackknife_each(named, codes, factors, groups, seed)["score"]


def jackknife_each(
    scores: Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]],
    codes: NDArray[Any],
    factors: NDArray[Any],
    groups: int = 10,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the intervals of several numbers that are computed together, by name; see `jackknife`.

    Args:
        scores: function of (codes, factors); gives the same names whatever rows are left.
        codes, factors, groups, seed: as for `jackknife`.

    Raises:
        InvalidInput: as `jackknife` does.
    """
    seed_of(seed)
    codes_NL, factors_NF = rows_of(codes, "codes"), rows_of(factors, "factors")
    rows = same_rows(codes_NL, factors_NF)
    folds_of(groups, rows, "groups")
    group_N = np.random.default_rng(seed).permutation(rows) % groups
    found = scores(codes_NL, factors_NF)
    left_G = []
    for group in range(groups):
        kept_N = group_N != group
        try:
            left_G.append(scores(codes_NL[kept_N], factors_NF[kept_N]))
        except InvalidInput as refusal:  # defined on all rows: without this, the sentence would contradict the table
            raise InvalidInput(
                f"without group {group + 1} of {groups}: {refusal.message}; more groups leave more rows",
                code=refusal.code,
                param=refusal.param,
            ) from refusal
    intervals = {}
    for name, value in found.items():
        values_G = np.array([left[name] for left in left_G])
        error = np.sqrt((groups - 1) / groups * np.square(values_G - values_G.mean()).sum())
        reach = float(stdtrit(groups - 1, 0.975) * error)
        intervals[name] = Interval(value, value - reach, value + reach, protocol_of("jackknife", groups=groups, n=rows))
    return intervals


def wilson(successes: float, trials: float) -> Interval:
    """Return the 95 % score interval of a share (Wilson 1927); 0..1 if there was no trial."""
    protocol = protocol_of("wilson", n=trials)
    share = successes / trials if trials else 0.5
    return Interval(share, *wilson_ends(share, trials), protocol)
