"""Row weights against what they stand for: repeated rows, rows left out, and no weights at all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import pack
from heddle_adapters.calibrate import temperature_of
from heddle_adapters.design import Coding, code_all, coding_of, pseudo_counts
from heddle_adapters.discriminate import walk
from heddle_adapters.fit import fit_adapter
from heddle_adapters.held_out import read_held_out, typical_error
from heddle_adapters.intake import pairs_in_order
from heddle_adapters.interaction import Interaction
from heddle_adapters.leave_one_out import RIDGE, RIDGES, leave_one_out_errors
from heddle_adapters.read import read
from heddle_adapters.refine import descend
from heddle_adapters.solution import Solution, interacting_effects, level_counts, solve
from heddle_adapters.solve import encode_jointly, solve_symmetric
from heddle_adapters.weights import quantile_of, relative_weights, scale_of
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Binary, FactorSet

MODEL = ("effects_PL", "left_LL", "design_PP", "cross_PL", "mean_L", "center_P")
ARRAYS = ("read_LC", "read_bias_C", "write_PL", "spread_CL", "mean_L", "whiten_LL", "usable_F2", "interact_QL")
CHOSEN: dict[str, Any] = {"ridge": 3.0, "residual_share": 0.25, "temperature_F": np.ones(5)}


def fit(tenant: Any, rows: Any = slice(None), **how: Any) -> Adapter:
    return fit_adapter(tenant.latents_NL[rows], tenant.values_NF[rows], tenant.factor_set, base_digest="b", **how)


def lose(values_NF: Any, share: float = 0.3) -> Any:
    return np.where(np.random.default_rng(7).random(values_NF.shape) < share, np.nan, values_NF)


def repeats(rows: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(1, 5, size=rows)


def relative(weights: Any) -> Any:
    weight_N = relative_weights(weights, len(weights))
    assert weight_N is not None
    return weight_N


def assert_close(one: Any, other: Any, bound: float) -> None:
    assert np.abs(one - other).max() <= bound * max(1.0, np.abs(other).max())


@pytest.mark.parametrize("rows", [120, 700])
def test_equal_weights_are_none_and_only_ratios_matter(draw_tenant: Callable[..., Any], rows: int) -> None:
    tenant = draw_tenant(rows=rows, noise=1.5)
    plain = pack(fit(tenant))
    for weight in (1, 0.3, 7e5):
        assert pack(fit(tenant, weight_N=np.full(rows, weight))) == plain
    weight_N = np.random.default_rng(1).uniform(0.2, 5.0, rows)
    weighted = pack(fit(tenant, weight_N=weight_N))
    assert weighted != plain
    assert pack(fit(tenant, weight_N=weight_N * 1024)) == weighted
    assert pack(fit(tenant, weight_N=(weight_N / 64).tolist())) == weighted


def test_the_sum_of_weights_is_the_effective_number_of_rows() -> None:
    given = np.array([1.0, 2.0, 3.0, 4.0])
    weight_N = relative(given)
    assert weight_N.sum() == pytest.approx(given.sum() ** 2 / np.square(given).sum())
    assert weight_N @ weight_N / weight_N.sum() == pytest.approx(1.0)  # the mean, as weighted rows see it


def test_the_encoding_of_whole_weights_is_that_of_repeated_rows_at_a_ridge_in_proportion(
    draw_tenant: Callable[..., Any],
) -> None:
    tenant = draw_tenant(rows=150, noise=1.0)
    times = repeats(150)
    weight_N = relative(times)
    scale = scale_of(times.sum(), np.square(times).sum())
    copied = np.repeat(np.arange(150), times)
    codings = [
        coding_of(one, tenant.values_NF[:, index], weight_N=weight_N)
        for index, one in enumerate(tenant.factor_set.factors)
    ]
    for index, one in enumerate(tenant.factor_set.factors):
        of_copies = coding_of(one, tenant.values_NF[copied, index])
        assert (codings[index].center, codings[index].spread) == pytest.approx((of_copies.center, of_copies.spread))
    weighted = solve(tenant.latents_NL, tenant.values_NF, codings, ridge=RIDGE * scale, weight_N=weight_N)
    plain = solve(tenant.latents_NL[copied], tenant.values_NF[copied], codings, ridge=RIDGE)
    for name in MODEL:
        assert_close(getattr(weighted.encoding, name), getattr(plain.encoding, name), 1e-10)
    assert weighted.encoding.rows == pytest.approx(scale * len(copied))
    for index, coding in enumerate(codings):
        counts = level_counts(tenant.values_NF[copied, index], coding)
        assert level_counts(tenant.values_NF[:, index], coding, weight_N) == pytest.approx(scale * counts)
    pair = (Interaction(0, 1, 0.1, 0.01),)

    def products(rows: Any, solution: Solution, ridge: float) -> Any:
        return interacting_effects(
            tenant.latents_NL[rows], tenant.values_NF[rows], solution, codings, pair, ridge=ridge
        )

    for mine, theirs in zip(
        products(slice(None), weighted, RIDGE * scale), products(copied, plain, RIDGE), strict=True
    ):
        assert_close(mine, theirs, 1e-10)


def test_a_row_of_next_to_no_weight_is_left_out(draw_tenant: Callable[..., Any]) -> None:
    tenant, pool = draw_tenant(rows=201, noise=1.0), draw_tenant(rows=60, seed=3)
    for values_NF, pool_ML, pair in (
        (lose(tenant.values_NF), None, ()),
        (tenant.values_NF, pool.latents_NL, (Interaction(0, 1, 0.1, 0.01),)),
    ):
        some = replace(tenant, values_NF=values_NF)
        some.latents_NL[-1] += 5.0
        weight_N = np.append(np.random.default_rng(2).uniform(0.5, 2.0, 200), 1e-12)
        how = {**CHOSEN, "pool_ML": pool_ML, "interactions": pair}
        light, without = fit(some, weight_N=weight_N, **how), fit(some, slice(200), weight_N=weight_N[:200], **how)
        for name in ARRAYS:
            if getattr(without, name).size:
                assert_close(getattr(light, name), getattr(without, name), 1e-6)  # stored in single precision
        assert light.radius == pytest.approx(without.radius, rel=1e-8)
        assert light.write_condition == pytest.approx(without.write_condition, rel=1e-6)
        codings = light.codings
        solved, kept = (
            solve(
                some.latents_NL[:count],
                some.values_NF[:count],
                codings,
                ridge=3.0,
                pool_ML=pool_ML,
                weight_N=relative(weight_N[:count]),
            )
            for count in (201, 200)
        )
        for name in (*MODEL, "covariance_LL", "residual_LL"):
            assert_close(getattr(solved.encoding, name), getattr(kept.encoding, name), 1e-8)
        for mine, theirs in zip(solved.read, kept.read, strict=True):
            assert_close(mine, theirs, 1e-8)
        errors, of_others = (
            leave_one_out_errors(
                some.latents_NL[:count], some.values_NF[:count], codings, RIDGES, relative(weight_N[:count])
            )
            for count in (201, 200)
        )
        assert errors == pytest.approx(of_others, rel=1e-8)


def test_equal_weights_but_one_near_nothing_are_no_weights_on_the_others(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=101, noise=1.0)
    tenant.latents_NL[-1] += 5.0
    light, without = fit(tenant, weight_N=np.append(np.ones(100), 1e-12), **CHOSEN), fit(tenant, slice(100), **CHOSEN)
    for name in ARRAYS:
        if getattr(without, name).size:
            assert_close(getattr(light, name), getattr(without, name), 1e-6)
    assert light.radius == pytest.approx(without.radius, rel=1e-8)


def test_leave_one_out_takes_a_row_with_all_its_weight(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=30, noise=1.0)
    values_NF = tenant.values_NF[:, [1, 3]]
    codings = [coding_of(tenant.factor_set.factors[place], tenant.values_NF[:, place]) for place in (1, 3)]
    weight_N = relative(np.random.default_rng(4).uniform(0.1, 3.0, 30))
    design_NP = code_all(values_NF, codings)
    penalty_PP = pseudo_counts(codings, 1.0)
    metric_LL = encode_jointly(tenant.latents_NL, design_NP, RIDGE * penalty_PP, None, weight_N).residual_LL
    precision_LL = solve_symmetric(metric_LL, np.eye(16))
    for ridge in (0.1, 10.0):
        total = 0.0
        for row in range(30):
            rest = np.arange(30) != row
            refit = encode_jointly(tenant.latents_NL[rest], design_NP[rest], ridge * penalty_PP, None, weight_N[rest])
            left_L = tenant.latents_NL[row] - refit.mean_L - (design_NP[row] - refit.center_P) @ refit.effects_PL
            total += weight_N[row] * left_L @ precision_LL @ left_L
        found = leave_one_out_errors(tenant.latents_NL, values_NF, codings, [ridge], weight_N)
        assert found[0] == pytest.approx(total, rel=1e-9)


def test_held_out_losses_of_whole_weights_are_those_of_repeated_rows(draw_tenant: Callable[..., Any]) -> None:
    random = np.random.default_rng(6)
    times = repeats(80)
    copied = np.repeat(np.arange(80), times)
    logits_NK, level_N = 2 * random.normal(size=(80, 3)), random.integers(3, size=80)
    found = temperature_of(logits_NK, level_N, weight_N=times.astype(float))
    assert found == pytest.approx(temperature_of(logits_NK[copied], level_N[copied]), rel=1e-5)
    assert found != pytest.approx(temperature_of(logits_NK, level_N), rel=1e-3)
    tenant = draw_tenant(rows=80)
    for place, width in ((3, 1), (4, 2)):
        coding = coding_of(tenant.factor_set.factors[place], tenant.values_NF[:, place])
        score_NC, value_N = random.normal(size=(80, width)), tenant.values_NF[:, place]
        weighted = typical_error(score_NC, value_N, coding, times.astype(float))
        assert weighted == pytest.approx(typical_error(score_NC[copied], value_N[copied], coding))
    place_N = random.normal(size=80)
    weighted_pairs = pairs_in_order(place_N, level_N.astype(float), times.astype(float))
    assert weighted_pairs == pytest.approx(pairs_in_order(place_N[copied], level_N[copied].astype(float)))


def test_the_discriminative_read_descends_as_on_repeated_rows(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=300, noise=2.0)
    levels_NF = np.where(np.isnan(lose(tenant.values_NF)), -1, tenant.values_NF)[:, :3].astype(np.int64)
    times = repeats(300)
    copied = np.repeat(np.arange(300), times)
    begin = np.zeros((16, 9)), np.zeros(9)
    weighted = descend(tenant.latents_NL, levels_NF, [2, 3, 4], *begin, weight_N=times.astype(float))
    plain = descend(tenant.latents_NL[copied], levels_NF[copied], [2, 3, 4], *begin)
    once = descend(tenant.latents_NL, levels_NF, [2, 3, 4], *begin)
    for step in (1, 4, 8):
        for mine, theirs in zip(weighted[step], plain[step], strict=True):
            assert_close(mine, theirs, 2e-4)
    assert np.abs(weighted[8][0] - once[8][0]).max() > 0.02


def test_how_far_to_walk_is_decided_as_by_repeated_rows() -> None:
    random = np.random.default_rng(0)
    latents_NL = random.normal(size=(900, 4))
    outlier_N = random.random(900) < 0.1
    latents_NL[outlier_N, 1] += 40 * (latents_NL[outlier_N, 0] > 0)
    values_NF = (latents_NL[:, :1] + 0.1 * random.normal(size=(900, 1)) > 0).astype(float)
    codings = [Coding("binary", 2)]
    held = read_held_out(latents_NL, values_NF, codings, 3.0)
    times = repeats(900)
    copied = np.repeat(np.arange(900), times)
    weighted = replace(held, weight_N=times.astype(float), rows_F=np.array([float(len(copied))]))
    folds = tuple(replace(fold, held_N=fold.held_N[copied]) for fold in held.folds)
    repeated = replace(held, folds=folds, scores_NC=held.scores_NC[copied], rows_F=weighted.rows_F)
    found = walk(weighted, latents_NL, values_NF, codings)
    expected = walk(repeated, latents_NL[copied], values_NF[copied], codings)
    plain = walk(held, latents_NL, values_NF, codings)
    assert found.walked_F.tolist() == expected.walked_F.tolist() == plain.walked_F.tolist() == [True]
    assert found.temperature_F == pytest.approx(expected.temperature_F, rel=1e-4)
    assert found.temperature_F != pytest.approx(plain.temperature_F, rel=1e-3)
    assert_close(found.move_LC, expected.move_LC, 1e-4)
    wrong_N = held.scores_NC.argmax(axis=1) != values_NF[:, 0]
    sure = replace(held, weight_N=np.where(wrong_N, 1e-6, 1.0))
    assert not walk(sure, latents_NL, values_NF, codings).walked_F.any()  # the rows it misreads do not count


def test_a_latent_that_only_rows_without_weight_move_is_dead(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=100)
    still_N = np.zeros((100, 1))
    still_N[7] = 30.0
    some = replace(tenant, latents_NL=np.hstack([tenant.latents_NL, still_N]))
    assert fit(some).live_L.tolist() == [True] * 17
    assert fit(some, weight_N=np.where(np.arange(100) == 7, 1e-9, 1.0)).live_L.tolist() == [True] * 16 + [False]


def test_an_order_is_put_to_the_test_by_the_rows_that_count(draw_tenant: Callable[..., Any]) -> None:
    sound, other = draw_tenant(rows=300), draw_tenant(rows=900, seed=5)
    swapped_NF = other.values_NF.copy()
    swapped_NF[:, 2] = np.array([2, 0, 3, 1])[swapped_NF[:, 2].astype(int)]
    both = replace(
        sound,
        latents_NL=np.vstack([sound.latents_NL, other.latents_NL]),
        values_NF=np.vstack([sound.values_NF, swapped_NF]),
    )
    for weights, kind in (((1.0, 1e-6), "ordinal"), ((1e-6, 1.0), "categorical")):
        assert fit(both, weight_N=np.repeat(weights, (300, 900))).codings[2].kind == kind


def test_a_reading_follows_the_rows_that_count(draw_tenant: Callable[..., Any]) -> None:
    right, wrong = draw_tenant(rows=300), draw_tenant(rows=300, seed=5)
    fooled = wrong.values_NF.copy()
    fooled[:, 0] = 1 - fooled[:, 0]
    both = replace(
        right,
        latents_NL=np.vstack([right.latents_NL, wrong.latents_NL]),
        values_NF=np.vstack([right.values_NF, fooled]),
    )
    fresh = draw_tenant(rows=300, seed=1)
    for weights, least, most in (((5.0, 1.0), 0.9, 1.0), ((1.0, 5.0), 0.0, 0.1)):
        adapter = fit(both, weight_N=np.repeat(weights, 300))
        assert least <= (read(adapter, fresh.latents_NL)["lit"].values == fresh.values_NF[:, 0]).mean() <= most


def test_with_many_rows_the_discriminative_read_is_chosen_by_weighted_rows() -> None:
    random = np.random.default_rng(0)
    latents_NL = random.normal(size=(1500, 4))
    outlier_N = random.random(1500) < 0.05
    latents_NL[outlier_N, 1] += 40 * (latents_NL[outlier_N, 0] > 0)
    values_NF = (latents_NL[:, :1] > 0).astype(float)
    factor_set = FactorSet(name="h", factors=(Binary(kind="binary", name="right"),))

    def kind(weight_N: Any) -> str:
        return fit_adapter(latents_NL, values_NF, factor_set, base_digest="b", weight_N=weight_N).read_kinds[0]

    assert kind(np.random.default_rng(1).uniform(0.5, 2.0, 1500)) == "discriminative"
    assert kind(np.where(np.arange(1500) < 100, 1.0, 1e-9)) == "closed_form"  # too few rows count


def test_weighted_quantiles_are_numpys_where_weights_are_equal_and_forget_rows_without_weight() -> None:
    values_N = np.random.default_rng(3).normal(size=37)
    for share in (0.0, 0.01, 0.4, 0.99, 1.0):
        expected = float(np.quantile(values_N, share))
        assert quantile_of(values_N, share, np.full(37, 0.2)) == pytest.approx(expected)
        more_N, weight_N = np.append(values_N, [9.0, 0.0, -9.0]), np.append(np.ones(37), [1e-12, 1e-12, 1e-12])
        assert quantile_of(more_N, share, weight_N) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("weights", "code", "told"),
    [
        (np.append(np.ones(49), -2.0), "invalid_weight", "row 49 is -2"),
        (np.append([0.0, 0.0], np.ones(48)), "invalid_weight", "row 0 is 0, one of 2"),
        (np.zeros(50), "invalid_weight", "row 0 is 0, one of 50"),
        (np.insert(np.ones(49), 7, np.nan), "invalid_weight", "row 7 is nan"),
        (np.insert(np.ones(49), 7, np.inf), "invalid_weight", "row 7 is inf"),
        (np.insert(np.ones(49), 7, 1e13), "invalid_weight", "row 7 is 1e.13"),
        (np.ma.masked_array(np.ones(50), np.arange(50) == 3), "invalid_weight", "row 3 is masked"),
        (np.ones(49), "row_count_mismatch", "49 weights and 50 rows"),
        (np.ones((50, 1)), "wrong_shape", "(50, 1)"),
        (np.array(["1"] * 50), "not_numbers", "weights must be numbers"),
    ],
)
def test_bad_weights_are_refused(draw_tenant: Callable[..., Any], weights: Any, code: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told.replace("(", r"\(").replace(")", r"\)")) as caught:
        fit(draw_tenant(rows=50), weight_N=weights)
    assert (caught.value.code, caught.value.param) == (code, "weights")
