from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.read import read, softmax, values_of
from heddle_platform.errors import InvalidInput


def test_readings_have_the_documented_shapes(adapter: Adapter, tenant: Any) -> None:
    readings = read(adapter, tenant.latents_NL[:7])
    assert readings["shape"].levels is not None
    assert readings["shape"].levels.shape == (7,)
    assert readings["shape"].probabilities.shape == (7, 3)
    assert readings["shape"].probabilities.sum(axis=1) == pytest.approx(np.ones(7))
    assert readings["age"].levels is None
    assert readings["age"].probabilities.shape == (7, 0)
    assert readings.values_BF.shape == (7, 5)
    for name in tenant.factor_set.names:
        assert ((readings[name].confidence >= 0) & (readings[name].confidence <= 1)).all()


def test_json_speaks_the_tenants_words(adapter: Adapter, tenant: Any) -> None:
    values_F = tenant.values_NF[0]
    spoken = read(adapter, tenant.latents_NL[:1]).as_json(0)
    assert spoken["lit"]["value"] is bool(values_F[0])
    assert spoken["shape"]["value"] == ("cube", "ball", "cone")[int(values_F[1])]
    assert spoken["size"]["value"] == ("s", "m", "l", "xl")[int(values_F[2])]
    assert spoken["age"]["value"] == pytest.approx(values_F[3], abs=12)
    assert set(spoken["hue"]) == {"value", "confidence"}


def test_values_alone_equal_the_readings(adapter: Adapter, tenant: Any) -> None:
    readings = read(adapter, tenant.latents_NL)
    scores_BC = tenant.latents_NL.astype(np.float32) @ adapter.read_LC + adapter.read_bias_C
    assert np.array_equal(values_of(adapter, scores_BC.astype(np.float64)), readings.values_BF)


def test_numbers_stay_in_their_declared_range(adapter: Adapter, tenant: Any) -> None:
    far = tenant.latents_NL.mean(axis=0) + 100 * np.stack([tenant.effects_PL[4], -tenant.effects_PL[4]])
    assert read(adapter, far)["age"].values.tolist() == [90.0, 0.0]


def test_latents_of_another_base_are_refused(adapter: Adapter) -> None:
    with pytest.raises(InvalidInput, match="3 columns, the adapter was fitted on 16") as error:
        read(adapter, np.zeros((1, 3)))
    assert error.value.code == "latent_mismatch"


def test_softmax_survives_large_logits() -> None:
    assert softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]
