"""Drift: images of the same kind are stable, others are not, few give no verdict; each test near its level."""

import json
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import betabinom, chi2_contingency, ncx2

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.drift import (
    LEAST_IMAGES,
    Drift,
    FactorReference,
    independence,
    mean_shift,
    measure,
    outside_share,
    stability_index,
)
from heddle_adapters.drift_sums import drift_sums
from heddle_adapters.edit import extrapolation
from heddle_adapters.fit import fit_adapter
from heddle_adapters.read import read
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.drift import BATCH, DriftSums
from heddle_platform.factors import FactorSet, LevelledFactor, parse_factor_set
from tests.adapters.conftest import Tenant, make_tenant


def summed(adapter: Adapter, latents_NL: Floats | Singles) -> DriftSums:
    """Sum as an edge does, `BATCH` images at a time."""
    few = latents_NL.astype(np.float32)
    parts = [drift_sums(adapter, few[row : row + BATCH]) for row in range(0, len(few) - BATCH + 1, BATCH)]
    return reduce(DriftSums.__add__, parts)


def references(factor_set: FactorSet, values_NF: Floats) -> list[FactorReference]:
    return [
        FactorReference(
            factor.name,
            factor.level_names,
            tuple(np.bincount(values_NF[:, index].astype(int), minlength=len(factor.level_names)).tolist()),
            True,
        )
        for index, factor in enumerate(factor_set.factors)
        if isinstance(factor, LevelledFactor)
    ]


def judged(tenant: Tenant, adapter: Adapter, latents_NL: Floats) -> Drift:
    return measure(summed(adapter, latents_NL), len(tenant.latents_NL), references(tenant.factor_set, tenant.values_NF))


def test_sums_are_those_of_the_definitions_and_add_up(tenant: Tenant, adapter: Adapter) -> None:
    latents = tenant.latents_NL[:40].astype(np.float32)
    one, whole = drift_sums(adapter, latents), summed(adapter, latents)
    whitened = ((latents - adapter.mean_L) @ adapter.whiten_LL)[:, adapter.live_L].astype(float)
    readings = read(adapter, latents)
    counts = [np.bincount(readings[name].values.astype(int), minlength=k) for name, k in _levels(adapter)]
    for sums in (one, whole):
        assert sums.images == 40
        assert sums.outside == (extrapolation(adapter, latents) > 1.0).sum()
        assert sums.total == pytest.approx(whitened.sum(axis=0), abs=1e-3)
        assert sums.square == pytest.approx(np.square(whitened).sum(), rel=1e-5)
        assert sums.levels == tuple(np.concatenate(counts))
    assert (one.freedom, whole.freedom) == (39, 35)
    assert one.trace / 39 == pytest.approx(np.trace(np.cov(whitened.T)), rel=1e-4)


def test_the_square_trace_is_unbiased() -> None:
    """tr(S S) of a known covariance, from many batches of eight."""
    tenant = make_tenant(200)
    adapter = replace(
        tenant.fit(), mean_L=np.zeros(16, np.float32), whiten_LL=np.diag(np.linspace(0.5, 2, 16)).astype(np.float32)
    )
    drawn = np.random.default_rng(3).normal(size=(8 * 3_000, 16))
    sums = summed(adapter, drawn)
    truth = np.linspace(0.5, 2, 16) ** 2
    assert sums.trace / sums.freedom == pytest.approx(truth.sum(), rel=0.01)
    assert sums.square_trace / sums.freedom == pytest.approx(np.square(truth).sum(), rel=0.03)


