"""Separated attribute predictability (Kumar et al. 2018, section 3): the gap between the two best single codes.

What implementations return for `metric_golden.npz`, all run on the same rows (a third held out, seed 0; 20 bins where
"binned"):

| implementation | good | rotated | random |
|---|---|---|---|
| disentanglement_lib (raw codes, `LinearSVC(C=.01)`) | .2288629 | .0156616 | .0038404 |
| the same on codes times 100 | .2355236 | .0192019 | .0040804 |
| this one (standardised codes) | .2286829 | .0181818 | .0039004 |
| this one, `standardise=False` | .2288629 | .0156616 | .0039004 |
| Ubisoft La Forge's regression (factors as numbers, every row) | .9897138 | .1037561 | .0000781 |
| this one, all kinds "continuous" | .9897138 | .1037561 | .0000781 |

The penalty of the published classifier acts on raw codes, so a change of unit changes its value; ours is taken of
standardised codes. disent (nmichlo) holds the same file as disentanglement_lib.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.bounds import seed_of
from heddle_adapters.scores.columns import alive, standardised
from heddle_adapters.scores.information import checked
from heddle_adapters.scores.kinds import NUMBERS, factor_levels, filled, kinds_of, on_circle, unit_range
from heddle_adapters.scores.result import Score, protocol_of
from heddle_adapters.scores.rows import Cut, held_out
from heddle_adapters.scores.svm import fit_svm, predict_svm
from heddle_platform.errors import InvalidInput

_COST = 0.01
_HELD_OUT = 3  # one row in three


@dataclass(frozen=True, eq=False)
class SapResult(Score):
    """The gap and its parts.

    Attributes:
        per_factor: best code's score less the runner-up's, [F].
        score_LF: held-out accuracy of each code alone (levels), or R squared (numbers); NaN for dead codes.
    """

    per_factor: Floats
    score_LF: Floats


def sap(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    standardise: bool = True,
    seed: int = 0,
) -> SapResult:
    """Return the mean over factors of (score of the best single code - score of the runner-up).

    Levels are predicted by a linear support vector classifier (squared hinge, C = .01, classes weighted evenly);
    numbers by a straight line, a periodic one by its cosine and sine. Dead codes are left out.

    Args:
        codes: [N, L], at least two of them alive.
        factors: [N, F].
        kinds: kind of each factor; None takes all as levels.
        standardise: scale codes first. False is as published, and then a code's unit decides.
        seed: of the cut into two thirds that teach and one that judges.

    Raises:
        InvalidInput: codes `one_latent`, `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`,
            `wrong_shape`, `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`.
    """
    seed_of(seed)
    codes_NL, factors_NF = checked(codes, factors)
    place_M = np.flatnonzero(alive(codes_NL))
    if len(place_M) < 2:
        raise InvalidInput(
            f"a gap between codes needs at least 2 codes that vary, got {len(place_M)} of {codes_NL.shape[1]}",
            code="one_latent",
            param="codes",
        )
    live_NM = standardised(codes_NL[:, place_M]) if standardise else codes_NL[:, place_M]
    known = kinds_of(kinds, factors_NF.shape[1])
    levels = factor_levels(factors_NF, known, 20)
    cut = held_out(len(live_NM), _HELD_OUT, seed)
    score_LF = np.full((codes_NL.shape[1], factors_NF.shape[1]), np.nan)
    for index, kind in enumerate(known):
        factor_N = factors_NF[:, index]
        for place, code_N in zip(place_M, live_NM.T, strict=True):
            number = kind in NUMBERS
            score_LF[place, index] = (
                _explained(code_N, factor_N, kind) if number else _accuracy(code_N, levels[index], cut)
            )
    ordered_MF = np.sort(score_LF[place_M], axis=0)
    gap_F = ordered_MF[-1] - ordered_MF[-2]
    return SapResult(
        value=float(gap_F.mean()),
        protocol=protocol_of(
            "sap",
            version=2,
            model="linear SVC",
            cost=_COST,
            standardised=standardise,
            n=len(live_NM),
            held_out=round(1 / _HELD_OUT, 3),
            seed=seed,
        ),
        per_factor=gap_F,
        score_LF=score_LF,
    )


def _accuracy(code_N: Floats, levels_N: Integers, cut: Cut) -> float:
    taught_N = levels_N[cut.taught]
    known_K = np.unique(taught_N)
    if len(known_K) == 1:
        return float((levels_N[cut.judged] == known_K[0]).mean())
    slope_K, intercept_K = fit_svm(code_N[cut.taught], filled(taught_N), _COST)
    read_N = known_K[predict_svm(code_N[cut.judged], slope_K, intercept_K)]
    return float((read_N == levels_N[cut.judged]).mean())


def _explained(code_N: Floats, factor_N: Floats, kind: str) -> float:
    """Squared correlation, as published for continuous factors; of both columns of a periodic one."""
    columns_NP = on_circle(factor_N) if kind == "periodic" else unit_range(factor_N)[:, None]
    centred_NP, centred_N = columns_NP - columns_NP.mean(axis=0), code_N - code_N.mean()
    weights_P = np.linalg.lstsq(centred_NP, centred_N, rcond=None)[0]
    return float(np.square(centred_NP @ weights_P).sum() / np.square(centred_N).sum())
