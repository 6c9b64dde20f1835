"""The beta-VAE score (Higgins et al. 2017, section 3): from how little pairs differ, name what they share.

Each point is the mean absolute difference of 64 pairs of rows that share one factor's value. A logistic regression,
taught on 10,000 points and judged on 5,000 (disentanglement_lib's settings), names the factor; its accuracy is the
score. It is the mildest of all: rotated codes pass it. Codes are standardised first, so that no unit matters.

What implementations that take plain arrays return for `metric_golden.npz` (their draws differ):

| implementation | good | rotated | random |
|---|---|---|---|
| Ubisoft La Forge's `z_diff`, batch 64, raw codes, not rescaled | 1.0000 | .9918 | .2034 |
| this one | 1.0000 | .9932 | .1968 |

disentanglement_lib's asks a simulator for every pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.columns import alive, standardised
from heddle_adapters.scores.logistic import fit_logistic
from heddle_adapters.scores.pairs import Game, Named, Sharing, opened


@dataclass(frozen=True, eq=False)
class BetaVaeResult(Named):
    """Held-out accuracy of naming the shared factor.

    Attributes:
        per_factor: accuracy on the points that share each factor, [F].
    """

    per_factor: Floats


def beta_vae(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    batch: int = 64,
    taught: int = 10_000,
    judged: int = 5_000,
    seed: int = 0,
) -> BetaVaeResult:
    """Return the accuracy of naming the shared factor; with one factor there is nothing to mistake and it is 1.

    Args:
        codes: [N, L]; dead ones are left out.
        factors: [N, F].
        kinds: kind of each factor; continuous and periodic ones share one of 20 bins.
        batch: pairs per point.
        taught: points that teach the reader.
        judged: points that judge it.
        seed: of the pairs.

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`, `wrong_shape`,
            `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`, `bad_setting`.
    """
    game = Game(batch, taught, judged, seed)
    codes_NL, groups = opened(codes, factors, kinds)
    scaled_NM = standardised(codes_NL[:, alive(codes_NL)])
    random = np.random.default_rng(seed)
    taught_PM, shared_P = _points(scaled_NM, groups, taught, game, random)
    judged_QM, shared_Q = _points(scaled_NM, groups, judged, game, random)
    reading = fit_logistic(taught_PM, shared_P)
    right_Q = reading.read(judged_QM) == shared_Q
    right_F = [right_Q[shared_Q == index] for index in range(len(groups))]
    return BetaVaeResult(
        value=float(right_Q.mean()),
        protocol=game.protocol("beta_vae", "logistic regression, C = 1", len(codes_NL)),
        taught_accuracy=float((reading.read(taught_PM) == shared_P).mean()),
        chance=1.0 / len(groups),
        per_factor=np.array([float(right.mean()) if len(right) else np.nan for right in right_F]),
    )


def _points(
    scaled_NM: Floats, groups: Sequence[Sharing], points: int, game: Game, random: np.random.Generator
) -> tuple[Floats, Integers]:
    """Return mean absolute differences [points, M] and the index of the factor that was shared."""
    shared_P = np.sort(random.integers(len(groups), size=points))
    result_PM = np.empty((points, scaled_NM.shape[1]))
    for index, group in enumerate(groups):
        place = np.flatnonzero(shared_P == index)
        one_PB, other_PB = group.pairs(len(place), game.batch, random)
        for part in game.parts(len(place), scaled_NM.shape[1]):
            result_PM[place[part]] = np.abs(scaled_NM[one_PB[part]] - scaled_NM[other_PB[part]]).mean(axis=1)
    return result_PM, shared_P
