"""The fleet solver against one-by-one fits, which are its definition."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import pack
from heddle_adapters.fit import fit_adapter
from heddle_adapters.fleet.intake import FleetTenant
from heddle_adapters.fleet.solver import fit_fleet
from heddle_platform.errors import InvalidInput, NotFound

ARRAYS = (
    "read_LC",
    "read_bias_C",
    "temperature_F",
    "write_PL",
    "gain_F",
    "live_L",
    "usable_F2",
    "spread_CL",
    "mean_L",
    "whiten_LL",
)
PAIR: dict[str, Any] = {
    "name": "pair",
    "factors": [{"name": "turn", "kind": "periodic", "period": 5}, {"name": "lit", "kind": "binary"}],
}
ALONE: dict[str, Any] = {"name": "alone", "factors": [{"name": "age", "kind": "continuous", "range": [0, 9]}]}
WIDE: dict[str, Any] = {
    "name": "wide",
    "factors": [{"name": "many", "kind": "categorical", "levels": [f"level {index}" for index in range(11)]}],
}


def alone(tenant: FleetTenant, ridge: float | None = None) -> Adapter:
    """Fit one tenant by itself."""
    return fit_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest=tenant.base_digest,
        pool_ML=tenant.pool_ML,
        weight_N=tenant.weight_N,
        ridge=ridge,
        refine=False,
    )


def lose(values_NF: Any, share: float = 0.3) -> Any:
    """Forget a share of the labels."""
    return np.where(np.random.default_rng(7).random(values_NF.shape) < share, np.nan, values_NF)


@pytest.fixture(scope="module")
def draw(draw_tenant: Callable[..., Any]) -> Callable[..., FleetTenant]:
    def drawn(change: Callable[[Any], Any] = lambda values: values, pool: Any = None, **how: Any) -> FleetTenant:
        made = draw_tenant(**how)
        return FleetTenant(made.latents_NL, change(made.values_NF), made.factor_set, "b" * 64, pool)

    return drawn


@pytest.fixture(scope="module")
def fleet(draw: Callable[..., FleetTenant], draw_tenant: Callable[..., Any]) -> list[FleetTenant]:
    def swap(values_NF: Any) -> Any:  # the latents follow another order of sizes than the declared one
        values_NF = values_NF.copy()
        values_NF[:, 2] = np.array([2, 0, 3, 1])[values_NF[:, 2].astype(int)]
        return values_NF

    def few(values_NF: Any) -> Any:  # two labels of one factor: some fold's rest has none of it
        values_NF = values_NF.copy()
        values_NF[2:, 3] = np.nan
        return values_NF

    dead = draw(rows=120)
    dead_pool = np.hstack([draw_tenant(rows=333, seed=9).latents_NL, np.ones((333, 1))])
    return [
        draw(rows=400),
        draw(rows=61, seed=1),
        draw(rows=700, seed=2, latents=40, noise=1.0),
        draw(rows=300, change=lose, noise=1.0),
        draw(rows=520, change=lose, noise=1.0, latents=30),
        draw(rows=30, change=few),
        draw(rows=40, document=ALONE),
        draw(rows=90, document=PAIR),
        draw(rows=150, document=WIDE),
        draw(rows=200, noise=3.0),
        draw(rows=400, change=swap),
        FleetTenant(
            np.hstack([dead.latents_NL, 0.01 * dead.latents_NL[:, :1]]),
            dead.values_NF,
            dead.factor_set,
            "b" * 64,
            dead_pool,
        ),
    ]


def assert_same(one: Adapter, other: Adapter) -> None:
    """Assert that two adapters are equal to 1e-6 of their largest entry."""
    assert one.codings == other.codings
    assert (one.write_kind, one.read_kinds, one.detail) == (other.write_kind, other.read_kinds, other.detail)
    assert one.residual_share == other.residual_share
    assert one.radius == pytest.approx(other.radius, rel=1e-6)
    assert one.write_condition == pytest.approx(other.write_condition, rel=1e-6)
    for name in ARRAYS:
        mine, theirs = getattr(one, name).astype(np.float64), getattr(other, name).astype(np.float64)
        assert mine == pytest.approx(theirs, abs=1e-6 * max(1.0, np.abs(theirs).max())), name


def test_every_tenant_gets_what_it_would_get_alone(fleet: list[FleetTenant]) -> None:
    fitted = fit_fleet(fleet, device="cpu")
    assert fitted.refused == {}
    for index, tenant in enumerate(fleet):
        assert_same(fitted.adapter(index), alone(tenant))
    kinds = [coding.kind for coding in fitted.adapter(10).codings]
    assert kinds[2] == "categorical"  # the fleet noticed the swapped order, as the single fit does


def test_weighted_tenants_get_what_they_would_get_alone(fleet: list[FleetTenant]) -> None:
    def weights(index: int, rows: int) -> Any:
        weight_N = np.random.default_rng(index).uniform(0.2, 3.0, rows)
        weight_N[:2] = 40.0 if index % 2 else 1e-9
        return weight_N

    weighted = [replace(tenant, weight_N=weights(index, len(tenant.values_NF))) for index, tenant in enumerate(fleet)]
    several = [*weighted, fleet[0], replace(fleet[1], weight_N=np.full(61, 0.3))]
    fitted = fit_fleet(several, device="cpu")
    assert fitted.refused == {}
    for index, tenant in enumerate(several):
        assert_same(fitted.adapter(index), alone(tenant))
    plain = fit_fleet(fleet[:2], device="cpu")
    assert pack(fitted.adapter(len(fleet))) == pack(plain.adapter(0)) != pack(fitted.adapter(0))
    assert pack(fitted.adapter(len(fleet) + 1)) == pack(plain.adapter(1))
    assert len({fitted.ridge(index) for index in range(len(fleet))}) >= 2


def test_a_bad_weight_refuses_its_tenant_alone(fleet: list[FleetTenant]) -> None:
    bad = replace(fleet[1], weight_N=np.append(np.ones(60), np.nan))
    fitted = fit_fleet([fleet[0], bad], device="cpu")
    assert fitted.refused[1].code == "invalid_weight"
    assert "row 60" in fitted.refused[1].message
    assert_same(fitted.adapter(0), alone(fleet[0]))


def test_a_given_ridge_is_everybodys(fleet: list[FleetTenant]) -> None:
    fitted = fit_fleet(fleet[:4], device="cpu", ridge=2.0)
    for index in range(4):
        assert fitted.ridge(index) == 2.0
        assert_same(fitted.adapter(index), alone(fleet[index], ridge=2.0))


def test_tenants_choose_different_ridges(fleet: list[FleetTenant]) -> None:
    fitted = fit_fleet(fleet, device="cpu")
    assert len({fitted.ridge(index) for index in range(len(fleet))}) >= 3


def test_tenants_with_few_labels_choose_how_far_to_shrink_their_noise(fleet: list[FleetTenant]) -> None:
    fitted = fit_fleet(fleet, device="cpu")
    shares = [fitted.adapter(index).residual_share for index in range(len(fleet))]
    assert len(set(shares)) >= 2
    assert shares[2] == shares[4] == 0.25  # 700 and 520 labels


def test_exactly_dependent_latents_are_solvable(draw: Callable[..., FleetTenant]) -> None:
    tenant = draw(rows=200)
    twice = FleetTenant(
        np.hstack([tenant.latents_NL, tenant.latents_NL]), tenant.values_NF, tenant.factor_set, tenant.base_digest
    )
    fitted = fit_fleet([twice], device="cpu").adapter(0)
    assert np.isfinite(fitted.read_LC).all()
    assert fitted.read_LC[:16] == pytest.approx(fitted.read_LC[16:], abs=1e-3)


def test_same_bytes_on_one_thread_and_two_alone_and_in_company(fleet: list[FleetTenant]) -> None:
    packed = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted = fit_fleet(fleet, device="cpu", threads=threads)
        packed.append([pack(fitted.adapter(index)) for index in range(len(fleet))])
    assert packed[0] == packed[1]
    for index in (0, 3, 11):
        assert pack(fit_fleet([fleet[index]], device="cpu").adapter(0)) == packed[0][index]
    assert [pack(fit_fleet(fleet[::-1], device="cpu").adapter(len(fleet) - 1))] == packed[0][:1]


def test_one_bad_tenant_stops_no_other(fleet: list[FleetTenant]) -> None:
    good = fleet[0]
    broken = good.latents_NL.copy()
    broken[3, 4] = np.nan
    constant = good.values_NF.copy()
    constant[:, 0] = 1.0
    rest = (good.factor_set, good.base_digest)
    fitted = fit_fleet(
        [
            FleetTenant(broken, good.values_NF, *rest),
            good,
            FleetTenant(good.latents_NL, constant, *rest),
            FleetTenant(0 * good.latents_NL, good.values_NF, *rest),
            FleetTenant(good.latents_NL, good.values_NF, *rest, good.latents_NL[:, :3]),
            FleetTenant(1e30 * good.latents_NL, good.values_NF, *rest),
        ],
        device="cpu",
    )
    codes = {index: error.code for index, error in fitted.refused.items()}
    assert codes == {0: "not_finite", 2: "constant_factor", 3: "no_live_latent", 4: "latent_mismatch", 5: "not_finite"}
    assert_same(fitted.adapter(1), alone(good))
    with pytest.raises(InvalidInput, match="lit"):
        fitted.adapter(2)
    with pytest.raises(NotFound):
        fitted.adapter(6)


def test_masked_labels_are_missing_in_the_fleet_as_alone(draw_tenant: Callable[..., Any]) -> None:
    drawn = draw_tenant(rows=60)
    masked = np.ma.masked_greater(drawn.values_NF, 30.0)
    given = FleetTenant(drawn.latents_NL, masked, drawn.factor_set, "b")
    missing = FleetTenant(drawn.latents_NL, masked.filled(np.nan), drawn.factor_set, "b")
    fitted = fit_fleet([given, missing], device="cpu")
    assert np.isnan(missing.values_NF).any()
    assert pack(fitted.adapter(0)) == pack(fitted.adapter(1))
    assert_same(fitted.adapter(0), alone(missing))


def test_an_empty_fleet_is_no_fault() -> None:
    assert fit_fleet([], device="cpu").solved == {}


def test_torch_gets_its_threads_back(fleet: list[FleetTenant]) -> None:
    before = torch.get_num_threads()
    fit_fleet(fleet[:1], device="cpu")
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_solves_the_same(fleet: list[FleetTenant]) -> None:
    fitted = fit_fleet(fleet, device="cuda")
    for index, tenant in enumerate(fleet):
        assert_same(fitted.adapter(index), alone(tenant))
