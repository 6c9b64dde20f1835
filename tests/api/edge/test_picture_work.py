"""Picture work: the same pixels on a thread as at once, and strips that stay images."""

import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from heddle_api.edge.draw import Drawn
from heddle_api.edge.grid import MAX_PICTURES
from heddle_api.edge.picture_work import LIGHT_BYTES, TILE_SIDE, Picture, PictureWork, compose, is_light
from heddle_platform import pixels
from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.settings import LimitSettings
from tests.platform.image_files import decoded


@pytest.fixture
def work() -> Iterator[PictureWork]:
    made = PictureWork(LimitSettings(image_max_bytes=3_000_000, image_max_pixels=1_000_000))
    yield made
    made.close()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def drawn(detail: str) -> Drawn:
    pictures = np.random.default_rng(1).random((2, 64, 64, 3), dtype=np.float32)
    return Drawn(pictures[0], pictures[1] if detail == "preserve" else None, "preserve", 0.5)


def png(image: NDArray[np.uint8], **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", **options)
    return out.getvalue()


@pytest.mark.parametrize(("side", "light"), [(64, True), (128, True), (300, False)])
@pytest.mark.parametrize("detail", ["decode", "preserve"])
async def test_light_and_heavy_images_go_the_same_way(work: PictureWork, side: int, light: bool, detail: str) -> None:
    image = noise(side, side)
    data = png(image)
    assert is_light(data) == light
    picture = await work.decode(data, 64)
    assert np.array_equal(picture.full_HWC, image)
    assert np.array_equal(picture.small_HWC, pixels.resize(image, 64))
    finished = await work.finish(picture, drawn(detail), "image/png")
    assert np.array_equal(decoded(finished), compose(picture, drawn(detail)))


def test_what_can_hide_work_is_not_light() -> None:
    small = noise(8, 8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_light(png(small))
    assert not is_light(png(small, icc_profile=profile))
    assert not is_light(png(small) + b"\0" * LIGHT_BYTES)
    assert not is_light(png(noise(8, 8)).replace(b"IDAT", b"zTXt"))


async def test_heavy_work_leaves_the_loop_and_its_errors_come_back(work: PictureWork) -> None:
    with pytest.raises(TooLarge):
        await work.decode(png(noise(1_001, 1_000)), 64)
    with pytest.raises(InvalidInput):
        await work.decode(png(noise(300, 300))[:-1_000], 64)
    assert any(thread.name.startswith("pictures") for thread in threading.enumerate())


async def test_the_longest_strip_is_still_an_image(work: PictureWork) -> None:
    picture = Picture(noise(900, 900), noise(64, 64))
    strip = await work.strip(picture, [drawn("decode")] * MAX_PICTURES, "image/webp")
    with Image.open(io.BytesIO(strip)) as opened:
        assert opened.height == TILE_SIDE
        assert opened.width == MAX_PICTURES * (TILE_SIDE + 4) - 4 <= pixels.MAX_SIDE


async def test_a_thin_image_in_a_strip_keeps_at_least_a_pixel(work: PictureWork) -> None:
    picture = Picture(noise(2_000, 2), noise(64, 64))
    strip = decoded(await work.strip(picture, [drawn("preserve")] * 2, "image/png"))
    assert strip.shape == (TILE_SIDE, 1 + 4 + 1, 3)
