"""Multinomial logistic regression as the published scores use it, on weighted rows, quiet and on one thread."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.one_thread import one_thread


@dataclass(frozen=True, eq=False)
class Reading:
    """A fitted classifier.

    Attributes:
        levels_K: levels it knows, in order.
    """

    levels_K: Integers
    _model: LogisticRegression | None

    def shares(self, codes_NL: Floats) -> Floats:
        """Return the probability of each level it knows, [N, K]."""
        if self._model is None:
            return np.ones((len(codes_NL), 1))
        codes_NL = codes_NL if codes_NL.shape[1] else np.zeros((len(codes_NL), 1))
        return np.asarray(self._model.predict_proba(codes_NL), dtype=np.float64)

    def read(self, codes_NL: Floats) -> Integers:
        """Return the most probable level of each row."""
        return np.asarray(self.levels_K[self.shares(codes_NL).argmax(axis=1)], dtype=np.int64)


def fit_logistic(
    codes_NL: Floats,
    levels_N: Integers,
    *,
    weight_N: Integers | None = None,
    penalty: float = 1.0,
    balanced: bool = False,
    steps: int = 100,
) -> Reading:
    """Fit a classifier whose penalty and stopping rule are scikit-learn's defaults.

    Args:
        codes_NL: standardised; may have no columns, and then only shares of levels are learnt.
        levels_N: levels.
        weight_N: how often each row counts; None is once.
        penalty: 1 / C of scikit-learn; 0 for none.
        balanced: weigh levels evenly.
        steps: of L-BFGS, 100 in the published implementations; not converging is not an error there either.
    """
    levels_K = np.unique(levels_N)
    if len(levels_K) == 1:
        return Reading(levels_K, None)
    if codes_NL.shape[1] == 0:
        codes_NL = np.zeros((len(codes_NL), 1))
    model = LogisticRegression(
        C=1.0 / penalty if penalty > 0 else np.inf, class_weight="balanced" if balanced else None, max_iter=steps
    )
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes_NL, levels_N, sample_weight=weight_N)
    return Reading(levels_K, model)


def ranking(shares_NK: Floats, levels_K: Integers, truth_N: Integers) -> float:
    """Return the area under the ROC curve, one level against the rest, mean over levels; ties count half.

    Levels that all judged rows have or none has are left out; NaN if there is no other.
    """
    own_NK = truth_N[:, None] == levels_K
    count_K = own_NK.sum(axis=0)
    rest_K = len(truth_N) - count_K
    defined_K = (count_K > 0) & (rest_K > 0)
    if not defined_K.any():
        return float("nan")
    rank_NK = rankdata(shares_NK, axis=0)
    above_K = (rank_NK * own_NK).sum(axis=0) - count_K * (count_K + 1) / 2
    return float((above_K[defined_K] / (count_K * rest_K)[defined_K]).mean())