def test_the_shift_keeps_its_level_where_the_stored_covariance_is_not_that_of_the_images() -> None:
    spread = np.array([4.0, *np.full(15, 0.3)])
    random = np.random.default_rng(4)
    adapter = replace(
        make_tenant(200).fit(), mean_L=np.zeros(16, np.float32), whiten_LL=np.diag(spread).astype(np.float32)
    )
    p = [mean_shift(summed(adapter, random.normal(size=(160, 16))), 10**9).p for _ in range(300)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_images_of_the_same_kind_are_stable_and_the_tests_keep_their_level() -> None:
    verdicts, shift, levels = [], [], []
    for seed in range(60):
        tenant = make_tenant(300, seed=seed)
        adapter = fit_adapter(
            tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest="b" * 64, refine=False
        )
        for again, rows in enumerate((56, 200, 800)):
            found = judged(tenant, adapter, make_tenant(rows, seed=1_000 + 3 * seed + again).latents_NL)
            assert found.shift is not None
            verdicts.append(found.verdict)
            shift.append(found.shift.p)
            levels.append(min(one.p_holm for one in found.levels))
    assert np.mean([verdict == "stable" for verdict in verdicts]) >= 0.95
    # 180 draws, in threes of one fit: three standard errors of .05 are about .05 to .08
    assert 0.005 <= np.mean(np.array(shift) < 0.05) <= 0.12
    assert np.mean(np.array(levels) < 0.05) <= 0.12


def test_what_moved_is_named(tenant: Tenant, adapter: Adapter) -> None:
    others = make_tenant(1_200, seed=5)
    cubes = judged(tenant, adapter, others.latents_NL[others.values_NF[:, 1] == 0][:200])
    assert cubes.verdict == "drifted"
    assert any("shape reads cube in" in reason for reason in cubes.reasons)
    assert "refit" in cubes.advice
    moved = judged(tenant, adapter, others.latents_NL[:200] + 3.0 * tenant.effects_PL[-1])
    assert moved.verdict == "drifted"
    assert any("standard deviations" in reason for reason in moved.reasons)
    strange = judged(tenant, adapter, 4.0 * others.latents_NL[:200])
    assert strange.verdict == "drifted"
    assert any("outside the trusted range" in reason for reason in strange.reasons)


def test_few_images_give_measures_and_no_verdict(tenant: Tenant, adapter: Adapter) -> None:
    strange = 4.0 * make_tenant(LEAST_IMAGES, seed=5).latents_NL
    few = judged(tenant, adapter, strange[:48])
    assert (few.verdict, few.images, few.reasons) == ("too_few", 48, ("48 images were counted, a verdict needs 50",))
    assert few.outside is not None
    assert few.outside.value > 0.5
    none = measure(None, 400, references(tenant.factor_set, tenant.values_NF))
    assert (none.verdict, none.images, none.outside, none.shift, none.levels) == ("too_few", 0, None, None, ())


def test_a_factor_that_cannot_be_read_is_left_out(tenant: Tenant, adapter: Adapter) -> None:
    known = references(tenant.factor_set, tenant.values_NF)
    blind = [replace(one, comparable=one.name != "shape") for one in known]
    sums = summed(adapter, make_tenant(200, seed=5).latents_NL)
    found = {one.factor: one for one in measure(sums, 400, blind).levels}
    assert set(found) == {one.name for one in known} - {"shape"}
    # the counts of those behind it are still their own
    assert found["size"].read == {one.factor: one for one in measure(sums, 400, known).levels}["size"].read


def test_measures_are_the_textbooks() -> None:
    read_K, labelled_K = np.array([30.0, 70.0]), np.array([50.0, 50.0])
    share, other = 30.5 / 101, 0.5
    index = (share - other) * np.log(share / other) + (other - share) * np.log((1 - share) / (1 - other))
    assert stability_index(read_K, labelled_K) == pytest.approx(index)
    table = chi2_contingency(np.stack([read_K, labelled_K]), correction=False, lambda_="log-likelihood")
    assert independence(read_K, labelled_K) == pytest.approx(table.pvalue)
    assert independence(np.array([9.0, 0.0]), np.array([4.0, 0.0])) == 1.0
    # beyond the second largest of 101
    assert outside_share(7, 200, 101).p == pytest.approx(betabinom.sf(6, 200, 2, 100))
    assert outside_share(0, 200, 101).p == 1.0
    assert outside_share(30_000, 10**6, 101).p == pytest.approx(betabinom.sf(29_999, 10**6, 2, 100), rel=0.01)


def test_the_interval_of_the_shift_inverts_the_non_central_chi_square() -> None:
    # 16 directions of unit variance, 100 images against so many that they count as known
    mean = 0.1
    sums = DriftSums(100, 0, 16 * (99 + 100 * mean**2), 99, 99 * 16.0, 99 * 16.0, (100 * mean,) * 16, ())
    found = mean_shift(sums, 10**9)
    statistic = 100 * 16 * mean**2
    assert found.value == pytest.approx(np.sqrt(16 * mean**2 - 16 / 100 * 1.0), abs=1e-6)
    assert found.p == pytest.approx(ncx2.sf(statistic, 16, 0), rel=1e-6)
    assert ncx2.cdf(statistic, 16, 100 * found.high**2) == pytest.approx(0.025, abs=1e-4)
    assert found.low == 0.0
    far = mean_shift(replace(sums, total=(1e4,) * 16, square=16 * (99 + 100 * 1e4)), 10**9)
    assert far.low < far.value < far.high


def test_another_style_of_avatars_has_drifted_and_the_same_has_not(shared_data: Path) -> None:
    path = default_bundle_path()
    if not (path / "manifest.json").is_file():
        pytest.skip("the shipped base is not there; train one with `heddle base train`")
    base = BaseRuntime.from_bundle(load_bundle(path))
    stored = np.load(shared_data / "avatars.npz")
    names, spoken = [str(name) for name in stored["factor_names"]], json.loads(str(stored["factor_values"]))
    columns = [names.index(name) for name in ("skin", "mouth", "glasses", "background")]
    factor_set = parse_factor_set(
        {
            "name": "real",
            "factors": [{"name": names[one], "kind": "categorical", "levels": spoken[one]} for one in columns],
        }
    )
    values = stored["factors"][:300][:, columns].astype(np.float64)
    latents = base.encode(stored["images"][:500])
    adapter = fit_adapter(latents[:300].astype(np.float64), values, factor_set, base_digest=base.digest, refine=False)
    known = references(factor_set, values)
    assert measure(summed(adapter, latents[300:]), 300, known).verdict == "stable"
    pixel_art = base.encode(np.load(shared_data / "avatars_pixelart.npz")["images"][:64])
    other = measure(summed(adapter, pixel_art), 300, known)
    assert other.verdict == "drifted"
    assert other.outside is not None
    assert other.outside.value > 0.9


def _levels(adapter: Adapter) -> list[tuple[str, int]]:
    factors = adapter.factor_set.factors
    return [(one.name, len(one.level_names)) for one in factors if isinstance(one, LevelledFactor)]
