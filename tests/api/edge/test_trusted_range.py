"""The flag and the suggestion of edits that leave what a tenant's images show, on avatars drawn by other hands."""

import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.artifact import pack
from heddle_adapters.edit import edit_latents, extrapolation
from heddle_adapters.fit import fit_adapter
from heddle_platform import pixels
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from heddle_platform.factors import parse_factor_set
from tests.api.edge.edge_world import Edge, Fitted, make_world, running_edge

LABELS, HELD_OUT = 200, 400
FACTORS: list[dict[str, Any]] = [
    {"name": "hair_color", "kind": "categorical"},
    {"name": "glasses", "kind": "categorical"},
    {"name": "skin", "kind": "ordinal"},  # the data's own order: from the lightest to the darkest
    {"name": "light", "kind": "continuous", "range": [0, 255], "unit": "luminance of the background"},
]
LABELLED_LIGHT = (180.0, 232.0)  # neither the darkest background nor the lightest was labelled


@dataclass(frozen=True, eq=False)
class Real:
    """A fitted set of real avatars, and the rows after the labelled ones whose background was labelled."""

    fitted: Fitted
    rows: NDArray[np.intp]


def first_images(path: Path, count: int) -> NDArray[np.uint8]:
    """Read the first images of a set, and not the gigabyte that all of them unpack to."""
    with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        data = file.read(count * int(np.prod(shape[1:])))
    return np.frombuffer(data, np.uint8).reshape(count, *shape[1:])


@pytest.fixture(scope="module")
def real(shared_data: Path, runtime: BaseRuntime) -> Real:
    images_NHWC = first_images(shared_data / "avatars.npz", 2000)
    with np.load(shared_data / "avatars.npz") as data:
        columns, factors_NF = [str(name) for name in data["factor_names"]], data["factors"][: len(images_NHWC)]
    named = {name: factors_NF[:, columns.index(name)] for name in ("hair_color", "glasses", "skin")}
    light_N = images_NHWC[:, 0, 0].astype(np.float64) @ (0.299, 0.587, 0.114)
    seen = np.flatnonzero((light_N > LABELLED_LIGHT[0]) & (light_N < LABELLED_LIGHT[1]))[: LABELS + HELD_OUT]
    factors = [
        {**factor, "levels": [f"level {level}" for level in range(named[str(factor["name"])].max() + 1)]}
        if factor["name"] in named
        else factor
        for factor in FACTORS
    ]
    factor_set = parse_factor_set({"name": "real", "factors": factors})
    values_NF = np.column_stack([*(named[str(factor["name"])] for factor in FACTORS[:3]), light_N])[seen]
    latents_NL = runtime.encode(images_NHWC[seen])
    adapter = fit_adapter(
        latents_NL[:LABELS].astype(np.float64), values_NF[:LABELS], factor_set, base_digest=runtime.digest, refine=False
    )
    images = [pixels.encode(images_NHWC[row], "image/png") for row in seen]
    made = Fitted(factor_set, images, latents_NL, values_NF.astype(np.int16), adapter, pack(adapter))
    return Real(made, np.arange(LABELS, len(seen)))


@pytest.fixture(scope="module")
async def real_edge(bundle: BaseBundle, real: Real) -> AsyncIterator[Edge]:
    async with running_edge(make_world(bundle, real.fitted)) as running:
        yield running


def followed(edit: dict[str, Any], suggestion: dict[str, Any]) -> dict[str, Any]:
    """What the suggestion says to ask for instead."""
    left = suggestion.get("leave", [])
    return {
        part: {
            name: value for name, value in (edit.get(part, {}) | suggestion.get(part, {})).items() if name not in left
        }
        for part in ("set", "shift")
    }


def typical(real: Real) -> NDArray[np.intp]:
    """Held-out rows by how far out they are, the nearest first."""
    latents_BL = real.fitted.latents_NL[real.rows]
    return real.rows[np.argsort(extrapolation(real.fitted.adapter, latents_BL))]


def test_one_in_a_hundred_pictures_of_the_same_kind_lies_outside(real: Real) -> None:
    outside = extrapolation(real.fitted.adapter, real.fitted.latents_NL[real.rows]) > 1.0
    assert outside.mean() <= 0.03  # .35 before the radius was that of images left out: it had adapted to its own rows


