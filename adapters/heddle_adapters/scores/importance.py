"""How much each code matters for a factor, by three families of model; what DCI is made of.

scikit-learn is imported by what uses it: it takes half a second and 60 MB, and most fits score no model.
"""

from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.one_thread import one_thread
from heddle_adapters.scores.columns import standardised
from heddle_adapters.scores.information import levels_of
from heddle_adapters.scores.kinds import NUMBERS, ORDERED, filled, on_circle, unit_range
from heddle_adapters.scores.rows import Cut

TREES = 12  # ten times as many move disentanglement by .02 and take ten times as long
LEAF = 5  # rows; smaller leaves fit noise and spread importance over it
ALPHA = 0.02  # of the Lasso, on standardised codes and factors, as in the code of the DCI paper
_NOISE_ERRORS = 2.0  # standard errors of chance that a skill must exceed to count


@dataclass(frozen=True, eq=False)
class Learnt:
    """Importance of each code, [L], and how well the factor was predicted on rows that taught nothing."""

    importance_L: Floats
    skill: float


def by_forest(codes_NL: Floats, factor_N: Floats, kind: str, cut: Cut) -> Learnt:
    """Extremely randomised trees: regression for ordered and periodic factors, classes for the others.

    Skill is R squared, or accuracy above the commonest level's over what was left; 0 within twice its noise.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    settings = {"n_estimators": TREES, "min_samples_leaf": LEAF, "max_features": 1.0, "random_state": 0, "n_jobs": 1}
    taught, judged = codes_NL[cut.taught].astype(np.float32), codes_NL[cut.judged].astype(np.float32)
    if kind in ORDERED or kind == "periodic":
        target = on_circle(factor_N) if kind == "periodic" else unit_range(factor_N)
        forest = ExtraTreesRegressor(**settings).fit(taught, target[cut.taught])
        skill = _r_squared(np.asarray(forest.predict(judged)), target[cut.judged])
        error = 1.0 / np.sqrt(len(judged))
    else:
        levels_N = filled_levels(factor_N)
        forest = ExtraTreesClassifier(**settings).fit(taught, levels_N[cut.taught])
        chance = float(np.bincount(levels_N[cut.taught]).max() / len(cut.taught))
        right = float((forest.predict(judged) == levels_N[cut.judged]).mean())
        skill = (right - chance) / (1.0 - chance) if chance < 1.0 else 0.0
        error = np.sqrt(chance * (1.0 - chance) / len(judged)) / max(1.0 - chance, 1e-12)
    importance_L: Floats = np.asarray(forest.feature_importances_, dtype=np.float64)
    return Learnt(importance_L, float(min(skill, 1.0)) if skill > _NOISE_ERRORS * error else 0.0)


def by_boosting(codes_NL: Floats, factor_N: Floats, kind: str, cut: Cut) -> Learnt:
    """Gradient-boosted classifiers with scikit-learn's defaults, as disentanglement_lib; skill is plain accuracy."""
    from sklearn.ensemble import GradientBoostingClassifier

    levels_N = filled_levels(factor_N)
    if len(np.unique(levels_N[cut.taught])) < 2:
        return Learnt(np.zeros(codes_NL.shape[1]), float((levels_N[cut.judged] == levels_N[cut.taught][0]).mean()))
    with one_thread():
        model = GradientBoostingClassifier(random_state=0).fit(codes_NL[cut.taught], levels_N[cut.taught])
    right = float((model.predict(codes_NL[cut.judged]) == levels_N[cut.judged]).mean())
    return Learnt(np.asarray(model.feature_importances_, dtype=np.float64), right)


def by_lasso(codes_NL: Floats, factor_N: Floats, kind: str, cut: Cut) -> Learnt:
    """Absolute weights of a Lasso on the standardised factor (both columns of a periodic one); skill is R squared."""
    from sklearn.linear_model import Lasso

    target_NP = standardised(on_circle(factor_N) if kind == "periodic" else factor_N[:, None])
    importance_L, read = np.zeros(codes_NL.shape[1]), []
    with one_thread():
        for target_N in target_NP.T:
            model = Lasso(alpha=ALPHA).fit(codes_NL[cut.taught], target_N[cut.taught])
            importance_L += np.abs(model.coef_)
            read.append(model.predict(codes_NL[cut.judged]))
    return Learnt(importance_L, max(0.0, _r_squared(np.stack(read, axis=1), target_NP[cut.judged])))


def filled_levels(factor_N: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return levels 0.. of a factor that was checked before."""
    return filled(np.unique(factor_N, return_inverse=True)[1])


def refuse_numbers_as_levels(factors_NF: Floats, kinds: list[str]) -> None:
    """Raise `unique_labels` or `too_few_rows` where a factor taken as levels has none to speak of."""
    for index, kind in enumerate(kinds):
        if kind not in NUMBERS:
            levels_of(factors_NF, only=index)


def _r_squared(predicted: Floats, truth: Floats) -> float:
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / spread if spread > 0 else 0.0
