"""One solve of one labelled set: the encoding model and the closed-form read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve

from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding, code_all, column_slices, pseudo_counts, score_slices
from heddle_adapters.interaction import Interaction, product_columns, product_penalty
from heddle_adapters.linear import closed_form_read
from heddle_adapters.read import softmax
from heddle_adapters.solve import RESIDUAL_SHARE, Encoding, encoding_of, seen_of
from heddle_adapters.weights import known_mean, mean_of, rooted

FILL_ROUNDS = 2  # of expectation and solve for missing labels; a third changes readings by less than a per mille


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved labelled set.

    Attributes:
        encoding: how factors move latents.
        design_NP: the design rows, missing labels filled with what was expected of them.
        codings: per factor.
        counts: per factor the label counts of its levels; empty for numbers.
        weight_N: of the rows; None is 1.
    """

    encoding: Encoding
    design_NP: Floats
    codings: tuple[Coding, ...]
    counts: tuple[Floats, ...]
    weight_N: Floats | None = None

    @cached_property
    def read(self) -> tuple[Floats, Floats]:
        """The closed form, score directions [L, C] and offsets [C]."""
        return closed_form_read(self.encoding, self.codings, self.counts)

    def shrunk(self, share: float) -> "Solution":
        """Return the same read through a residual covariance shrunk by another share; see `solve.shrink_residual`."""
        return self if share == RESIDUAL_SHARE else replace(self, encoding=self.encoding.shrunk(share))


def solve(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    *,
    ridge: float,
    pool_ML: Floats | None = None,
    share: float = RESIDUAL_SHARE,
    weight_N: Floats | None = None,
    reads_only: bool = False,
) -> Solution:
    """Solve one labelled set.

    Missing labels are filled with what the other latents say of them (expected design rows), and the solve is
    repeated: one imagined picture per missing label, as sure as the reading is. Filling always reads with the usual
    share, so that several shares can be tried on one solve.

    Args:
        latents_NL: latents, every column alive.
        values_NF: labels, NaN where missing.
        codings: per factor.
        ridge: pseudo-counts per level.
        pool_ML: unlabelled latents.
        share: of the residual covariance's shrinkage.
        weight_N: of the rows, see `weights`.
        reads_only: leave Sigma out, which only writes ask for.
    """
    design_NP = code_all(values_NF, codings)
    missing_NP = np.isnan(design_NP)
    center_P = known_mean(design_NP, weight_N)
    design_NP = np.where(missing_NP, center_P, design_NP)
    penalty_PP = pseudo_counts(codings, ridge)
    counts = tuple(level_counts(values_NF[:, index], coding, weight_N) for index, coding in enumerate(codings))
    seen = seen_of(latents_NL, pool_ML, weight_N, reads_only=reads_only)
    encoding = encoding_of(seen.moments(design_NP), penalty_PP)
    if missing_NP.any():
        gaps_NF = np.isnan(values_NF)
        rows, only = np.flatnonzero(gaps_NF.any(axis=1)), np.flatnonzero(gaps_NF.any(axis=0)).tolist()
        columns = np.concatenate([np.arange(missing_NP.shape[1])[column_slices(codings)[place]] for place in only])
        asked_ML, missing_MQ, place_MQ = latents_NL[rows], missing_NP[np.ix_(rows, columns)], np.ix_(rows, columns)
        for _ in range(FILL_ROUNDS):
            direction_LC, offset_C = closed_form_read(encoding, codings, counts, only)
            expected_MQ = expected_design(asked_ML @ direction_LC + offset_C, [codings[place] for place in only])
            design_NP[place_MQ] = np.where(missing_MQ, expected_MQ, design_NP[place_MQ])
            encoding = encoding_of(seen.moments(design_NP), penalty_PP)
    return Solution(encoding, design_NP, tuple(codings), counts, weight_N).shrunk(share)


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
    weight_N = solution.weight_N
    all_NR = rooted(all_NR - mean_of(all_NR, weight_N), weight_N)
    cross_RL = all_NR.T @ rooted(latents_NL - mean_of(latents_NL, weight_N), weight_N)
    effects_RL: Floats = cho_solve(cho_factor(all_NR.T @ all_NR + penalty_RR), cross_RL)
    return effects_RL[: len(penalty_PP)], effects_RL[len(penalty_PP) :]


def level_counts(values_N: Floats, coding: Coding, weight_N: Floats | None = None) -> Floats:
    """Return the number of labels per level [K], or the sum of their weights; empty for numbers."""
    if not coding.levels:
        return np.zeros(0)
    known_N = ~np.isnan(values_N)
    weights = None if weight_N is None else weight_N[known_N]
    return np.bincount(values_N[known_N].astype(int), weights, coding.levels).astype(np.float64)


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