@pytest.mark.parametrize(
    "edit",
    [
        {"set": {"hair_color": "level 3", "glasses": "level 1"}},
        {"set": {"skin": "level 4", "light": 190.0}},
        {"set": {"light": 227.0}},
        {"shift": {"light": 5.0, "skin": 1.0}},
    ],
)
async def test_an_edit_within_the_labels_is_not_flagged(real_edge: Edge, real: Real, edit: dict[str, Any]) -> None:
    skin_N, light_N = real.fitted.labels_NF[:, 2:].T
    middling = [row for row in typical(real)[:200] if 1 <= skin_N[row] <= 3 and 210 < light_N[row] < 220]
    assert len(middling) > 10
    for row in middling[::4]:
        answer = await real_edge.edit(real.fitted.images[row], **edit)
        assert answer.status_code == 200, answer.text
        assert "x-extrapolation" not in answer.headers
        assert "x-suggestion" not in answer.headers


@pytest.mark.parametrize(
    ("edit", "part", "factor"),
    [
        ({"set": {"light": 250.0}}, "set", "light"),
        ({"set": {"light": 20.0, "glasses": "level 1"}}, "set", "light"),
        ({"shift": {"light": -120.0}}, "shift", "light"),
        ({"shift": {"skin": 7.0}}, "shift", "skin"),
    ],
)
async def test_numbers_beyond_the_labels_are_flagged_and_the_suggestion_is_not(
    real_edge: Edge, real: Real, edit: dict[str, Any], part: str, factor: str
) -> None:
    for row in typical(real)[:60:20]:
        image = real.fitted.images[row]
        far = await real_edge.edit(image, **edit)
        assert float(far.headers["x-extrapolation"]) > 1.0
        suggestion = json.loads(far.headers["x-suggestion"])
        assert suggestion["reason"] == "edit_outside"
        assert 0.0 <= suggestion["strength"] < 1.0
        assert factor in suggestion[part]
        near = await real_edge.edit(image, **followed(edit, suggestion))
        assert near.status_code == 200, near.text
        assert "x-extrapolation" not in near.headers
        assert near.content == far.content  # it was drawn as far as the labels go, and is now asked for so


async def test_an_edit_that_takes_a_picture_over_the_border_is_flagged_and_the_suggestion_is_not(
    real_edge: Edge, real: Real
) -> None:
    """Levels have no halves: what is left is fewer factors at once."""
    fitted, found = real.fitted, 0
    for row in typical(real)[::-1]:
        inside = extrapolation(fitted.adapter, fitted.latents_NL[row : row + 1])[0] <= 1.0
        for level in range(8):
            edit: dict[str, Any] = {"set": {"hair_color": f"level {level}", "glasses": "level 2", "skin": "level 4"}}
            request = EditRequest.model_validate({"adapter": "avatars", **edit})
            over = edit_latents(fitted.adapter, fitted.latents_NL[row : row + 1], [request]).extrapolation_B[0] > 1.001
            if inside and over and found < 3:
                found += 1
                far = await real_edge.edit(fitted.images[row], **edit)
                suggestion = json.loads(far.headers["x-suggestion"])
                assert suggestion["reason"] == "edit_outside"
                assert suggestion["leave"]
                near = await real_edge.edit(fitted.images[row], **followed(edit, suggestion))
                assert "x-extrapolation" not in near.headers
    assert found  # pictures just inside are rare, and edits move little of what 64 latents say


@pytest.mark.parametrize("file", ["avatars_pixelart.npz", "glyphs.npz", "lpc_sprites.npz", "cmu_faces.npz"])
async def test_pictures_of_another_kind_are_flagged_whatever_is_asked(
    real_edge: Edge, shared_data: Path, file: str
) -> None:
    for image_HWC in first_images(shared_data / file, 300)[::100]:
        picture = pixels.encode(np.broadcast_to(image_HWC, (64, 64, 3)), "image/png")
        answer = await real_edge.edit(picture, set={"glasses": "level 1"})
        assert float(answer.headers["x-extrapolation"]) > 1.2
        assert json.loads(answer.headers["x-suggestion"]) == {"reason": "image_outside"}
