"""The edge over HTTP: edits, images, grids, headers, and every way to ask for something wrong."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heddle_adapters.edit import edit_latents
from heddle_adapters.read import read
from heddle_api.edit_id import EditSigner
from heddle_platform import pixels
from heddle_platform.base.runtime import BaseRuntime, to_uint8
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Categorical
from tests.api.edge.edge_world import OTHER, TENANT, Edge


@pytest.fixture(name="edge")
def _edge(shared_edge: Edge) -> Any:
    return shared_edge


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return pixels.decode(data, max_bytes=10**7, max_pixels=10**7)


async def test_an_edit_is_what_the_parts_say_one_by_one(edge: Edge, runtime: BaseRuntime) -> None:
    fitted, row = edge.world.fitted, 306
    image = fitted.images[row]
    answer = await edge.edit(image, set={"glasses": "round"}, detail="preserve")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-adapter-version"] == "avatars@1"
    assert answer.headers["x-cache"] == "miss"
    assert answer.headers["x-detail"] == "preserve"

    small = pixels.resize(pixels_of(image), runtime.image_size)
    latents_1L = runtime.encode(small[None])
    request = EditRequest(adapter="avatars", set={"glasses": "round"}, detail="preserve")
    edited = edit_latents(fitted.adapter, latents_1L, [request])
    after, before = runtime.decode(np.concatenate([edited.latents_BL, latents_1L]))
    expected = pixels.add_change(pixels_of(image), after - before)
    assert np.abs(pixels_of(answer.content).astype(int) - expected.astype(int)).max() <= 1


async def test_decode_answers_the_decoders_picture_at_the_images_own_size(edge: Edge, runtime: BaseRuntime) -> None:
    image = edge.world.fitted.images[305]
    answer = await edge.edit(image, detail="decode")
    assert answer.headers["x-detail"] == "decode"
    small = pixels.resize(pixels_of(image), runtime.image_size)
    drawn = to_uint8(runtime.decode(runtime.encode(small[None]))[0])
    expected = pixels.scale(drawn, *pixels_of(image).shape[:2])
    assert np.abs(pixels_of(answer.content).astype(int) - expected.astype(int)).max() <= 1


async def test_edits_flip_the_reading_of_the_result(edge: Edge, runtime: BaseRuntime) -> None:
    fitted = edge.world.fitted
    flipped = 0
    for row in range(300, 312):
        wanted = "red" if fitted.level(row, "hair_color") != "red" else "blue"
        answer = await edge.edit(fitted.images[row], set={"hair_color": wanted})
        latents_1L = runtime.encode(pixels.resize(pixels_of(answer.content), runtime.image_size)[None])
        flipped += read(fitted.adapter, latents_1L).as_json(0)["hair_color"]["value"] == wanted
    assert flipped >= 9


@pytest.mark.parametrize("size", [(96, 96), (1, 1), (200, 40), (31, 77)])
@pytest.mark.parametrize("detail", ["decode", "preserve"])
async def test_the_answer_has_the_images_own_size(edge: Edge, size: tuple[int, int], detail: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(out, "PNG")
    answer = await edge.edit(
        out.getvalue(), set={"background": edge.world.fitted.level(0, "background")}, detail=detail
    )
    assert pixels_of(answer.content).shape == (size[1], size[0], 3)


async def test_an_edit_of_nothing_keeps_every_pixel_in_preserve(edge: Edge) -> None:
    image = edge.world.fitted.images[301]
    answer = await edge.edit(image, detail="preserve")
    assert np.array_equal(pixels_of(answer.content), pixels_of(image))


async def test_transparency_stays_where_nothing_was_drawn(edge: Edge) -> None:
    face = Image.open(io.BytesIO(edge.world.fitted.images[301])).convert("RGBA")
    alpha = np.full((face.height, face.width), 255, np.uint8)
    alpha[:, :20] = 0
    alpha[:, 20:30] = 100
    face.putalpha(Image.fromarray(alpha))
    out = io.BytesIO()
    face.save(out, "PNG")
    untouched = await edge.edit(out.getvalue(), detail="preserve")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(untouched.content))), np.asarray(face))
    wanted = {"glasses": "round", "background": "rose"}
    flat = Image.alpha_composite(Image.new("RGBA", face.size, "white"), face).convert("RGB")
    alike = await edge.edit(pixels.encode(np.asarray(flat), "image/png"), set=wanted, detail="preserve")
    for accept, worst in (("image/png", 2), ("image/jpeg", 40), ("image/webp", 60)):
        edited = await edge.edit(out.getvalue(), accept=accept, set=wanted, detail="preserve")
        with Image.open(io.BytesIO(edited.content)) as answer:
            assert answer.mode == ("RGB" if accept == "image/jpeg" else "RGBA")
        assert np.abs(pixels_of(edited.content).astype(int) - pixels_of(alike.content)).max() <= worst


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/webp", "image/webp"),
        ("image/*", "image/png"),
        ("*/*", "image/png"),
        ("image/avif,image/webp,image/*;q=0.8", "image/webp"),
        ("image/png;q=0.1, image/jpeg;q=0.9", "image/jpeg"),
        ("image/png;q=0, */*", "image/jpeg"),
    ],
)
async def test_accept_decides_the_type(edge: Edge, accept: str, media_type: str) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], accept=accept)
    assert answer.headers["content-type"] == media_type
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert f"image/{(picture.format or '').lower()}" == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/png;q=0", "image/png;q=nan"])
async def test_a_type_we_do_not_make_is_refused(edge: Edge, accept: str) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], accept=accept)
    assert answer.status_code == 406
    assert answer.json()["code"] == "not_acceptable"


async def test_the_second_identical_edit_is_a_hit_and_the_same_bytes(edge: Edge) -> None:
    image = edge.world.fitted.images[313]
    first = await edge.edit(image, set={"glasses": "none"})
    second = await edge.edit(image, set={"glasses": " none "}, adapter="avatars@1")  # the same thing in other words
    other = await edge.edit(image, set={"skin": "ebony"})
    assert [answer.headers["x-cache"] for answer in (first, second, other)] == ["miss", "hit", "latent"]
    assert first.content == second.content
    assert first.headers["x-edit-id"] != second.headers["x-edit-id"]
    stages = {entry.partition(";")[0] for entry in first.headers["server-timing"].split(", ")}
    assert {"cache", "pixels", "queue", "encode", "edit", "decode", "total"} == stages


async def test_the_edit_id_says_what_was_done_and_only_to_its_tenant(edge: Edge) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], set={"glasses": "none"}, detail="decode")
    signer = EditSigner("a secret of the tests")
    receipt = signer.verify(answer.headers["x-edit-id"], TENANT)
    assert receipt.adapter == "avatars@1"
    assert receipt.adapter_digest == edge.world.fitted.digest
    assert receipt.edit == {"set": {"glasses": "none"}, "detail": "decode"}
    with pytest.raises(InvalidInput):
        signer.verify(answer.headers["x-edit-id"], OTHER)


async def test_far_edits_are_flagged_and_near_ones_are_not(edge: Edge, runtime: BaseRuntime) -> None:
    fitted = edge.world.fitted
    flagged = {}
    for kind in ("noise", "face"):
        image = fitted.images[303]
        if kind == "noise":
            noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            image = pixels.encode(noise, "image/png")
        answer = await edge.edit(image)
        small = pixels.resize(pixels_of(image), runtime.image_size)
        outside = edit_latents(fitted.adapter, runtime.encode(small[None]), [EditRequest(adapter="avatars")])
        ratio = float(outside.extrapolation_B[0])
        flagged[kind] = answer.headers.get("x-extrapolation")
        assert (flagged[kind] is not None) == (ratio > 1.0)
        if flagged[kind] is not None:
            assert float(flagged[kind]) == pytest.approx(ratio, abs=0.02)
    assert flagged["noise"] is not None


# images sent ahead


async def test_an_image_sent_ahead_is_read_and_edited_by_its_id(edge: Edge) -> None:
    fitted, row = edge.world.fitted, 310
    sent = await edge.post(
        "/v1/images",
        files={"image": ("face.png", fitted.images[row])},
        data={"adapter": "avatars@production"},
        headers=edge.world.headers(),
    )
    assert sent.status_code == 201, sent.text
    body = sent.json()
    assert (body["width"], body["height"], body["adapter"]) == (96, 96, "avatars@1")
    assert sent.headers["x-adapter-version"] == "avatars@1"
    assert "total;dur=" in sent.headers["server-timing"]
    assert set(body["readings"]) == set(fitted.factor_set.names)
    assert body["readings"] == read(fitted.adapter, fitted.latents_NL[row : row + 1]).as_json(0)
    assert 0 < (datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)).total_seconds() <= 3600

    form = {"image_id": body["image_id"], "edit": json.dumps({"adapter": "avatars", "set": {"skin": "sand"}})}
    by_id = await edge.post("/v1/edits", files=_no_files(form), headers=edge.world.headers())
    assert by_id.status_code == 200, by_id.text
    assert by_id.headers["x-cache"] == "latent"
    by_image = await edge.edit(fitted.images[row], set={"skin": "sand"})
    assert by_image.headers["x-cache"] == "hit"
    assert by_image.content == by_id.content


async def test_an_image_without_an_adapter_has_no_readings(edge: Edge) -> None:
    files = {"image": ("face.png", edge.world.fitted.images[0])}
    sent = await edge.post("/v1/images", files=files, headers=edge.world.headers("other"))
    again = await edge.post("/v1/images", files=files, headers=edge.world.headers("other"))
    assert ("x-adapter-version" in sent.headers, again.headers["x-cache"]) == (False, "latent")
    body = sent.json()
    assert body["readings"] is None
    assert body["image_id"].startswith("img_")


async def test_an_image_belongs_to_its_tenant(edge: Edge) -> None:
    files = {"image": ("face.png", edge.world.fitted.images[0])}
    sent = (await edge.post("/v1/images", files=files, headers=edge.world.headers("other"))).json()
    for image_id in (sent["image_id"], "img_nonsense", TENANT):
        form = {"image_id": image_id, "edit": json.dumps({"adapter": "avatars"})}
        answer = await edge.post("/v1/edits", files=_no_files(form), headers=edge.world.headers())
        assert answer.status_code == 404
        assert answer.json()["code"] == "unknown_image"


def _no_files(form: dict[str, str]) -> Any:
    return {name: (None, value) for name, value in form.items()}


# grids


async def test_a_grid_shows_every_level_and_each_tile_is_the_edit(edge: Edge) -> None:
    image = edge.world.fitted.images[304]
    answer = await edge.post(
        "/v1/edits/grid",
        files={"image": ("face.png", image)},
        data={"grid": json.dumps({"adapter": "avatars", "factor": "glasses"})},
        headers=edge.world.headers(),
    )
    assert answer.status_code == 200, answer.text
    glasses = edge.world.fitted.factor_set.factor("glasses")
    assert isinstance(glasses, Categorical)
    levels = glasses.level_names
    assert json.loads(answer.headers["x-grid-values"]) == list(levels)
    strip = pixels_of(answer.content)
    assert strip.shape == (96, len(levels) * 100 - 4, 3)
    for place, level in enumerate(levels):
        tile = pixels_of((await edge.edit(image, set={"glasses": level})).content)
        assert np.abs(strip[:, place * 100 : place * 100 + 96].astype(int) - tile.astype(int)).max() <= 1


async def test_a_grid_of_a_picture_unlike_the_labelled_ones_is_flagged(edge: Edge) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    flagged = {}
    for name, image in (("noise", pixels.encode(noise, "image/png")), ("face", edge.world.fitted.images[300])):
        answer = await edge.post(
            "/v1/edits/grid",
            files={"image": ("face.png", image)},
            data={"grid": json.dumps({"adapter": "avatars", "factor": "glasses"})},
            headers=edge.world.headers(),
        )
        alone = [
            (await edge.edit(image, set={"glasses": level})).headers.get("x-extrapolation", "0")
            for level in json.loads(answer.headers["x-grid-values"])
        ]
        flagged[name] = float(answer.headers.get("x-extrapolation", "0"))
        assert flagged[name] == max(map(float, alone))
    assert flagged["noise"] > 1.0


@pytest.mark.parametrize(
    ("grid", "status", "code"),
    [
        ({"adapter": "avatars", "factor": "nose"}, 422, "unknown_factor"),
        ({"adapter": "avatars", "factor": "mouth"}, 422, "factor_refused"),
        ({"adapter": "avatars", "factor": "skin", "steps": 1}, 422, "invalid_grid"),
        ({"factor": "skin"}, 422, "invalid_grid"),
        ({"adapter": "nobody", "factor": "skin"}, 404, "unknown_adapter"),
    ],
)
async def test_bad_grids(edge: Edge, grid: dict[str, Any], status: int, code: str) -> None:
    answer = await edge.post(
        "/v1/edits/grid",
        files={"image": ("face.png", edge.world.fitted.images[0])},
        data={"grid": json.dumps(grid)},
        headers=edge.world.headers(),
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
