"""The mutual information gap (Chen et al. 2018, eq. 6): does one code alone hold each factor?

What implementations return for `metric_golden.npz` (20 bins but for the last):

| implementation | good | rotated | random |
|---|---|---|---|
| disentanglement_lib, disent (the same lines) | .7391277 | .0488449 | .0002429 |
| this one | .7391277 | .0488449 | .0002429 |
| Ubisoft La Forge's (divides by the code's entropy, not the factor's) | .6447896 | .0450010 | .0003969 |
| this one, "knn" (k = 3) | .7652941 | .0496476 | .0006509 |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.bounds import bins_of, one_of
from heddle_adapters.scores.information import (
    binned_information,
    checked,
    entropy,
    knn_information,
    mutual_information,
)
from heddle_adapters.scores.kinds import factor_levels
from heddle_adapters.scores.result import Score, protocol_of
from heddle_platform.errors import InvalidInput

Estimator = Literal["histogram", "knn"]
_NEIGHBOURS = 3


@dataclass(frozen=True, eq=False)
class MigResult(Score):
    """The gap and its parts.

    Attributes:
        per_factor: gap of each factor over its entropy, [F].
        ceiling: highest gap these factors allow, 1 - max_j I(f_j; f_k) / H(f_k), [F]: below 1 where labels go
            together, for then no code can hold one of them alone.
        information_LF: I(code; factor) in nats.
    """

    per_factor: Floats
    ceiling: Floats
    information_LF: Floats


def mig(
    codes: NDArray[Any],
    factors: NDArray[Any],
    estimator: Estimator = "histogram",
    bins: int = 20,
    kinds: Sequence[str] | None = None,
) -> MigResult:
    """Return the mean over factors of (most informative code - runner-up) / entropy of the factor.

    Args:
        codes: [N, L], at least two codes.
        factors: [N, F], levels; continuous and periodic ones are binned like codes.
        estimator: "histogram" (equal-width bins, comparable with published values, biased at small n) or "knn"
            (Ross 2014, k = 3, for continuous codes and n up to a few thousand).
        bins: number of bins.
        kinds: kind of each factor; None takes all as levels.

    Raises:
        InvalidInput: codes `one_latent`, `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`,
            `wrong_shape`, `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`, `unknown_estimator`,
            `not_numbers`, `bad_setting`.
    """
    one_of("estimator", estimator, ("histogram", "knn"))
    bins_of(bins)
    codes_NL, factors_NF = checked(codes, factors)
    if codes_NL.shape[1] < 2:
        raise InvalidInput(
            f"a gap between codes needs at least 2 codes, got {codes_NL.shape[1]}", code="one_latent", param="codes"
        )
    columns = factor_levels(factors_NF, kinds, bins)
    if estimator == "histogram":
        information_LF = binned_information(codes_NL, columns, bins)
    else:
        information_LF = knn_information(codes_NL, columns, _NEIGHBOURS)
    entropy_F = np.array([entropy(column_N) for column_N in columns])
    ordered_LF = np.sort(information_LF, axis=0)
    gap_F = (ordered_LF[-1] - ordered_LF[-2]) / entropy_F
    size = {"bins": bins} if estimator == "histogram" else {"k": _NEIGHBOURS}
    return MigResult(
        value=float(gap_F.mean()),
        protocol=protocol_of("mig", estimator=estimator, n=len(codes_NL), codes=codes_NL.shape[1], **size),
        per_factor=gap_F,
        ceiling=ceilings(columns),
        information_LF=information_LF,
    )


def ceilings(columns: Sequence[Integers]) -> Floats:
    """Return the highest gap each factor can reach given the others, [F]."""
    result_F = np.ones(len(columns))
    for index, column_N in enumerate(columns):
        shared = [mutual_information(column_N, other_N) for place, other_N in enumerate(columns) if place != index]
        if shared:
            result_F[index] = 1.0 - max(shared) / entropy(column_N)
    return result_F
