"""Adapters carried to another base without their images: exact for a rotation, measured where something is lost."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import pack, unpack
from heddle_adapters.edit import edit_latents
from heddle_adapters.fit import fit_adapter
from heddle_adapters.latent_map import fit_map
from heddle_adapters.read import read, scores_of
from heddle_adapters.transport import dictionary, loss_of, transported
from heddle_platform import pixels
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.rendered import labelled_set, render_batch
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import parse_factor_set
from tests.turned_base import rotation, turned_base

FACTORS = ("hair_color", "background", "skin")


@lru_cache(maxsize=1)
def fitted() -> tuple[Adapter, NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Return an adapter of real avatars on the shipped base, their latents, their labels, their pictures."""
    found = labelled_set(n=240, seed=5, size=64)
    pictures = np.stack([pixels.decode(png, max_bytes=10**7, max_pixels=10**7) for png in found.images])
    latents_NL = BaseRuntime.from_bundle(load_bundle(default_bundle_path())).encode(pictures).astype(np.float64)
    columns = [found.factors.index(name) for name in FACTORS]
    values_NF = np.hstack(
        [found.labels[:, columns].astype(float), 40 + 10 * latents_NL[:, :2] @ np.array([[1.0], [0.5]])]
    )
    factors: list[dict[str, Any]] = [
        {"name": name, "kind": "categorical", "levels": list(found.levels[column])}
        for name, column in zip(FACTORS, columns, strict=True)
    ]
    factors.append({"name": "warmth", "kind": "continuous", "range": [0, 80]})
    factor_set = parse_factor_set({"name": "avatars", "factors": factors})
    adapter = fit_adapter(latents_NL, values_NF.clip(0, 80), factor_set, base_digest="a" * 64)
    return unpack(pack(adapter)), latents_NL, values_NF, pictures


@lru_cache(maxsize=1)
def anchors() -> NDArray[np.float64]:
    """Return the shipped base's latents of public pictures that are none of the tenant's."""
    pictures = np.concatenate([render_batch(style, 220, 99)[0] for style in ("micah", "notionists")])
    order = np.random.default_rng(0).permutation(len(pictures))
    return BaseRuntime.from_bundle(load_bundle(default_bundle_path())).encode(pictures[order]).astype(np.float64)


def test_a_rotation_is_found_exactly() -> None:
    turn_LL = rotation(64, 3)
    found = fit_map(anchors(), anchors() @ turn_LL + 0.5)
    assert np.abs(found.matrix_LM - turn_LL).max() < 1e-6
    assert np.abs(found.offset_M - 0.5).max() < 1e-6
    assert found.explained > 1 - 1e-9
    assert np.abs(found.left_MM).max() < 1e-9


def test_the_ridge_grows_with_the_noise_and_what_is_explained_falls() -> None:
    turn_LL, random = rotation(64, 3), np.random.default_rng(1)
    noisy = [anchors()[:300] @ turn_LL + size * random.normal(size=(300, 64)) for size in (0.0, 0.3, 3.0)]
    maps = [fit_map(anchors()[:300], one) for one in noisy]
    assert maps[0].ridge < maps[2].ridge
    assert maps[0].explained > maps[1].explained > maps[2].explained


def test_leave_one_out_is_what_leaving_one_out_gives() -> None:
    source, target = anchors()[:60, :6], anchors()[:60, 6:9] + anchors()[:60, :3]
    ridge = 1e-2
    found = fit_map(source, target, ridges=(ridge,))
    weight = ridge * float((np.linalg.svd(source - source.mean(axis=0), compute_uv=False) ** 2).mean())
    errors = []
    for row in range(60):
        rest = np.arange(60) != row
        # the penalty and the centring are those of all rows, as the closed form has it
        centre, middle = source[rest].mean(axis=0), target[rest].mean(axis=0)
        x = source[rest] - centre
        matrix = np.linalg.solve(x.T @ x + weight * np.eye(6), x.T @ (target[rest] - middle))
        errors.append(target[row] - middle - (source[row] - centre) @ matrix)
    assert np.allclose(np.array(errors).T @ np.array(errors) / 60, found.left_MM, rtol=1e-6, atol=1e-9)


