"""Disentanglement, completeness, informativeness (Eastwood & Williams 2018) from an importance matrix.

Importance of code l for factor f comes from a forest that predicts f from all codes. A factor that cannot be
predicted on held-out rows says nothing about the code, so its column counts by its informativeness, and not at
all where that lies within its noise: with published Lasso importances pure noise scores .6 to .9, here 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from heddle_adapters.arrays import Floats
from heddle_adapters.scores.information import checked
from heddle_adapters.scores.result import Score, protocol_of
from heddle_platform.errors import InvalidInput

TREES = 12  # ten times as many move disentanglement by .02 and take ten times as long
LEAF = 5  # rows; smaller leaves fit noise and spread importance over it
HELD_OUT = 0.25
_NOISE_ERRORS = 2.0  # standard errors of chance that a skill must exceed to count
_ORDERED = frozenset({"ordinal", "continuous"})


@dataclass(frozen=True, eq=False)
class DciResult(Score):
    """The three numbers, always shown together; `value` is disentanglement.

    Attributes:
        disentanglement: does each code hold one factor only, 0..1.
        completeness: is each factor held by one code only, 0..1.
        informativeness: mean over factors of held-out skill, 0 = chance, 1 = perfect.
        skill_F: that skill per factor.
        importance_LF: columns sum to 1, or are 0 where nothing was learnt.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    skill_F: Floats
    importance_LF: Floats


def dci(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    estimator: Literal["forest"] = "forest",
) -> DciResult:
    """Return disentanglement, completeness and informativeness.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor; ordered ones (ordinal, continuous) get regression trees, periodic ones
            regression on cos and sin, the others classification trees. None takes all as categories.
        estimator: "forest".

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `wrong_shape`, `row_count_mismatch`,
            `too_few_rows`, `unknown_estimator`.
    """
    if estimator != "forest":
        raise InvalidInput(f"unknown estimator {estimator!r}; known is: forest", code="unknown_estimator")
    codes_NL, factors_NF = checked(codes, factors)
    if len(codes_NL) < 8:
        raise InvalidInput(f"there are {len(codes_NL)} rows, at least 8 are needed", code="too_few_rows")
    shuffled = np.random.default_rng(0).permutation(len(codes_NL))
    held_N = np.zeros(len(codes_NL), dtype=bool)
    held_N[shuffled[: max(2, round(HELD_OUT * len(codes_NL)))]] = True
    kinds = kinds or ["categorical"] * factors_NF.shape[1]
    parts = [_learn(codes_NL, factors_NF[:, index], kind, held_N) for index, kind in enumerate(kinds)]
    importance_LF = np.stack([importance_L for importance_L, _ in parts], axis=1)
    skill_F = np.array([skill for _, skill in parts])
    disentanglement, completeness = summarise(importance_LF, skill_F)
    return DciResult(
        value=disentanglement,
        protocol=protocol_of(
            "dci", estimator="extra-trees", trees=TREES, leaf=LEAF, n=len(codes_NL), held_out=HELD_OUT
        ),
        disentanglement=disentanglement,
        completeness=completeness,
        informativeness=float(skill_F.mean()),
        skill_F=skill_F,
        importance_LF=importance_LF,
    )


def summarise(importance_LF: Floats, weight_F: Floats) -> tuple[float, float]:
    """Return (disentanglement, completeness) of an importance matrix whose columns count by `weight_F`.

    Disentanglement is one minus the entropy of each code's row (base F), codes counting by their share of the
    importance; completeness one minus the entropy of each column (base L). A single factor or code has
    nothing to confuse and counts as 1.
    """
    weighted_LF = importance_LF * weight_F
    total = weighted_LF.sum()
    if total <= 0:
        return 0.0, 0.0
    row_L = 1.0 - _entropy_of_rows(weighted_LF)
    column_F = 1.0 - _entropy_of_rows(importance_LF.T)
    return (
        float((row_L * weighted_LF.sum(axis=1)).sum() / total),
        float((column_F * weighted_LF.sum(axis=0)).sum() / total),
    )


def _entropy_of_rows(matrix: Floats) -> Floats:
    """Entropy of each row as shares, in units of log(columns); 0 for rows of zeros or a single column."""
    if matrix.shape[1] < 2:
        return np.zeros(len(matrix))
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    result: Floats = -(share * logs).sum(axis=1) / np.log(matrix.shape[1])
    return result


def _learn(codes_NL: Floats, factor_N: Floats, kind: str, held_N: NDArray[np.bool_]) -> tuple[Floats, float]:
    settings = {"n_estimators": TREES, "min_samples_leaf": LEAF, "max_features": 1.0, "random_state": 0, "n_jobs": 1}
    taught, tested = codes_NL[~held_N].astype(np.float32), codes_NL[held_N].astype(np.float32)
    if kind in _ORDERED or kind == "periodic":
        target_N = factor_N if kind in _ORDERED else _on_circle(factor_N)
        forest = ExtraTreesRegressor(**settings).fit(taught, target_N[~held_N])
        skill = _r_squared(np.asarray(forest.predict(tested)), target_N[held_N])
        error = 1.0 / np.sqrt(len(tested))
    else:
        forest = ExtraTreesClassifier(**settings).fit(taught, factor_N[~held_N].astype(int))
        truth_N = factor_N[held_N].astype(int)
        chance = float(np.bincount(factor_N[~held_N].astype(int)).max() / (~held_N).sum())
        right = float((forest.predict(tested) == truth_N).mean())
        skill = (right - chance) / (1.0 - chance) if chance < 1.0 else 0.0
        error = np.sqrt(chance * (1.0 - chance) / len(tested)) / max(1.0 - chance, 1e-12)
    importance_L: Floats = np.asarray(forest.feature_importances_, dtype=np.float64)
    return importance_L, float(min(skill, 1.0)) if skill > _NOISE_ERRORS * error else 0.0


def _on_circle(factor_N: Floats) -> Floats:
    # the period is not known here: the values' own range is taken as one turn
    turn_N = (factor_N - factor_N.min()) / (factor_N.max() - factor_N.min()) * 2 * np.pi
    return np.stack([np.cos(turn_N), np.sin(turn_N)], axis=1)


def _r_squared(predicted: Floats, truth: Floats) -> float:
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / spread if spread > 0 else 0.0
