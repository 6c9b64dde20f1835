"""One solve of one labelled set: the encoding model, the closed-form read, and the discriminative path from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve

from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding, code_all, pseudo_counts, score_slices
from heddle_adapters.interaction import Interaction, product_columns, product_penalty
from heddle_adapters.linear import closed_form_read
from heddle_adapters.read import softmax
from heddle_adapters.refine import PATH, descend
from heddle_adapters.solve import Encoding, encode_jointly

FILL_ROUNDS = 2  # of expectation and solve for missing labels; a third changes readings by less than a per mille


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved labelled set.

    Attributes:
        encoding: how factors move latents.
        path: step -> (score directions [L, C], offsets [C]); step 0 is the closed form, later steps differ in
            the columns of levelled factors only.
        design_NP: the design rows, missing labels filled with what was expected of them.
    """

    encoding: Encoding
    path: dict[int, tuple[Floats, Floats]]
    design_NP: Floats


def solve(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    *,
    ridge: float,
    pool_ML: Floats | None = None,
    steps: Sequence[int] = PATH,
) -> Solution:
    """Solve one labelled set.

    Missing labels are filled with what the other latents say of them (expected design rows), and the solve is
    repeated: one imagined picture per missing label, as sure as the reading is.

    Args:
        latents_NL: latents, every column alive.
        values_NF: labels, NaN where missing.
        codings: per factor.
        ridge: pseudo-counts per level.
        pool_ML: unlabelled latents.
        steps: steps of the discriminative path to keep; (0,) for the closed form alone.
    """
    design_NP = code_all(values_NF, codings)
    missing_NP = np.isnan(design_NP)
    center_P = np.nanmean(design_NP, axis=0)
    design_NP = np.where(missing_NP, center_P, design_NP)
    penalty_PP = pseudo_counts(codings, ridge)
    counts = [level_counts(values_NF[:, index], coding) for index, coding in enumerate(codings)]
    for left in range(FILL_ROUNDS if missing_NP.any() else 0, -1, -1):
        encoding = encode_jointly(latents_NL, design_NP, penalty_PP, pool_ML)
        direction_LC, offset_C = closed_form_read(encoding, codings, counts)
        if left:
            expected_NP = expected_design(latents_NL @ direction_LC + offset_C, codings)
            design_NP = np.where(missing_NP, expected_NP, design_NP)
    path = {0: (direction_LC, offset_C)}
    if max(steps) > 0:
        path |= _discriminative_path(latents_NL, values_NF, codings, direction_LC, offset_C, steps)
    return Solution(encoding, path, design_NP)


def interacting_effects(
    latents_NL: Floats,
    values_NF: Floats,
    solution: Solution,
    codings: Sequence[Coding],
    interactions: Sequence[Interaction],
    *,
    ridge: float,
) -> tuple[Floats, Floats]:
    """Solve the encoding model once more with product columns beside the design, all in one closed form.

    Args:
        latents_NL, values_NF: the latents and labels that `solution` solved.
        solution: the additive solution.
        codings: per factor.
        interactions: the pairs that get product columns.
        ridge: pseudo-counts per level, and per pair of levels.

    Returns:
        Latent change per unit of each design column [P, L], and of each product column [Q, L].
    """
    if not interactions:
        return solution.encoding.effects_PL, np.zeros((0, latents_NL.shape[1]))
    pairs = [(one.factor, one.on) for one in interactions]
    penalty_PP = pseudo_counts(codings, ridge)
    design_NP = solution.design_NP
    all_NR = np.hstack([design_NP, *(product_columns(design_NP, values_NF, codings, *pair) for pair in pairs)])
    penalty_RR = block_diag(penalty_PP, *(product_penalty(penalty_PP, codings, *pair, ridge) for pair in pairs))
    all_NR -= all_NR.mean(axis=0)
    cross_RL = all_NR.T @ (latents_NL - latents_NL.mean(axis=0))
    effects_RL: Floats = cho_solve(cho_factor(all_NR.T @ all_NR + penalty_RR), cross_RL)
    return effects_RL[: len(penalty_PP)], effects_RL[len(penalty_PP) :]


def level_counts(values_N: Floats, coding: Coding) -> Floats:
    """Return the number of labels per level [K]; empty for numbers."""
    known_N = values_N[~np.isnan(values_N)] if coding.levels else np.empty(0)
    return np.bincount(known_N.astype(int), minlength=coding.levels).astype(np.float64)


def expected_design(scores_NC: Floats, codings: Sequence[Coding]) -> Floats:
    """Return the design rows [N, P] that scores make one expect."""
    blocks = []
    for coding, block in zip(codings, score_slices(codings), strict=True):
        score_NC = scores_NC[:, block]
        if coding.levels:
            blocks.append(softmax(score_NC) @ coding.table_KP)
        elif coding.kind == "continuous":
            blocks.append((score_NC - coding.center) / coding.spread)
        else:
            blocks.append(score_NC)
    return np.hstack(blocks)


def _discriminative_path(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    direction_LC: Floats,
    offset_C: Floats,
    steps: Sequence[int],
) -> dict[int, tuple[Floats, Floats]]:
    levelled = [index for index, coding in enumerate(codings) if coding.levels]
    if not levelled:
        return {}
    blocks = score_slices(codings)
    columns = np.concatenate([np.arange(blocks[index].start, blocks[index].stop) for index in levelled])
    targets, known = [], []
    for index in levelled:
        value_N, levels = values_NF[:, index], codings[index].levels
        known_N = ~np.isnan(value_N)
        one_hot_NK = np.zeros((len(value_N), levels), np.float32)
        one_hot_NK[known_N, value_N[known_N].astype(int)] = 1.0
        targets.append(one_hot_NK)
        known.append(np.repeat(known_N[:, None], levels, axis=1))
    known_NC = np.hstack(known)
    starts = np.cumsum([0, *(target.shape[1] for target in targets)])[:-1].tolist()
    walked = descend(
        latents_NL,
        np.hstack(targets),
        None if known_NC.all() else known_NC,
        starts,
        direction_LC[:, columns],
        offset_C[columns],
        steps,
    )
    path = {}
    for step, (some_LC, some_C) in walked.items():
        whole_LC, whole_C = direction_LC.copy(), offset_C.copy()
        whole_LC[:, columns], whole_C[columns] = some_LC, some_C
        path[step] = (whole_LC, whole_C)
    return path
