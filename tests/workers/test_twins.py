"""Look-alikes: copies that were saved or scaled anew are found, pictures that differ in a factor are not."""

import io

import numpy as np
import pytest
from PIL import Image

from heddle_platform.base.rendered import labelled_set, png_to_rgb
from heddle_workers.twins import NEAR, Thumbnails, near_pairs


@pytest.fixture(scope="module", name="avatars")
def _avatars() -> list[np.ndarray]:
    return [png_to_rgb(data) for data in labelled_set(n=60, seed=5).images]


def again(image: np.ndarray, kind: str) -> np.ndarray:
    """Return a copy as somebody else's software would have saved it."""
    picture = Image.fromarray(image)
    out = io.BytesIO()
    if kind == "jpeg":
        picture.save(out, "JPEG", quality=88)
    elif kind == "webp":
        picture.save(out, "WEBP", quality=88)
    else:
        picture.resize((150, 150) if kind == "larger" else (40, 40), Image.Resampling.LANCZOS).save(out, "PNG")
    return np.asarray(Image.open(out).convert("RGB"))


def thumbnails(pictures: list[tuple[str, np.ndarray]]) -> Thumbnails:
    found = Thumbnails()
    for name, image in pictures:
        found.add(name, name, image)
    return found


@pytest.mark.parametrize("kind", ["jpeg", "webp", "larger", "smaller"])
def test_copies_are_found_and_name_their_originals(avatars: list[np.ndarray], kind: str) -> None:
    originals = [(f"a{index}", image) for index, image in enumerate(avatars)]
    copies = [(f"b{index}", again(image, kind)) for index, image in enumerate(avatars)]
    pairs = thumbnails(originals + copies).twins()
    right = sum(earlier == "a" + later[1:] for later, earlier in pairs)
    assert right >= 0.9 * len(avatars)
    assert all(later[0] == "b" for later, _ in pairs)  # avatars themselves differ


def test_byte_for_byte_copies_are_another_matter(avatars: list[np.ndarray]) -> None:
    found = Thumbnails()
    for name in ("first", "second"):
        found.add(name, "the same digest", avatars[0])
    assert found.twins() == []


def test_near_is_a_bound_on_every_cell() -> None:
    thumbs = np.full((4, 192), 100, dtype=np.uint8)
    thumbs[1, 7] += NEAR
    thumbs[2, 7] += 2 * NEAR + 1
    thumbs[3] = 200
    assert near_pairs(thumbs) == [(1, 0)]


def test_thousands_of_like_pictures_take_no_square_of_memory() -> None:
    thumbs = np.random.default_rng(0).integers(100, 103, (20_000, 192), dtype=np.uint8)
    pairs = near_pairs(thumbs)
    assert len(pairs) >= 15_000  # all but rows whose eight nearest neighbours come after them
    assert all(earlier < later for later, earlier in pairs)
