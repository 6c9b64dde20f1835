"""An evaluation as a function of bytes: which cells are read, and which images the version has seen."""

from typing import Any

import numpy as np
import pytest

from heddle_adapters.artifact import pack
from heddle_platform.errors import InvalidInput
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_workers.evaluate import evaluate_set
from tests.adapters.conftest import Tenant, make_tenant

FACTORS: dict[str, Any] = {
    "name": "things",
    "factors": [
        {"name": "lit", "kind": "binary"},
        {"name": "shape", "kind": "categorical", "levels": ["cube", "ball", "cone"]},
    ],
}
LEVELS = ("cube", "ball", "cone")


def labelled(tenant: Tenant, **more: str) -> Manifest:
    rows = [
        ManifestImage(
            file=f"{row}.png", sha256=f"{row:064x}", labels={"lit": str(int(lit)), "shape": LEVELS[int(shape)], **more}
        )
        for row, (lit, shape) in enumerate(tenant.values_NF)
    ]
    return Manifest(images="5" * 64, rows=tuple(rows))


def scored(manifest: Manifest, tenant: Tenant, fitted_on: Manifest | None = None) -> dict[str, Any]:
    adapter = pack(make_tenant(rows=200, document=FACTORS).fit())
    return evaluate_set(adapter, {}, manifest, tenant.latents_NL.astype(np.float32), fitted_on)


def test_a_column_of_weights_is_no_factor_and_any_other_is_refused() -> None:
    tenant = make_tenant(rows=60, seed=3, document=FACTORS)
    plain = scored(labelled(tenant), tenant)
    assert scored(labelled(tenant, weight="2"), tenant)["factors"] == plain["factors"]
    with pytest.raises(InvalidInput) as refused:
        scored(labelled(tenant, hat="1"), tenant)
    assert (refused.value.code, refused.value.param) == ("labels_do_not_fit", "hat")


def test_a_level_that_the_version_does_not_know_is_refused() -> None:
    tenant = make_tenant(rows=60, seed=3, document=FACTORS)
    with pytest.raises(InvalidInput) as refused:
        scored(labelled(tenant, shape="torus"), tenant)
    assert (refused.value.code, refused.value.param) == ("labels_do_not_fit", "shape")


def test_images_are_known_again_by_their_bytes_and_a_card_that_cannot_be_read_is_left_aside() -> None:
    tenant = make_tenant(rows=60, seed=3, document=FACTORS)
    manifest = labelled(tenant)
    fitted_on = Manifest(images="6" * 64, rows=manifest.rows[:15])
    found = scored(manifest, tenant, fitted_on)
    assert (found["seen"], found["scored"], found["compared"]) == (15, 45, None)
    assert scored(manifest, tenant)["seen"] is None
