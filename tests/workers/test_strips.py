"""Strips: which images are shown, and what is asked of them."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heddle_adapters.artifact import unpack
from heddle_platform.labels import LabelTable
from heddle_workers.image_set import ImageSet
from heddle_workers.strips import PICTURES, draw_strips
from heddle_workers.trips import RoundTrips

from .study import HOSTILE, LABELLED, Study


class WatchedSet(ImageSet):
    """Remembers which originals were asked for."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self._study.images)

    def original(self, row: int) -> NDArray[np.uint8]:
        self.asked.append(row)
        return self._study.images.original(row)


def test_every_level_is_drawn_of_every_picture_and_numbers_over_their_usable_range(study: Study) -> None:
    adapter = unpack(study.fitted.files["adapter.npz"])
    strips = draw_strips(adapter, study.table, study.trips)
    captions = {
        name: [[picture.caption for picture in strip.after] for strip in strips if strip.factor == name]
        for name in adapter.factor_set.names
    }
    assert captions["wears_glasses"] == [["off", "on"]] * PICTURES
    assert len(captions["background"]) == PICTURES
    assert captions["background"][0][0] == HOSTILE
    assert len(captions["background"][0]) == 6
    low, high = adapter.usable_F2[2]
    assert float(captions["tone"][0][0].split()[0]) == float(f"{low:.4g}")
    assert float(captions["tone"][0][-1].split()[0]) == float(f"{high:.4g}")
    picture = Image.open(io.BytesIO(base64.b64decode(strips[0].before.webp)))
    assert (picture.format, picture.size) == ("WEBP", (96, 96))


def test_pictures_come_from_the_pool_where_there_is_one(study: Study) -> None:
    adapter = unpack(study.fitted.files["adapter.npz"])
    watched = WatchedSet(study)
    draw_strips(adapter, study.table, RoundTrips(study.trips.runtime, watched, study.trips.latents_NL))
    assert len(set(watched.asked)) == PICTURES
    assert min(watched.asked) >= LABELLED


def test_without_a_pool_labelled_pictures_are_spread_over_the_set(study: Study) -> None:
    adapter = unpack(study.fitted.files["adapter.npz"])
    latents_NL = study.trips.latents_NL[:LABELLED]

    class WithoutPool(WatchedSet):
        def __len__(self) -> int:
            return LABELLED

    watched = WithoutPool(study)
    table = LabelTable(study.table.files, study.table.values_NF)
    draw_strips(adapter, table, RoundTrips(study.trips.runtime, watched, latents_NL))
    assert sorted(set(watched.asked)) == [LABELLED // 6, LABELLED // 2, LABELLED * 5 // 6]
