from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import pack
from heddle_adapters.calibrate import angle_error
from heddle_adapters.fit import fit_adapter
from heddle_adapters.read import read
from heddle_platform.errors import InvalidInput


def test_all_kinds_are_read_on_images_never_seen(adapter: Adapter, draw_tenant: Callable[..., Any]) -> None:
    fresh = draw_tenant(rows=500, seed=1)
    readings = read(adapter, fresh.latents_NL)
    truth = dict(zip(fresh.factor_set.names, fresh.values_NF.T, strict=True))
    for name, least in (("lit", 0.93), ("shape", 0.97), ("size", 0.93)):
        assert (readings[name].values == truth[name]).mean() > least
    years = readings["age"].values - truth["age"]
    assert np.sqrt(np.square(years).mean()) < 5
    assert np.degrees(np.abs(angle_error(readings["hue"].values, truth["hue"], 360.0))).mean() < 10


def test_confidence_is_worth_what_it_says(draw_tenant: Callable[..., Any]) -> None:
    adapter = draw_tenant(noise=1.5).fit()
    fresh = draw_tenant(rows=3000, seed=1, noise=1.5)
    readings = read(adapter, fresh.latents_NL)
    for index, name in enumerate(("lit", "shape", "size")):
        right = (readings[name].values == fresh.values_NF[:, index]).mean()
        assert readings[name].confidence.mean() == pytest.approx(right, abs=0.05)
    near = np.abs(readings["age"].values - fresh.values_NF[:, 3]) < 9
    assert readings["age"].confidence.mean() == pytest.approx(near.mean(), abs=0.07)


def test_same_input_same_bytes_on_one_thread_and_on_two(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=1000, latents=64)
    packed = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            packed.append(pack(tenant.fit()))
    assert packed[0] == packed[1]


def test_missing_labels_cost_little(draw_tenant: Callable[..., Any]) -> None:
    def lose_a_third(values_NF: Any) -> Any:
        lost = np.random.default_rng(7).random(values_NF.shape) < 1 / 3
        return np.where(lost, np.nan, values_NF)

    sparse = draw_tenant(noise=1.0)
    fitted = fit_adapter(sparse.latents_NL, lose_a_third(sparse.values_NF), sparse.factor_set, base_digest="b")
    complete_N = ~np.isnan(lose_a_third(sparse.values_NF)).any(axis=1)
    listwise = fit_adapter(
        sparse.latents_NL[complete_N], sparse.values_NF[complete_N], sparse.factor_set, base_digest="b"
    )
    fresh = draw_tenant(rows=2000, seed=1, noise=1.0)
    right = {
        name: (read(one, fresh.latents_NL).values_BF[:, :3] == fresh.values_NF[:, :3]).mean()
        for name, one in (("all", sparse.fit()), ("sparse", fitted), ("listwise", listwise))
    }
    assert right["sparse"] > right["all"] - 0.02
    assert right["sparse"] > right["listwise"] + 0.01


def test_correlated_labels_do_not_leak_into_the_write(draw_tenant: Callable[..., Any]) -> None:
    document = {
        "name": "pair",
        "factors": [{"name": "one", "kind": "binary"}, {"name": "other", "kind": "binary"}],
    }

    def follow(values_NF: Any) -> Any:
        same = np.random.default_rng(0).random(len(values_NF)) < 0.9
        return np.stack([values_NF[:, 0], np.where(same, values_NF[:, 0], 1 - values_NF[:, 0])], axis=1)

    tenant = draw_tenant(rows=2000, document=document, change_values=follow)
    write_PL = tenant.fit().write_PL
    own = write_PL @ tenant.effects_PL.T / np.square(tenant.effects_PL).sum(axis=1)
    assert own == pytest.approx(np.eye(2), abs=0.1)


