"""The preview: what a fit would be worth now, and what to label next. Milliseconds; stores nothing.

Accuracies are out of fold, from the closed-form read, so they are what the fit's card will say while labels are few
and a little less where the discriminative read takes over. Imports neither scikit-learn nor torch: the control plane
runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, finite_matrix
from heddle_adapters.calibrate import angle_error
from heddle_adapters.design import Coding, coding_of, score_slices
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.held_out import read_held_out
from heddle_adapters.intake import check_values, live_latents
from heddle_adapters.label_next import Next, label_next
from heddle_adapters.leave_one_out import best_ridge
from heddle_adapters.one_thread import one_thread
from heddle_adapters.solution import solve
from heddle_adapters.weights import given_weights, mean_of, relative_weights, spread_of
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet

FOLDS = 4
SHARES = (0.25, 0.5, 1.0)  # of the rows that teach, in the learning curve
MOST_ROWS = 2_000  # labelled rows a preview looks at, the first ones: more change a per cent and cost a second
MOST_CANDIDATES = 5_000
LEAST_ROWS = 8


@dataclass(frozen=True)
class FactorPreview:
    """One factor.

    Attributes:
        name: of the factor.
        labels: how many images are labelled for it.
        score: out of fold: accuracy of a levelled factor, R squared of a number (of an angle: 1 minus the mean
            squared sine-cosine error over its variance); None where it has too few distinct labels to be fitted.
        measure: "accuracy" or "r2".
        chance: score of always answering with the commonest level; 0 for numbers.
    """

    name: str
    labels: int
    score: float | None
    measure: str
    chance: float


@dataclass(frozen=True)
class CurvePoint:
    """Mean score over factors when `rows` labelled images teach."""

    rows: int
    score: float


@dataclass(frozen=True)
class Preview:
    """What a fit would be worth.

    Attributes:
        rows: labelled images looked at.
        candidates: images looked at that miss a label.
        ridge: pseudo-counts that leave-one-out chose.
        factors: one each, in the factor set's order.
        curve: at growing numbers of teaching images, judged on the same images.
        label_next: best first.
    """

    rows: int
    candidates: int
    ridge: float
    factors: tuple[FactorPreview, ...]
    curve: tuple[CurvePoint, ...]
    label_next: tuple[Next, ...]


def preview(
    latents_NL: NDArray[Any],
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    weight_N: Floats | None = None,
    count: int = 10,
) -> Preview:
    """Judge the labels so far and choose what to label next.

    Args:
        latents_NL: latents of all images, labelled or not.
        values_NF: labels, NaN where missing; images without any label are candidates, as are partly labelled ones.
        factor_set: the factors.
        weight_N: how often each image counts where it is labelled, see `fit.fit_adapter`.
        count: how many images to choose.

    Raises:
        InvalidInput: codes as `fit.fit_adapter`; `too_few_labels` if fewer than 8 images are labelled or no factor
            has two distinct labels.
    """
    # One thread: matrices this small spend ten times as long in the hand-over between two.
    with one_thread():
        return _preview(latents_NL, values_NF, factor_set, count, weight_N)


def _preview(
    latents_NL: NDArray[Any], values_NF: Floats, factor_set: FactorSet, count: int, given_N: Floats | None
) -> Preview:
    latents_NL = finite_matrix(latents_NL, "latents")
    values_NF = _checked(values_NF, factor_set, len(latents_NL))
    labelled = np.flatnonzero(~np.isnan(values_NF).all(axis=1))[:MOST_ROWS]
    candidates = np.flatnonzero(np.isnan(values_NF).any(axis=1))[:MOST_CANDIDATES]
    taught, values = _taught(values_NF[labelled], factor_set)
    weight_N = None if given_N is None else given_weights(given_N, len(latents_NL))[labelled]
    weight_N = relative_weights(weight_N, len(labelled))
    live_L = live_latents(latents_NL, None)
    latents = latents_NL[labelled][:, live_L]
    codings = [coding_of(factor, values[:, place], weight_N=weight_N) for place, factor in enumerate(taught.factors)]
    ridge = best_ridge(latents, values, codings, weight_N=weight_N)
    share = read_held_out(latents, values, codings, ridge, weight_N=weight_N).share
    scores, curve = _judge(latents, values, codings, ridge, share, weight_N)
    solution = solve(latents, values, codings, ridge=ridge, share=share, weight_N=weight_N)
    chosen = label_next(
        latents,
        values,
        latents_NL[candidates][:, live_L],
        values_NF[candidates][:, [factor_set.names.index(name) for name in taught.names]],
        taught,
        codings,
        solution.read,
        dict(zip(taught.names, scores, strict=True)),
        count,
    )
    known = {
        name: (score, values[:, place]) for place, (name, score) in enumerate(zip(taught.names, scores, strict=True))
    }
    return Preview(
        len(labelled),
        len(candidates),
        ridge,
        tuple(
            _factor(factor_set, index, values_NF[labelled, index], known) for index in range(len(factor_set.factors))
        ),
        curve,
        tuple(replace(one, row=int(candidates[one.row])) for one in chosen),
    )


def _checked(values_NF: Floats, factor_set: FactorSet, rows: int) -> Floats:
    try:
        return check_values(values_NF, factor_set, rows)
    except InvalidInput as error:
        if error.code != "constant_factor":  # a preview is asked for before every factor has its labels
            raise
        return np.asarray(values_NF, dtype=np.float64)


def _taught(values_NF: Floats, factor_set: FactorSet) -> tuple[FactorSet, Floats]:
    """Return the factors that labels can teach, and their labels."""
    places = [
        place
        for place in range(values_NF.shape[1])
        if len(np.unique(values_NF[~np.isnan(values_NF[:, place]), place])) > 1
    ]
    rows = len(values_NF)
    if rows < LEAST_ROWS or not places:
        raise InvalidInput(
            f"{rows} images are labelled and {len(places)} of {len(factor_set.factors)} factors have two distinct "
            f"labels; a preview needs {LEAST_ROWS} images and one such factor: label more images",
            code="too_few_labels",
        )
    return FactorSet(name=factor_set.name, factors=tuple(factor_set.factors[place] for place in places)), values_NF[
        :, places
    ]


def _judge(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    ridge: float,
    residual_share: float,
    weight_N: Floats | None,
) -> tuple[list[float], tuple[CurvePoint, ...]]:
    """Return each factor's out-of-fold score, and the mean of them at growing numbers of teaching rows."""
    fold_N = fold_of_rows(values_NF, FOLDS, seed=0)
    order = np.random.default_rng(1).permutation(len(fold_N))
    width = score_slices(codings)[-1].stop
    by_share = []
    for share in SHARES:
        scores_NC = np.full((len(fold_N), width), np.nan)
        teaching = 0
        for fold in range(FOLDS):
            rows = order[fold_N[order] != fold]
            rows = rows[: max(2, round(share * len(rows)))]
            teaching += len(rows)
            if np.isnan(values_NF[rows]).all(axis=0).any():
                continue
            weights = None if weight_N is None else weight_N[rows]
            taught = solve(
                latents_NL[rows], values_NF[rows], codings, ridge=ridge, share=residual_share, weight_N=weights
            )
            direction_LC, offset_C = taught.read
            held_N = fold_N == fold
            scores_NC[held_N] = latents_NL[held_N] @ direction_LC + offset_C
        found = [
            _score(scores_NC[:, block], values_NF[:, place], coding, weight_N)
            for place, (coding, block) in enumerate(zip(codings, score_slices(codings), strict=True))
        ]
        by_share.append((teaching // FOLDS, found))
    curve = tuple(CurvePoint(rows, float(np.mean(found))) for rows, found in by_share if rows >= LEAST_ROWS // 2)
    return by_share[-1][1], curve


def _score(scores_NC: Floats, values_N: Floats, coding: Coding, weight_N: Floats | None) -> float:
    known_N = ~np.isnan(values_N) & ~np.isnan(scores_NC).any(axis=1)
    if not known_N.any():
        return 0.0
    scores_NC, values_N = scores_NC[known_N], values_N[known_N]
    weights = None if weight_N is None else weight_N[known_N]
    if coding.levels:
        return float(mean_of(scores_NC.argmax(axis=1) == values_N, weights))
    if coding.kind == "periodic":
        angle_N = np.arctan2(scores_NC[:, 1], scores_NC[:, 0]) * (coding.spread / (2 * np.pi))
        error = float(mean_of(np.square(2 * np.sin(angle_error(angle_N, values_N, coding.spread) / 2)), weights))
        turn_N = np.exp(2j * np.pi * values_N / coding.spread)
        return 1.0 - error / max(float(mean_of(np.square(np.abs(turn_N - mean_of(turn_N, weights))), weights)), 1e-12)
    error = float(mean_of(np.square(scores_NC[:, 0] - values_N), weights))
    spread = values_N.var() if weights is None else spread_of(values_N, weights) ** 2
    return 1.0 - error / max(float(spread), 1e-12)


def _factor(
    factor_set: FactorSet, index: int, values_N: Floats, known: dict[str, tuple[float, Floats]]
) -> FactorPreview:
    factor, labels = factor_set.factors[index], values_N[~np.isnan(values_N)]
    levelled = factor.kind not in ("continuous", "periodic")
    chance = float(np.bincount(labels.astype(int)).max() / len(labels)) if levelled and len(labels) else 0.0
    score = known[factor.name][0] if factor.name in known else None
    return FactorPreview(factor.name, len(labels), score, "accuracy" if levelled else "r2", chance)
