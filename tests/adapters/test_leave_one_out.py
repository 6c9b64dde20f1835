"""Leave-one-out in closed form against leaving rows out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.design import Coding, code_all, pseudo_counts
from heddle_adapters.leave_one_out import RIDGE, RIDGES, best_ridge, leave_one_out_errors
from heddle_adapters.solve import encode_jointly, solve_symmetric

CODINGS = (Coding("categorical", 3), Coding("continuous", 0))
RANDOM = np.random.default_rng(5)
VALUES_NF = np.stack([np.arange(24) % 3, RANDOM.normal(size=24)], axis=1)
LATENTS_NL = code_all(VALUES_NF, CODINGS) @ RANDOM.normal(size=(3, 4)) + RANDOM.normal(size=(24, 4))


def test_without_ridge_the_shortcut_is_what_refits_without_the_row_give() -> None:
    design_NP = code_all(VALUES_NF, CODINGS)
    centred = design_NP - design_NP.mean(axis=0)
    metric = encode_jointly(LATENTS_NL, centred, RIDGE * pseudo_counts(CODINGS, 1.0), None).residual_LL
    precision = solve_symmetric(metric, np.eye(4))
    total = 0.0
    for row in range(24):
        rest = np.arange(24) != row
        with_one = np.hstack([design_NP, np.ones((24, 1))])
        weights = np.linalg.lstsq(with_one[rest], LATENTS_NL[rest], rcond=None)[0]
        error = LATENTS_NL[row] - with_one[row] @ weights
        total += error @ precision @ error
    assert leave_one_out_errors(LATENTS_NL, VALUES_NF, CODINGS, [1e-9])[0] == pytest.approx(total, rel=1e-6)


def test_noise_asks_for_a_strong_ridge_and_a_clear_signal_for_a_weak_one(draw_tenant: Callable[..., Any]) -> None:
    clear, noisy = draw_tenant(rows=300, noise=0.1), draw_tenant(rows=300)
    codings = tuple(Coding("categorical", 3) for _ in range(2))
    levels_NF = np.stack([clear.values_NF[:, 1], np.random.default_rng(1).integers(3, size=300)], axis=1)
    assert best_ridge(clear.latents_NL, levels_NF, codings) < 10
    shuffled = np.random.default_rng(2).permutation(noisy.latents_NL)
    assert best_ridge(shuffled, levels_NF, codings) == max(RIDGES)


def test_missing_labels_are_no_obstacle() -> None:
    values_NF = VALUES_NF.copy()
    values_NF[::4, 0] = np.nan
    assert best_ridge(LATENTS_NL, values_NF, CODINGS) in RIDGES
