"""Evaluations: numbers of the card's functions on other rows, and the noise decides what is called worse."""

import math
from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.card import score_adapter
from heddle_adapters.evaluate import evaluate
from heddle_adapters.evaluation import Evaluation
from heddle_adapters.report import Card
from heddle_platform.errors import InvalidInput

from .conftest import Tenant, make_tenant


def fitted(tenant: Tenant) -> tuple[Adapter, Card]:
    return score_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest="b" * 64,
        round_trip=lambda latents: latents,
        round_trips=200,
        forests=False,
        curves=False,
    )


@pytest.fixture(scope="module")
def version() -> tuple[Adapter, Card]:
    return fitted(make_tenant(rows=400, seed=0, noise=0.6))


def on(version: tuple[Adapter, Card], tenant: Tenant, **options: Any) -> Evaluation:
    return evaluate(version[0], tenant.latents_NL, tenant.values_NF, version[1], forests=False, **options)


def test_new_rows_of_the_same_kind_are_equal_and_add_up(version: tuple[Adapter, Card]) -> None:
    tenant = make_tenant(rows=300, seed=5, noise=0.6)
    found = on(version, tenant, seen_N=np.zeros(300, dtype=bool))
    assert (found.labels, found.seen, found.scored, found.worse) == (300, 0, 300, ())
    assert {one.measure for one in found.factors} == {"accuracy", "r2"}
    card = version[1]
    for one in found.factors:
        assert one.accuracy_interval[0] <= one.accuracy <= one.accuracy_interval[1]
        assert one.compared is not None
        before = card.factor(one.name)
        reach = [(high - low) / 2 for low, high in (before.accuracy_interval, one.accuracy_interval)]
        assert one.compared.noise == pytest.approx(math.hypot(*reach), abs=1e-5)
        assert one.compared.before == before.accuracy
        if one.measure == "accuracy":
            right = sum(row.get(level, 0) for level, row in one.confusion.items())
            assert right / one.labels == pytest.approx(one.accuracy, abs=1e-6)
            assert {level: sum(row.values()) for level, row in one.confusion.items()} == {
                level: count for level, count in one.counts.items() if count
            }
            assert one.calibration_error is not None
            assert one.calibration_error < 0.1
    assert found.mig.value is not None
    assert found.mig.interval is not None
    assert found.dci.value is None
    assert found.warnings == ()
    assert Evaluation.model_validate(found.document()) == found


def test_what_falls_beyond_noise_is_worse_and_what_rises_is_better(version: tuple[Adapter, Card]) -> None:
    names = version[0].factor_set.names
    hard = on(version, make_tenant(rows=300, seed=5, noise=3.0))
    assert hard.worse == names
    assert hard.compared is not None
    assert (hard.compared.outcome, hard.compared.after) == ("worse", hard.accuracy)
    easy = on(fitted(make_tenant(rows=300, seed=1, noise=3.0)), make_tenant(rows=300, seed=5, noise=0.2))
    assert easy.better == ("shape", "size", "age", "hue")
    assert easy.equal == ("lit",)  # it rose by less than the noise
    assert easy.compared is not None
    assert easy.compared.outcome == "better"


def test_a_few_rows_are_never_told_apart_from_noise_without_saying_so(version: tuple[Adapter, Card]) -> None:
    for rows in (2, 3, 7, 25):
        found = on(version, make_tenant(rows=rows, seed=7, noise=0.6))
        assert found.scored == rows
        assert "few_images" in [warning.code for warning in found.warnings]
        assert all(np.isfinite((one.accuracy, *one.accuracy_interval)).all() for one in found.factors)


def test_images_that_were_fitted_on_are_left_out_and_counted(version: tuple[Adapter, Card]) -> None:
    tenant = make_tenant(rows=300, seed=5, noise=0.6)
    seen_N = np.arange(300) < 120
    some = on(version, tenant, seen_N=seen_N)
    rest = evaluate(
        version[0], tenant.latents_NL[120:], tenant.values_NF[120:], version[1], np.zeros(180, bool), forests=False
    )
    assert (some.labels, some.seen, some.scored) == (300, 120, 180)
    assert some.factors == rest.factors
    assert [warning.code for warning in some.warnings] == ["some_seen"]
    every = on(version, tenant, seen_N=np.ones(300, dtype=bool))
    assert (every.scored, every.warnings[0].code) == (300, "all_seen")
    unknown = on(version, tenant)
    assert (unknown.seen, unknown.warnings[0].code) == (None, "seen_unknown")


def test_a_factor_without_labels_is_said_not_to_be_scored(version: tuple[Adapter, Card]) -> None:
    tenant = make_tenant(rows=200, seed=5, noise=0.6)
    values_NF = tenant.values_NF.copy()
    shape, age = (tenant.factor_set.names.index(name) for name in ("shape", "age"))
    values_NF[:, shape] = np.nan
    values_NF[:, age] = 40.0
    found = evaluate(version[0], tenant.latents_NL, values_NF, version[1], forests=False)
    assert set(found.not_scored) == {"shape", "age"}
    assert "R squared" in found.not_scored["age"]
    assert [one.name for one in found.factors] == ["lit", "size", "hue"]
    whole = on(version, tenant)
    assert found.factors[0].accuracy == whole.factors[0].accuracy
    with pytest.raises(InvalidInput) as refused:
        evaluate(version[0], tenant.latents_NL, np.full_like(values_NF, np.nan), version[1])
    assert refused.value.code == "too_few_labels"


def test_a_weight_counts_an_image_as_often_as_it_says(version: tuple[Adapter, Card]) -> None:
    tenant = make_tenant(rows=200, seed=5, noise=1.2)
    weight_N = np.where(np.arange(200) < 100, 3.0, 1.0)
    times = np.repeat(np.arange(200), weight_N.astype(int))
    weighted = on(version, tenant, weight_N=weight_N)
    repeated = evaluate(version[0], tenant.latents_NL[times], tenant.values_NF[times], version[1], forests=False)
    once = on(version, tenant)
    for one, other, plain in zip(weighted.factors, repeated.factors, once.factors, strict=True):
        assert one.accuracy == pytest.approx(other.accuracy, abs=1e-5)
        assert (one.counts, one.confusion, one.mig) == (plain.counts, plain.confusion, plain.mig)
    assert [one.accuracy for one in weighted.factors] != [one.accuracy for one in once.factors]
    assert "weights" in weighted.protocol
    assert "weights" not in once.protocol
    assert on(version, tenant, weight_N=np.full(200, 2.0)).factors == once.factors


def test_without_a_card_there_is_nothing_to_hold_against(version: tuple[Adapter, Card]) -> None:
    tenant = make_tenant(rows=200, seed=5, noise=0.6)
    found = evaluate(version[0], tenant.latents_NL, tenant.values_NF, None, forests=False)
    assert found.compared is None
    assert (found.better, found.equal, found.worse) == ((), (), ())
