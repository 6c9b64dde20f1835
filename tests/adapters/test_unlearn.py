from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from heddle_adapters.adapter import Adapter
from heddle_adapters.fit import fit_adapter
from heddle_adapters.intake import live_latents
from heddle_adapters.solution import solve
from heddle_adapters.statistics import Statistics, gather, pack_statistics, unpack_statistics
from heddle_adapters.sums import covariance_of, latent_sums
from heddle_adapters.unlearn import closed_form, unlearn
from heddle_adapters.unlearn_check import refit_difference
from heddle_adapters.weights import relative_weights
from heddle_platform.errors import DataCorrupt, InvalidInput
from tests.adapters.conftest import Tenant, make_tenant

RIDGE = 3.0


def lose(share: float, seed: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return what forgets a share of the labels."""
    return lambda values_NF: np.where(np.random.default_rng(seed).random(values_NF.shape) < share, np.nan, values_NF)


def summed(
    tenant: Tenant,
    adapter: Adapter,
    pool_ML: NDArray[np.float64] | None = None,
    weight_N: NDArray[np.float64] | None = None,
) -> Statistics:
    return gather(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        adapter.codings,
        base_digest=adapter.base_digest,
        pool_ML=pool_ML,
        weight_N=weight_N,
        ridge=adapter.ridge,
    )


def largest(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))


def assert_as_refitted(
    left: Statistics, share: float, latents: Any, values: Any, pool: Any, weights: Any = None
) -> None:
    """Compare with a solve of the rows that stay."""
    assert refit_difference(left, latents, values, pool, share, weight_N=weights) < 1e-8
    form = closed_form(left, share)
    weight_N = relative_weights(weights, len(latents))
    live_L = live_latents(latents, pool, weight_N)
    kept = solve(
        latents[:, live_L],
        values,
        form.codings,
        ridge=RIDGE,
        pool_ML=None if pool is None else pool[:, live_L],
        share=share,
        weight_N=weight_N,
    )
    assert np.array_equal(form.live_L, live_L)
    assert largest(form.read_LC, kept.read[0]) < 1e-8
    assert largest(form.read_bias_C, kept.read[1]) < 1e-8
    for name in ("effects_PL", "residual_LL", "covariance_LL", "design_PP", "cross_PL", "mean_L", "center_P"):
        assert largest(getattr(form.encoding, name), getattr(kept.encoding, name)) < 1e-8, name


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(60, 150),
    gone=st.integers(1, 20),
    missing=st.sampled_from([0.0, 0.2]),
    pool=st.sampled_from([0, 40]),
    weighted=st.booleans(),
)
def test_removed_rows_leave_what_a_refit_without_them_finds(
    seed: int, rows: int, gone: int, missing: float, pool: int, weighted: bool
) -> None:
    tenant = make_tenant(rows=rows, seed=seed, change_values=lose(missing, seed), noise=0.5)
    if missing:  # effects are drawn from complete labels
        whole = make_tenant(rows=rows, seed=seed, noise=0.5)
        tenant = Tenant(whole.factor_set, whole.latents_NL, lose(missing, seed)(whole.values_NF), whole.effects_PL)
    random = np.random.default_rng(seed)
    pool_ML = random.normal(size=(pool, tenant.latents_NL.shape[1])) if pool else None
    weight_N = random.choice([0.3, 1.0, 2.5, 7.0], rows) if weighted else None
    adapter = fit_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest="b",
        pool_ML=pool_ML,
        weight_N=weight_N,
        ridge=RIDGE,
    )
    statistics = summed(tenant, adapter, pool_ML, weight_N)
    going_N = np.zeros(rows, dtype=bool)
    going_N[random.choice(rows, gone, replace=False)] = True
    done = unlearn(
        adapter,
        statistics,
        tenant.latents_NL[going_N],
        tenant.values_NF[going_N],
        None if pool_ML is None else pool_ML[:3],
        None if weight_N is None else weight_N[going_N],
    )
    assert_as_refitted(
        done.statistics,
        done.adapter.residual_share,
        tenant.latents_NL[~going_N],
        tenant.values_NF[~going_N],
        None if pool_ML is None else pool_ML[3:],
        None if weight_N is None else weight_N[~going_N],
    )


def test_the_adapter_is_the_one_fitted_without_the_rows(tenant: Tenant, adapter: Adapter) -> None:
    few = Tenant(tenant.factor_set, tenant.latents_NL[:150], tenant.values_NF[:150], tenant.effects_PL)
    fitted = few.fit()
    assert set(fitted.read_kinds) == {"closed_form"}
    done = unlearn(fitted, summed(few, fitted), few.latents_NL[:10], few.values_NF[:10])
    refitted = fit_adapter(
        few.latents_NL[10:],
        few.values_NF[10:],
        few.factor_set,
        base_digest="b" * 64,
        ridge=fitted.ridge,
        residual_share=fitted.residual_share,
    )
    for name in ("read_LC", "read_bias_C", "write_PL", "usable_F2", "spread_CL", "mean_L", "whiten_LL", "live_L"):
        assert getattr(done.adapter, name) == pytest.approx(getattr(refitted, name), rel=1e-5, abs=1e-6), name
    for found, expected in zip(done.adapter.codings, refitted.codings, strict=True):
        assert found.kind == expected.kind
        assert [found.center, found.spread] == pytest.approx([expected.center, expected.spread])
    assert done.parts["write"] == "exact"
    assert done.parts["temperatures"] == "replaced"
    assert done.parts["gains"] == "kept"


def test_a_weighted_adapter_is_the_one_fitted_without_the_rows(tenant: Tenant) -> None:
    few = Tenant(tenant.factor_set, tenant.latents_NL[:150], lose(0.1, 3)(tenant.values_NF[:150]), tenant.effects_PL)
    weight_N = np.random.default_rng(8).uniform(0.1, 4.0, 150)
    weight_N[:3] = 50.0

    def fitted(rows: slice, **how: Any) -> Adapter:
        return fit_adapter(
            few.latents_NL[rows],
            few.values_NF[rows],
            few.factor_set,
            base_digest="b" * 64,
            weight_N=weight_N[rows],
            **how,
        )

    before = fitted(slice(None))
    statistics = summed(few, before, None, weight_N)
    done = unlearn(before, statistics, few.latents_NL[:10], few.values_NF[:10], None, weight_N[:10])
    after = fitted(slice(10, None), ridge=before.ridge, residual_share=before.residual_share)
    for name in ("read_LC", "read_bias_C", "write_PL", "usable_F2", "spread_CL", "mean_L", "whiten_LL", "live_L"):
        assert getattr(done.adapter, name) == pytest.approx(getattr(after, name), rel=1e-5, abs=1e-6), name
    for found, expected in zip(done.adapter.codings, after.codings, strict=True):
        assert found.kind == expected.kind
        assert [found.center, found.spread] == pytest.approx([expected.center, expected.spread])
    rest = few.latents_NL[10:], few.values_NF[10:], None, before.residual_share
    assert refit_difference(done.statistics, *rest, weight_N=weight_N[10:]) < 1e-8
    assert refit_difference(done.statistics, *rest) > 1e-6, "the rows that stay keep their weights"


def test_weighted_statistics_survive_storage_and_equal_weights_are_none(tenant: Tenant, adapter: Adapter) -> None:
    lacking = Tenant(tenant.factor_set, tenant.latents_NL, lose(0.1, 3)(tenant.values_NF), tenant.effects_PL)
    weight_N = np.random.default_rng(8).uniform(0.1, 4.0, len(tenant.latents_NL))
    plain = pack_statistics(summed(lacking, adapter))
    data = pack_statistics(summed(lacking, adapter, None, weight_N))
    assert pack_statistics(summed(lacking, adapter, None, np.full(len(weight_N), 3.0))) == plain != data
    stored = unpack_statistics(data)
    assert pack_statistics(stored) == data
    done = unlearn(adapter, stored, lacking.latents_NL[:9], lacking.values_NF[:9], None, weight_N[:9])
    rest = lacking.latents_NL[9:], lacking.values_NF[9:], None, adapter.residual_share
    assert np.isnan(lacking.values_NF[:9]).any()
    assert refit_difference(unpack_statistics(pack_statistics(done.statistics)), *rest, weight_N=weight_N[9:]) < 1e-8


def test_only_images_of_the_pool_may_leave_a_weighted_set(tenant: Tenant, adapter: Adapter) -> None:
    weight_N = np.random.default_rng(8).uniform(0.1, 4.0, len(tenant.latents_NL))
    pool_ML = np.random.default_rng(9).normal(size=(20, tenant.latents_NL.shape[1]))
    statistics = summed(tenant, adapter, pool_ML, weight_N)
    done = unlearn(adapter, statistics, tenant.latents_NL[:0], tenant.values_NF[:0], pool_ML[:4])
    rest = tenant.latents_NL, tenant.values_NF, pool_ML[4:], adapter.residual_share
    assert refit_difference(done.statistics, *rest, weight_N=weight_N) < 1e-8


@pytest.mark.parametrize("gap", [False, True])
def test_rows_leave_with_the_weight_they_came_with(tenant: Tenant, adapter: Adapter, gap: bool) -> None:
    values_NF = tenant.values_NF.copy()
    if gap:
        values_NF[0, :4] = np.nan
    lacking = Tenant(tenant.factor_set, tenant.latents_NL, values_NF, tenant.effects_PL)
    weight_N = np.random.default_rng(8).uniform(0.1, 4.0, len(tenant.latents_NL))
    weighted, plain = summed(lacking, adapter, None, weight_N), summed(lacking, adapter)
    one = lacking.latents_NL[:1], lacking.values_NF[:1], None
    for statistics, rows, weights in (
        (weighted, one, None),
        (weighted, one, weight_N[1:2]),
        (plain, (lacking.latents_NL[:2], lacking.values_NF[:2], None), weight_N[:2]),
    ):
        with pytest.raises(InvalidInput) as error:
            unlearn(adapter, statistics, *rows, weights)
        assert error.value.code == "unknown_row"
    with pytest.raises(InvalidInput) as error:
        unlearn(adapter, weighted, *one, np.array([-1.0]))
    assert error.value.code == "invalid_weight"
    assert unlearn(adapter, weighted, *one, weight_N[:1]).statistics.rows == len(weight_N) - 1
    assert unlearn(adapter, plain, *one, np.array([2.0])).statistics.rows == len(weight_N) - 1


def test_masked_labels_leave_as_missing_ones_do(tenant: Tenant) -> None:
    masked = np.ma.masked_greater(tenant.values_NF, 80.0)
    lacking = Tenant(tenant.factor_set, tenant.latents_NL, masked.filled(np.nan), tenant.effects_PL)
    fitted = lacking.fit()
    statistics = summed(Tenant(tenant.factor_set, tenant.latents_NL, masked, tenant.effects_PL), fitted)
    assert pack_statistics(statistics) == pack_statistics(summed(lacking, fitted))
    done = unlearn(fitted, statistics, tenant.latents_NL[:5], masked[:5])
    assert np.isnan(lacking.values_NF[:5]).any()
    assert refit_difference(done.statistics, lacking.latents_NL[5:], lacking.values_NF[5:], None) < 1e-8


def test_rows_may_leave_one_by_one_or_together(tenant: Tenant, adapter: Adapter) -> None:
    statistics = summed(tenant, adapter)
    together = unlearn(adapter, statistics, tenant.latents_NL[:6], tenant.values_NF[:6])
    done = unlearn(adapter, statistics, tenant.latents_NL[:1], tenant.values_NF[:1])
    for row in range(1, 6):
        some = slice(row, row + 1)
        done = unlearn(done.adapter, done.statistics, tenant.latents_NL[some], tenant.values_NF[some])
    assert refit_difference(done.statistics, tenant.latents_NL[6:], tenant.values_NF[6:], None) < 1e-8
    assert refit_difference(done.statistics, tenant.latents_NL[5:], tenant.values_NF[5:], None) > 1e-6, "a row too many"
    assert largest(closed_form(done.statistics).read_LC, closed_form(together.statistics).read_LC) < 1e-9


def test_a_discriminative_read_falls_back_and_says_so(tenant: Tenant, adapter: Adapter) -> None:
    done = unlearn(adapter, summed(tenant, adapter), tenant.latents_NL[:2], tenant.values_NF[:2])
    assert set(done.adapter.read_kinds) == {"closed_form"}
    assert done.parts.get("discriminative_read") == ("replaced" if "discriminative" in adapter.read_kinds else None)


def test_ledoit_wolf_comes_from_sums() -> None:
    random = np.random.default_rng(1)
    rows, pool = random.normal(1.0, 2.0, size=(90, 7)), random.exponential(size=(40, 7))
    live = np.array([True] * 5 + [False, True])
    centred = np.vstack([rows - rows.mean(axis=0), pool - pool.mean(axis=0)])[:, live]
    found = covariance_of((latent_sums(rows), latent_sums(pool)), live)
    assert found == pytest.approx(ledoit_wolf(centred, assume_centered=True)[0], abs=1e-10)


def test_statistics_survive_storage_and_are_repeatable(tenant: Tenant, adapter: Adapter) -> None:
    data = pack_statistics(summed(tenant, adapter))
    assert data == pack_statistics(summed(tenant, adapter)) == pack_statistics(unpack_statistics(data))
    with pytest.raises(DataCorrupt) as error:
        unpack_statistics(data[:-40])
    assert error.value.code == "statistics_corrupt"


def rows_of(tenant: Tenant, column: int, level: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = tenant.values_NF[:, column] == level
    return found


@pytest.mark.parametrize(
    ("choose", "code"),
    [
        (lambda tenant: rows_of(tenant, 1, 2), "last_of_level"),
        (lambda tenant: np.arange(len(tenant.values_NF)) >= 2, "too_few_labels"),
    ],
)
def test_what_could_not_be_fitted_is_refused(tenant: Tenant, adapter: Adapter, choose: Any, code: str) -> None:
    going = choose(tenant)
    with pytest.raises(InvalidInput) as error:
        unlearn(adapter, summed(tenant, adapter), tenant.latents_NL[going], tenant.values_NF[going])
    assert error.value.code == code


def test_rows_that_were_never_learnt_are_refused(tenant: Tenant, adapter: Adapter) -> None:
    statistics = summed(tenant, adapter)
    strange = tenant.values_NF[:1].copy()
    strange[0, 3] = 33.333
    for values in (strange, np.where([True, False, False, False, False], np.nan, tenant.values_NF[:1])):
        with pytest.raises(InvalidInput) as error:
            unlearn(adapter, statistics, tenant.latents_NL[:1], values)
        assert error.value.code == "unknown_row"
    with pytest.raises(InvalidInput) as error:
        unlearn(adapter, statistics, tenant.latents_NL[:1], tenant.values_NF[:1], tenant.latents_NL[:1])
    assert error.value.code == "unknown_row"
    with pytest.raises(InvalidInput) as error:
        unlearn(adapter, statistics, tenant.latents_NL[:2], tenant.values_NF[:1])
    assert error.value.code == "row_count_mismatch"


def test_statistics_of_another_base_are_refused(tenant: Tenant, adapter: Adapter) -> None:
    other = fit_adapter(tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="c" * 64)
    with pytest.raises(InvalidInput) as error:
        unlearn(other, summed(tenant, adapter), tenant.latents_NL[:1], tenant.values_NF[:1])
    assert error.value.code == "statistics_mismatch"
