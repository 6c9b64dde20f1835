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
