"""Linear support vector classifiers on one code, solved exactly and all classes at once.

The published SAP trains one scikit-learn `LinearSVC` (squared hinge, intercept in the penalty, one class against
the rest) per code and factor. In one dimension the rows with positive slack are a prefix or suffix of the sorted
code, so the sums of a Newton step are differences of running sums: two binary searches a step instead of a
pass over the rows. Its optimum is liblinear's to liblinear's tolerance.
"""

from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats, Integers, Mask

_STEPS = 60
_HALVINGS = 30
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class _Sums:
    """Running sums of 1, x, x^2 over the sorted code: of all rows, and of each class's own."""

    code_N: Floats
    all_N3: Floats
    key_N: Integers
    own_N3: Floats
    start_K: Integers
    stop_K: Integers

    def slack(self, edge_K: Floats, below_K: Mask, class_K: Integers) -> tuple[Floats, Floats]:
        """Return sums [K, 3] over rows below (or not below) an edge: of each class's own rows and of the others'."""
        place_K = np.searchsorted(self.code_N, edge_K)
        own_K = np.searchsorted(self.key_N, class_K * (len(self.code_N) + 1) + place_K)
        before_K3 = self.own_N3[own_K] - self.own_N3[self.start_K[class_K]]
        after_K3 = self.own_N3[self.stop_K[class_K]] - self.own_N3[own_K]
        own_K3 = np.where(below_K[:, None], before_K3, after_K3)
        all_K3 = np.where(below_K[:, None], self.all_N3[place_K], self.all_N3[-1] - self.all_N3[place_K])
        return own_K3, all_K3 - own_K3


def fit_svm(code_N: Floats, levels_N: Integers, cost: float) -> tuple[Floats, Floats]:
    """Return slopes and intercepts of class k against the rest, [K] each, classes weighted evenly.

    As liblinear does, only the class's own rows carry its weight n / (K n_k) where there are more than two
    classes. With two, both rows carry theirs and the second line is the first one's negative.

    Args:
        code_N: one code, on a scale of about 1.
        levels_N: classes 0..K-1, each of them present.
        cost: C, before class weights.
    """
    sums = _sums(code_N, levels_N)
    count_K = np.bincount(levels_N)
    weight_K = len(levels_N) / (len(count_K) * count_K)
    if len(count_K) == 2:
        class_1 = np.array([1])
        line_1 = _newton(sums, class_1, cost * weight_K[1:], cost * weight_K[:1])
        return np.concatenate([-line_1[0], line_1[0]]), np.concatenate([-line_1[1], line_1[1]])
    classes = np.arange(len(count_K))
    return _newton(sums, classes, cost * weight_K, np.full(len(count_K), cost))


def predict_svm(code_N: Floats, slope_K: Floats, intercept_K: Floats) -> Integers:
    """Return the class whose line is highest over each value."""
    return np.asarray((code_N[:, None] * slope_K + intercept_K).argmax(axis=1), dtype=np.int64)


def _sums(code_N: Floats, levels_N: Integers) -> _Sums:
    order_N = np.argsort(code_N, kind="stable")
    sorted_N, class_N = code_N[order_N], levels_N[order_N]
    by_class_N = np.argsort(class_N, kind="stable")
    stop_K = np.cumsum(np.bincount(levels_N))
    return _Sums(
        code_N=sorted_N,
        all_N3=_running(sorted_N),
        key_N=class_N[by_class_N] * (len(code_N) + 1) + by_class_N,
        own_N3=_running(sorted_N[by_class_N]),
        start_K=stop_K - np.bincount(levels_N),
        stop_K=stop_K,
    )


def _running(values_N: Floats) -> Floats:
    powers_N3 = np.stack([np.ones_like(values_N), values_N, values_N**2], axis=1)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(powers_N3, axis=0)])


def _newton(sums: _Sums, class_K: Integers, cost_K: Floats, rest_K: Floats) -> tuple[Floats, Floats]:
    """Minimise (w^2 + b^2) / 2 + sum of cost * slack^2 for each class."""
    slope_K, intercept_K = np.zeros(len(class_K)), np.zeros(len(class_K))
    loss_K, gradient_K2, curve_K3 = _state(sums, class_K, cost_K, rest_K, slope_K, intercept_K)
    for _ in range(_STEPS):
        det_K = curve_K3[:, 0] * curve_K3[:, 2] - curve_K3[:, 1] ** 2
        down_w_K = -(curve_K3[:, 2] * gradient_K2[:, 0] - curve_K3[:, 1] * gradient_K2[:, 1]) / det_K
        down_b_K = -(curve_K3[:, 0] * gradient_K2[:, 1] - curve_K3[:, 1] * gradient_K2[:, 0]) / det_K
        gain_K = -(gradient_K2[:, 0] * down_w_K + gradient_K2[:, 1] * down_b_K)
        if (gain_K <= _TOLERANCE * loss_K).all():
            break
        step_K = np.ones(len(class_K))
        for _ in range(_HALVINGS):
            trial = slope_K + step_K * down_w_K, intercept_K + step_K * down_b_K
            state = _state(sums, class_K, cost_K, rest_K, *trial)
            worse_K = state[0] > loss_K - 1e-4 * step_K * gain_K + 1e-12 * loss_K
            if not worse_K.any():
                break
            step_K = np.where(worse_K, step_K / 2, step_K)
        slope_K, intercept_K = trial
        loss_K, gradient_K2, curve_K3 = state
    return slope_K, intercept_K


def _state(
    sums: _Sums, class_K: Integers, cost_K: Floats, rest_K: Floats, slope_K: Floats, intercept_K: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return loss [K], gradient by (w, b) [K, 2], and second derivatives (ww, wb, bb) [K, 3]."""
    rising_K = slope_K >= 0
    own_K3 = sums.slack(_edge(1.0 - intercept_K, slope_K, rising=True), rising_K, class_K)[0]
    other_K3 = sums.slack(_edge(-1.0 - intercept_K, slope_K, rising=False), ~rising_K, class_K)[1]
    loss_K = (slope_K**2 + intercept_K**2) / 2
    gradient_K2 = np.stack([slope_K, intercept_K], axis=1)
    curve_K3 = np.stack([np.ones_like(slope_K), np.zeros_like(slope_K), np.ones_like(slope_K)], axis=1)
    for sum_K3, weight_K, sign in ((own_K3, cost_K, 1.0), (other_K3, rest_K, -1.0)):
        count_K, first_K, second_K = sum_K3.T
        short_K = 1.0 - sign * intercept_K  # slack = short - sign * w * x
        loss_K = loss_K + weight_K * (
            short_K**2 * count_K - 2 * sign * short_K * slope_K * first_K + slope_K**2 * second_K
        )
        by_w_K = -2 * sign * weight_K * (short_K * first_K - sign * slope_K * second_K)
        by_b_K = -2 * sign * weight_K * (short_K * count_K - sign * slope_K * first_K)
        gradient_K2 = gradient_K2 + np.stack([by_w_K, by_b_K], axis=1)
        curve_K3 = curve_K3 + 2 * weight_K[:, None] * np.stack([second_K, first_K, count_K], axis=1)
    return loss_K, gradient_K2, curve_K3


def _edge(level_K: Floats, slope_K: Floats, *, rising: bool) -> Floats:
    """Return where the line crosses a level; a flat one lies on one side of it everywhere."""
    flat_K = np.where(level_K > 0, np.inf, -np.inf) if rising else np.where(level_K < 0, -np.inf, np.inf)
    return np.divide(level_K, slope_K, out=flat_K, where=slope_K != 0)
