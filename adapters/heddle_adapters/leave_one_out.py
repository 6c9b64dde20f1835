"""Choosing the ridge by leave-one-out, in closed form: one factorisation per candidate, no refit.

A row's prediction error when it is left out of a ridge regression is its residual over one minus its leverage
(Allen 1974, PRESS; Hastie et al. 2009, eq. 7.64). Errors are measured in the metric of the residual covariance, the
one in which the read tells classes apart: summed over plain latents, the loud ones that no factor moves decide.
On avatars that metric reads .016 better at 100 labels than three pseudo-counts for everybody, .014 at 50, and the
same from 300 on; plain PRESS kept three throughout.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding, code_all, pseudo_counts
from heddle_adapters.solve import encode_jointly, solve_symmetric
from heddle_adapters.weights import known_mean, mean_of, rooted

RIDGE = 3.0  # pseudo-counts per level where nothing is chosen, and of the fit that gives the metric
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
LEAST_FREEDOM = 1e-6  # of a row whose leverage is all but one


def best_ridge(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    ridges: Sequence[float] = RIDGES,
    *,
    weight_N: Floats | None = None,
) -> float:
    """Return the candidate with the least leave-one-out error; the first of equals.

    Args:
        latents_NL: labelled latents, every column alive.
        values_NF: labels; a missing one counts as the factor's mean.
        codings: per factor.
        ridges: candidates, pseudo-counts per level.
        weight_N: of the rows, see `weights`. A row is left out with all its weight, and its error counts by it.
    """
    errors = leave_one_out_errors(latents_NL, values_NF, codings, ridges, weight_N)
    return float(ridges[int(np.argmin(errors))])


def leave_one_out_errors(
    latents_NL: Floats,
    values_NF: Floats,
    codings: Sequence[Coding],
    ridges: Sequence[float],
    weight_N: Floats | None = None,
) -> Floats:
    """Return the summed squared Mahalanobis error of rows left out, one per candidate; arguments as `best_ridge`."""
    design_NP = code_all(values_NF, codings)
    design_NP = np.where(np.isnan(design_NP), known_mean(design_NP, weight_N), design_NP)
    design_NP, latents_NL = design_NP - mean_of(design_NP, weight_N), latents_NL - mean_of(latents_NL, weight_N)
    penalty_PP = pseudo_counts(codings, 1.0)
    residual_LL = encode_jointly(latents_NL, design_NP, RIDGE * penalty_PP, None, weight_N, reads_only=True).residual_LL
    design_NP, latents_NL = rooted(design_NP, weight_N), rooted(latents_NL, weight_N)
    share_N = 1.0 / len(latents_NL) if weight_N is None else weight_N / weight_N.sum()
    gram_PP = design_NP.T @ design_NP
    # where the residual is white, Mahalanobis distances are lengths
    white_NL = latents_NL @ np.linalg.cholesky(solve_symmetric(residual_LL, np.eye(len(residual_LL))))
    cross_PL = design_NP.T @ white_NL
    errors = []
    for ridge in ridges:
        inverse_PP = cho_solve(cho_factor(gram_PP + ridge * penalty_PP), np.eye(len(gram_PP)))
        spread_NP = design_NP @ inverse_PP
        leverage_N = np.einsum("np,np->n", spread_NP, design_NP) + share_N
        left_NL = white_NL - spread_NP @ cross_PL
        distance_N = np.einsum("nl,nl->n", left_NL, left_NL)
        errors.append((distance_N / np.square(np.maximum(1.0 - leverage_N, LEAST_FREEDOM))).sum())
    return np.array(errors)
