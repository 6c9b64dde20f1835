"""Small PNGs: the pixels come back, the same pixels give the same bytes, at about the length Pillow needs."""

import io

import numpy as np
import pytest
from PIL import Image

from heddle_platform import pixels
from heddle_platform.base import rendered
from heddle_platform.small_png import small_png


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 5), (64, 64), (127, 128)])
def test_the_pixels_come_back(size: tuple[int, int]) -> None:
    image_HWC = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = small_png(image_HWC)
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(picture), image_HWC)
    assert small_png(image_HWC.copy()) == data
    assert pixels.encode(image_HWC[::-1][::-1], "image/png") == data  # rows need not lie one after another


def test_avatars_are_about_as_short_as_pillow_makes_them() -> None:
    for data in rendered.labelled_set("micah", n=3, seed=1, size=64).images:
        image_HWC = pixels.decode(data, max_bytes=10**6, max_pixels=10**6)
        stream = io.BytesIO()
        Image.fromarray(image_HWC).save(stream, "PNG")
        assert len(small_png(image_HWC)) < 1.15 * len(stream.getvalue())
