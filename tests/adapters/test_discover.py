"""Interactions are found where they are and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.design import THIN_CELL
from heddle_adapters.discover import MOST_COLUMNS, MOST_JUDGED, MOST_KEPT, Tried, find_interactions, kept
from heddle_platform.factors import parse_factor_set

Draw = Callable[..., Any]


def tried_of(tenant: Any) -> tuple[Tried, ...]:
    return find_interactions(tenant.latents_NL, tenant.values_NF, tenant.factor_set)


def test_the_planted_pair_is_found_and_no_other(entwine: Draw) -> None:
    tenant = entwine()
    found = kept(tried_of(tenant))
    assert [(tenant.factor_set.names[one.factor], tenant.factor_set.names[one.on]) for one in found] == [
        ("lit", "shape")
    ]
    assert found[0].gain > 0.1
    assert found[0].error < found[0].gain / 4
    assert found[0].thin == ()


@pytest.mark.parametrize("rows", [60, 200, 1_000])
def test_on_additive_data_no_pair_is_kept(draw_tenant: Draw, rows: int) -> None:
    for seed in range(12):
        assert kept(tried_of(draw_tenant(rows=rows, seed=seed, noise=1.0))) == ()


def test_correlated_and_missing_labels_make_no_interaction(draw_tenant: Draw) -> None:
    def spoil(values_NF: Any) -> Any:
        random = np.random.default_rng(1)
        follows = random.uniform(size=len(values_NF)) < 0.8
        values_NF[follows, 1] = np.minimum(values_NF[follows, 0] * 2, 2)
        return values_NF

    for seed in range(8):
        tenant = draw_tenant(rows=400, seed=seed, noise=0.6, change_values=spoil)
        tenant.values_NF[np.random.default_rng(seed).uniform(size=tenant.values_NF.shape) < 0.2] = np.nan
        assert kept(tried_of(tenant)) == ()


def test_a_tiny_interaction_is_left_out_with_its_reason(entwine: Draw) -> None:
    tenant = entwine(strength=0.12, noise=0.6)
    for one in tried_of(tenant):
        assert not one.kept
        assert "is needed" in one.reason


def test_hundreds_of_levels_stay_bounded(draw_tenant: Draw) -> None:
    random = np.random.default_rng(0)
    factor_set = parse_factor_set(
        {
            "name": "many",
            "factors": [
                {"name": "person", "kind": "categorical", "levels": [f"p{index}" for index in range(300)]},
                *({"name": f"f{index}", "kind": "binary"} for index in range(30)),
            ],
        }
    )
    values_NF = random.integers(2, size=(900, 31)).astype(float)
    values_NF[:, 0] = random.permutation(np.arange(900) % 300)
    effects = random.normal(size=(30, 24))
    products = values_NF[:, 1:-1] * values_NF[:, 2:]  # every neighbour interacts
    latents_NL = values_NF[:, 1:] @ effects + products @ random.normal(size=(29, 24)) + random.normal(size=(900, 24))
    tried = find_interactions(latents_NL, values_NF, factor_set)
    assert len(tried) <= MOST_JUDGED
    assert 0 < len(kept(tried)) <= MOST_KEPT
    assert sum(one.columns for one in tried if one.kept) <= MOST_COLUMNS
    assert all(0 not in (one.interaction.factor, one.interaction.on) for one in tried)


def test_thin_cells_are_named(entwine: Draw) -> None:
    def spare(values_NF: Any) -> Any:
        cell = np.flatnonzero((values_NF[:, 0] == 1) & (values_NF[:, 1] == 2))
        values_NF[cell[THIN_CELL - 1 :], 1] = 1
        return values_NF

    [found] = kept(tried_of(entwine(change_values=spare)))
    assert found.thin == ((1, 2),)


def test_it_is_found_the_same_every_time(entwine: Draw) -> None:
    assert tried_of(entwine()) == tried_of(entwine())


def test_too_few_rows_try_nothing(draw_tenant: Draw) -> None:
    tenant = draw_tenant(rows=60)
    assert find_interactions(tenant.latents_NL[:49], tenant.values_NF[:49], tenant.factor_set) == ()