def test_dead_latents_are_neither_read_nor_written(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant()
    latents_NL = np.hstack([tenant.latents_NL, 0.01 * tenant.latents_NL[:, :1], np.ones((400, 1))])
    adapter = fit_adapter(latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b")
    assert adapter.live_L.tolist() == [True] * 16 + [False] * 2
    assert not adapter.write_PL[:, 16:].any()
    assert not adapter.read_LC[16:].any()
    assert adapter.write_PL[:, :16] == pytest.approx(tenant.fit().write_PL, abs=1e-6)


def test_an_unlabelled_pool_moves_the_metric_and_not_the_offsets(draw_tenant: Callable[..., Any]) -> None:
    tenant, pool = draw_tenant(rows=60), draw_tenant(rows=2000, seed=5)
    alone = tenant.fit()
    pooled = fit_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b", pool_ML=pool.latents_NL
    )
    assert pooled.mean_L != pytest.approx(alone.mean_L, abs=1e-3)
    assert pooled.read_LC == pytest.approx(alone.read_LC)
    assert pooled.radius > 0


def test_with_many_labels_the_discriminative_read_wins_where_classes_are_not_gaussian() -> None:
    from heddle_platform.factors import Binary, FactorSet

    random = np.random.default_rng(0)
    latents_NL = random.normal(size=(3000, 4))
    # a half space with a heavy outlier tail: the class means lean on the outliers, the border does not
    outlier_N = random.random(3000) < 0.05
    latents_NL[outlier_N, 1] += 40 * (latents_NL[outlier_N, 0] > 0)
    values_NF = (latents_NL[:, :1] > 0).astype(float)
    factor_set = FactorSet(name="h", factors=(Binary(kind="binary", name="right"),))
    adapter = fit_adapter(latents_NL[:2000], values_NF[:2000], factor_set, base_digest="b")
    assert adapter.read_kinds == ("discriminative",)
    assert (read(adapter, latents_NL[2000:])["right"].values == values_NF[2000:, 0]).mean() > 0.98


def test_bad_input_is_refused(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=50)
    broken = tenant.latents_NL.copy()
    broken[3, 4] = np.nan
    for latents, values, code in (
        (broken, tenant.values_NF, "not_finite"),
        (tenant.latents_NL[0], tenant.values_NF, "wrong_shape"),
        (tenant.latents_NL[:49], tenant.values_NF, "row_count_mismatch"),
        (1e30 * tenant.latents_NL, tenant.values_NF, "not_finite"),
        (tenant.latents_NL, tenant.values_NF.astype(str), "not_numbers"),
    ):
        with pytest.raises(InvalidInput) as error:
            fit_adapter(latents, values, tenant.factor_set, base_digest="b")
        assert error.value.code == code


@pytest.mark.parametrize(
    "chosen",
    [
        *({"ridge": ridge} for ridge in (0.0, -1.0, float("nan"), float("inf"), "3")),
        *({"residual_share": share} for share in (-0.1, 5.0, float("nan"))),
        *({"residual_share": 0.25, "temperature_F": np.array(t)} for t in ([1.0], [1.0, 1, 1, 1, 0], [np.nan] * 5)),
    ],
)
def test_what_is_chosen_wrongly_is_refused(draw_tenant: Callable[..., Any], chosen: dict[str, Any]) -> None:
    tenant = draw_tenant(rows=50)
    with pytest.raises(InvalidInput, match=list(chosen)[-1]) as error:
        fit_adapter(tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b", **chosen)
    assert error.value.code == "bad_setting"


def test_what_was_chosen_before_gives_the_same_bytes_without_holding_rows_out(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=150)

    def fit(**chosen: Any) -> Adapter:
        return fit_adapter(
            tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b" * 64, refine=False, **chosen
        )

    learnt = fit()
    chosen = {"ridge": learnt.ridge, "residual_share": learnt.residual_share}
    assert pack(fit(**chosen, temperature_F=learnt.temperature_F.astype(np.float64))) == pack(learnt)
    doubled = fit(**chosen, temperature_F=2.0 * learnt.temperature_F)
    np.testing.assert_allclose(doubled.temperature_F, 2.0 * learnt.temperature_F)
    np.testing.assert_array_equal(doubled.read_LC, learnt.read_LC)
