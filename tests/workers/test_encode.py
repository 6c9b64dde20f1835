"""Encoding: any number of threads and any slicing give the same latents; stored latents are checked."""

import numpy as np
import pytest

from heddle_platform import pixels
from heddle_platform.errors import DataCorrupt
from heddle_platform.latents import pack_latents, unpack_latents
from heddle_platform.settings import LimitSettings
from heddle_workers.encode import encode_rows
from heddle_workers.image_set import open_image_set
from heddle_workers.progress import silent

from .conftest import packed, png, upload_of
from .study import Study


def test_latents_are_those_of_the_base_for_the_resized_image(study: Study) -> None:
    runtime = study.trips.runtime
    image = pixels.resize(study.images.original(7), runtime.image_size)
    np.testing.assert_allclose(study.trips.latents_NL[7:8], runtime.encode(image[None]), atol=1e-5)


def test_slices_and_threads_change_nothing(study: Study) -> None:
    runtime = study.trips.runtime
    parts = [encode_rows(study.images, rows, runtime, silent, threads=2) for rows in (range(50), range(50, 120))]
    np.testing.assert_allclose(np.concatenate(parts), study.trips.latents_NL, atol=1e-5)


def test_the_share_done_is_told_in_order(study: Study) -> None:
    told: list[tuple[str, float]] = []
    encode_rows(study.images, range(70), study.trips.runtime, lambda *report: told.append(report), threads=2)
    assert told == [("encoding", 32 / 70), ("encoding", 64 / 70), ("encoding", 1.0)]


def test_stored_latents_come_back_as_they_were() -> None:
    latents_NL = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(unpack_latents(pack_latents(latents_NL), rows=5), latents_NL)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", 5),
        (pack_latents(np.zeros((5, 3), np.float32))[:-20], 5),
        (pack_latents(np.zeros((5, 3), np.float32)), 6),
        (pack_latents(np.full((5, 3), np.nan, np.float32)), 5),
        (pack_latents(np.zeros(5, np.float32)), 5),
    ],
    ids=["empty", "cut", "rows", "nan", "shape"],
)
def test_damaged_latents_are_refused(data: bytes, rows: int) -> None:
    with pytest.raises(DataCorrupt) as caught:
        unpack_latents(data, rows=rows)
    assert caught.value.code == "latents_corrupt"


def test_a_set_that_lacks_images_is_refused() -> None:
    archive = packed({"labels.csv": b"file\n", "a.png": png()})
    with (
        pytest.raises(DataCorrupt, match="lack 1 of 2") as caught,
        upload_of(archive).file as source,
        open_image_set(source, ("a.png", "b.png"), LimitSettings()),
    ):
        pass
    assert caught.value.code == "images_corrupt"