def test_reads_and_edits_survive_a_rotation_to_a_millionth() -> None:
    adapter, latents_NL, _, _ = fitted()
    turn_LL = rotation(64, 11)
    between = dictionary(anchors(), anchors() @ turn_LL)
    moved = unpack(pack(transported(adapter, between, "b" * 64)))
    old, new = scores_of(adapter, latents_NL), scores_of(moved, latents_NL @ turn_LL)
    assert np.abs(old - new).max() <= 1e-6 * max(1.0, float(np.abs(old).max()))
    before, after = read(adapter, latents_NL), read(moved, latents_NL @ turn_LL)
    for name in FACTORS:
        assert (before[name].values == after[name].values).all()
        assert np.abs(before[name].confidence - after[name].confidence).max() < 1e-4
    request = EditRequest(adapter="avatars", set={"hair_color": "blue", "warmth": 70.0}, preserve=("skin",))
    old_edit = edit_latents(adapter, latents_NL[:20], [request] * 20)
    new_edit = edit_latents(moved, (latents_NL @ turn_LL)[:20], [request] * 20)
    assert np.abs(old_edit.latents_BL @ turn_LL - new_edit.latents_BL).max() < 1e-3
    assert np.allclose(old_edit.extrapolation_B, new_edit.extrapolation_B, rtol=1e-3)
    loss = loss_of(adapter, moved, between)
    assert [one.value for one in loss.factors[:3]] == [1.0] * 3
    assert loss.factors[3].value > 0.999999
    assert (moved.base_digest, moved.factor_set, moved.refused) == ("b" * 64, adapter.factor_set, adapter.refused)


def test_a_real_second_base_reads_through_the_map_and_the_loss_is_told() -> None:
    adapter, latents_NL, values_NF, pictures = fitted()
    bundle = load_bundle(default_bundle_path())
    strong = np.argsort(-np.abs(adapter.read_LC).sum(axis=1))
    turned, _ = turned_base(bundle, silent=strong[:24].tolist())
    new_base, old_base = BaseRuntime.from_bundle(turned), BaseRuntime.from_bundle(bundle)
    anchor_pictures = np.concatenate([render_batch(style, 220, 99)[0] for style in ("micah", "notionists")])
    order = np.random.default_rng(0).permutation(len(anchor_pictures))
    words = [base.encode(anchor_pictures[order]).astype(np.float64) for base in (old_base, new_base)]
    between = dictionary(*words)
    moved = transported(adapter, between, turned.digest)
    new_NM = new_base.encode(pictures)
    kept = [float((read(moved, new_NM)[name].values == values_NF[:, i]).mean()) for i, name in enumerate(FACTORS)]
    was = [float((read(adapter, latents_NL)[name].values == values_NF[:, i]).mean()) for i, name in enumerate(FACTORS)]
    loss = loss_of(adapter, moved, between)
    assert between.back.explained < 0.95
    # a base that forgot the strongest latents reads worse, and the anchors say so without seeing a tenant's picture
    assert np.mean(kept) < np.mean(was)
    assert min(one.value for one in loss.factors) < 0.95
    assert all(one.interval[0] <= one.value <= one.interval[1] for one in loss.factors)


def test_too_few_anchors_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 256") as refused:
        fit_map(anchors()[:100], anchors()[:100])
    assert refused.value.code == "too_few_anchors"
    with pytest.raises(InvalidInput) as unequal:
        fit_map(anchors(), anchors()[:-1])
    assert unequal.value.code == "row_count_mismatch"


def test_an_adapter_of_another_width_is_refused() -> None:
    adapter, *_ = fitted()
    with pytest.raises(InvalidInput) as refused:
        transported(adapter, dictionary(anchors()[:, :32], anchors()[:, :32]), "b" * 64)
    assert refused.value.code == "latent_mismatch"
