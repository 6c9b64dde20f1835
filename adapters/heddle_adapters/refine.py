"""The discriminative read: multinomial logistic regression of all levelled factors, started from the closed form.

The closed form is best with few labels, a discriminative read from a thousand on. So the logistic loss is
descended from the closed form and the path is kept: step 0 is the closed form itself, and out-of-fold rows say
per factor how far to walk. All factors descend together, in the coordinates where half the Gram matrix (an
upper bound of the loss's curvature, Boehning & Lindsay 1988) is the identity, so unit steps never overshoot,
with Nesterov's momentum.
"""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.solve import solve_symmetric

PATH = (0, 4, 10, 20, 40, 80)
RIDGE = 0.5  # pulls towards the closed form, in imagined rows per latent


def descend(
    latents_NL: Floats,
    targets_NC: Singles,
    known_NC: Mask | None,
    starts: Sequence[int],
    direction_LC: Floats,
    offset_C: Floats,
    path: Sequence[int] = PATH,
) -> dict[int, tuple[Floats, Floats]]:
    """Descend the logistic loss of all levelled factors at once.

    Args:
        latents_NL: latents, every column alive.
        targets_NC: one-hot levels, factors side by side.
        known_NC: False where a label is missing; None if none is.
        starts: first column of each factor.
        direction_LC, offset_C: the closed form's logits, temperature applied.
        path: steps at which to keep the state; all states are returned.

    Returns:
        step -> (directions [L, C], offsets [C]).
    """
    mean_L = latents_NL.mean(axis=0)
    centered_NL = latents_NL - mean_L
    size = len(mean_L)
    curvature_LL = 0.5 * (centered_NL.T @ centered_NL) + RIDGE * np.eye(size)
    basis_LL = np.linalg.cholesky(solve_symmetric(curvature_LL, np.eye(size)))
    inputs_NL = (centered_NL @ basis_LL).astype(np.float32)
    pull_LL = (RIDGE * basis_LL.T @ basis_LL).astype(np.float32)
    start_LC = np.linalg.solve(basis_LL, direction_LC).astype(np.float32)
    offset_C = offset_C + mean_L @ direction_LC
    first_C = np.asarray(starts)
    widths = np.diff([*starts, targets_NC.shape[1]])
    owner_C = np.repeat(np.arange(len(starts)), widths)
    rows_C = np.full(targets_NC.shape[1], len(latents_NL)) if known_NC is None else np.maximum(known_NC.sum(axis=0), 1)

    weight_LC, bias_C = start_LC, offset_C.astype(np.float32)
    before_LC, before_C = weight_LC, bias_C
    kept = {0: (direction_LC, offset_C - mean_L @ direction_LC)}
    for step in range(1, max(path) + 1):
        momentum = np.float32((step - 1) / (step + 2))
        ahead_LC = weight_LC + momentum * (weight_LC - before_LC)
        ahead_C = bias_C + momentum * (bias_C - before_C)
        error_NC = inputs_NL @ ahead_LC
        error_NC += ahead_C
        error_NC -= np.maximum.reduceat(error_NC, first_C, axis=1)[:, owner_C]
        np.exp(error_NC, out=error_NC)
        error_NC /= np.add.reduceat(error_NC, first_C, axis=1)[:, owner_C]
        error_NC -= targets_NC
        if known_NC is not None:
            error_NC *= known_NC
        before_LC, before_C = weight_LC, bias_C
        weight_LC = ahead_LC - (inputs_NL.T @ error_NC + pull_LL @ (ahead_LC - start_LC))
        bias_C = ahead_C - (2.0 * error_NC.sum(axis=0) / rows_C).astype(np.float32)
        if step in path:
            direction = basis_LL @ weight_LC.astype(np.float64)
            kept[step] = (direction, bias_C.astype(np.float64) - mean_L @ direction)
    return kept
