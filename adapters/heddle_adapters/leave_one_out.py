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

RIDGE = 3.0  # pseudo-counts per level where nothing is chosen, and of the fit that gives the metric
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
LEAST_FREEDOM = 1e-6  # of a row whose leverage is all but one


def best_ridge(
    latents_NL: Floats, values_NF: Floats, codings: Sequence[Coding], ridges: Sequence[float] = RIDGES
) -> float:
    """Return the candidate with the least leave-one-out error; the first of equals.

    Args:
        latents_NL: labelled latents, every column alive.
        values_NF: labels; a missing one counts as the factor's mean.
        codings: per factor.
        ridges: candidates, pseudo-counts per level.
    """
    errors = leave_one_out_errors(latents_NL, values_NF, codings, ridges)
    return float(ridges[int(np.argmin(errors))])


def leave_one_out_errors(
    latents_NL: Floats, values_NF: Floats, codings: Sequence[Coding], ridges: Sequence[float]
) -> Floats:
    """Return the summed squared Mahalanobis error of rows left out, one per candidate; arguments as `best_ridge`."""
    design_NP = code_all(values_NF, codings)
    design_NP = np.where(np.isnan(design_NP), np.nanmean(design_NP, axis=0), design_NP)
    design_NP, latents_NL = design_NP - design_NP.mean(axis=0), latents_NL - latents_NL.mean(axis=0)
    gram_PP = design_NP.T @ design_NP
    penalty_PP = pseudo_counts(codings, 1.0)
    residual_LL = encode_jointly(latents_NL, design_NP, RIDGE * penalty_PP, None, reads_only=True).residual_LL
    # where the residual is white, Mahalanobis distances are lengths
    white_NL = latents_NL @ np.linalg.cholesky(solve_symmetric(residual_LL, np.eye(len(residual_LL))))
    cross_PL = design_NP.T @ white_NL
    errors = []
    for ridge in ridges:
        inverse_PP = cho_solve(cho_factor(gram_PP + ridge * penalty_PP), np.eye(len(gram_PP)))
        spread_NP = design_NP @ inverse_PP
        leverage_N = np.einsum("np,np->n", spread_NP, design_NP) + 1.0 / len(latents_NL)
        left_NL = white_NL - spread_NP @ cross_PL
        distance_N = np.einsum("nl,nl->n", left_NL, left_NL)
        errors.append((distance_N / np.square(np.maximum(1.0 - leverage_N, LEAST_FREEDOM))).sum())
    return np.array(errors)
