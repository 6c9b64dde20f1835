from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.calibrate import temperature_of
from heddle_adapters.held_out import SHARES, fold_count, read_held_out, shares_for
from heddle_adapters.intake import codings_of
from heddle_adapters.solution import solve


def held_of(tenant: Any, share: float | None = None) -> Any:
    codings = codings_of(tenant.latents_NL, tenant.values_NF, tenant.factor_set, 3.0)
    return codings, read_held_out(tenant.latents_NL, tenant.values_NF, codings, 3.0, share)


def test_every_row_is_read_by_a_solve_that_never_saw_it(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=80, noise=1.0)
    codings, held = held_of(tenant)
    assert len(held.folds) == fold_count(80) == 5
    assert sum(fold.held_N.astype(int) for fold in held.folds).tolist() == [1] * 80
    taught_N = ~held.folds[2].held_N
    alone = solve(tenant.latents_NL[taught_N], tenant.values_NF[taught_N], codings, ridge=3.0, share=held.share)
    expected_NC = tenant.latents_NL[~taught_N] @ alone.read[0] + alone.read[1]
    assert held.scores_NC[~taught_N] == pytest.approx(expected_NC, abs=1e-9)


def test_with_few_labels_the_likeliest_share_is_taken_and_with_many_the_usual_one(
    draw_tenant: Callable[..., Any],
) -> None:
    tenant = draw_tenant(rows=60, latents=40, noise=1.5)
    losses = {share: held_of(tenant, share)[1].loss for share in SHARES}
    assert held_of(tenant)[1].share == min(losses, key=lambda share: losses[share])
    assert len(set(losses.values())) == len(SHARES)
    assert shares_for(499) == SHARES
    assert shares_for(500) == (0.25,)


def test_the_loss_is_that_of_the_labels_at_their_temperature(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=120, noise=1.0)
    _, held = held_of(tenant)
    level_N = tenant.values_NF[:, 0].astype(np.int64)
    temperature, loss = temperature_of(held.scores_NC[:, :2], level_N)
    assert (held.temperature_F[0], held.loss_F[0]) == pytest.approx((temperature, loss))
    age_N = held.scores_NC[:, 9] - tenant.values_NF[:, 3]
    assert held.loss_F[3] == pytest.approx(np.log(np.sqrt(np.square(age_N).mean())))
    assert held.loss == pytest.approx(120 * held.loss_F.sum())


def test_a_factor_with_too_few_labels_to_leave_some_out_keeps_the_fold_unread(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=50)
    tenant.values_NF[1:, 3] = np.nan
    codings = codings_of(tenant.latents_NL, tenant.values_NF, tenant.factor_set, 3.0)
    held = read_held_out(tenant.latents_NL, tenant.values_NF, codings, 3.0)
    assert len(held.folds) == 4
    unread = np.flatnonzero(np.isnan(held.scores_NC).all(axis=1))
    assert len(unread) == 10
    assert 0 in unread
    assert held.rows_F.tolist() == [40, 40, 40, 0, 40]
    assert held.temperature_F[3] == 1.0
