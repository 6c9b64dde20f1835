"""A made-up tenant whose truth is known: every factor moves its own latent directions, the rest is noise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.design import code_all, coding_of, column_slices
from heddle_adapters.discover import find_interactions, kept
from heddle_adapters.fit import fit_adapter
from heddle_platform.factors import FactorSet, parse_factor_set

LATENTS = 16
KINDS: dict[str, Any] = {
    "name": "things",
    "factors": [
        {"name": "lit", "kind": "binary"},
        {"name": "shape", "kind": "categorical", "levels": ["cube", "ball", "cone"]},
        {"name": "size", "kind": "ordinal", "levels": ["s", "m", "l", "xl"]},
        {"name": "age", "kind": "continuous", "range": [0, 90], "unit": "years"},
        {"name": "hue", "kind": "periodic", "period": 360, "unit": "degrees"},
    ],
}


@dataclass(frozen=True, eq=False)
class Tenant:
    """Latents, labels, and the truth: latents = design @ effects + noise."""

    factor_set: FactorSet
    latents_NL: NDArray[np.float64]
    values_NF: NDArray[np.float64]
    effects_PL: NDArray[np.float64] = field(repr=False)

    def fit(self, rows: slice = slice(None)) -> Adapter:
        return fit_adapter(self.latents_NL[rows], self.values_NF[rows], self.factor_set, base_digest="b" * 64)


def make_tenant(
    rows: int = 400,
    seed: int = 0,
    noise: float = 0.3,
    document: dict[str, Any] | None = None,
    change_values: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
    latents: int = LATENTS,
) -> Tenant:
    """Draw a tenant; effects are orthogonal rows of length 1 to 3, the same for every seed of the rows."""
    factor_set = parse_factor_set(document or KINDS)
    random = np.random.default_rng(seed)
    columns = []
    for factor in factor_set.factors:
        if factor.kind == "continuous":
            columns.append(random.uniform(*factor.range, size=rows))
        elif factor.kind == "periodic":
            columns.append(random.uniform(0, factor.period, size=rows))
        else:
            columns.append(random.integers(len(factor.level_names), size=rows).astype(float))
    values_NF = change_values(np.stack(columns, axis=1))
    codings = [coding_of(factor, values_NF[:, index]) for index, factor in enumerate(factor_set.factors)]
    width = column_slices(codings)[-1].stop
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(latents, latents)))[0]
    effects_PL = basis[:width] * np.linspace(1, 3, width)[:, None]
    latents_NL = code_all(values_NF, codings) @ effects_PL + noise * random.normal(size=(rows, latents))
    return Tenant(factor_set, latents_NL, values_NF, effects_PL)


def make_entwined(
    rows: int = 400,
    seed: int = 0,
    noise: float = 0.3,
    strength: float = 1.5,
    change_values: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
) -> Tenant:
    """Draw a tenant whose "lit" looks another way with each shape: two product columns on two directions of their own.

    The rows behind `effects_PL[7:]` are the products' effects, "lit" times each of the columns of "shape".
    """
    tenant = make_tenant(rows, seed, noise, change_values=change_values)
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(LATENTS, LATENTS)))[0]
    products_QL = strength * 2 * basis[10:12]
    codings = [coding_of(one, tenant.values_NF[:, index]) for index, one in enumerate(tenant.factor_set.factors)]
    design_NP = code_all(tenant.values_NF, codings)
    return Tenant(
        tenant.factor_set,
        tenant.latents_NL + (design_NP[:, :1] * design_NP[:, 1:3]) @ products_QL,
        tenant.values_NF,
        np.vstack([tenant.effects_PL, products_QL]),
    )


@pytest.fixture(scope="session")
def entwine() -> Callable[..., Tenant]:
    return make_entwined


@pytest.fixture(scope="session")
def entwined() -> Tenant:
    return make_entwined(noise=0.1)


@pytest.fixture(scope="session")
def entwined_adapter(entwined: Tenant) -> Adapter:
    pairs = kept(find_interactions(entwined.latents_NL, entwined.values_NF, entwined.factor_set))
    return fit_adapter(
        entwined.latents_NL, entwined.values_NF, entwined.factor_set, base_digest="b" * 64, interactions=pairs
    )


@pytest.fixture(scope="session")
def draw_tenant() -> Callable[..., Tenant]:
    return make_tenant


@pytest.fixture(scope="session")
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture(scope="session")
def adapter(tenant: Tenant) -> Adapter:
    return tenant.fit()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there; this test compares with real data")
    return folder
