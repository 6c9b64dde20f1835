"""Metadata goes, pixels stay: every type of file, with orientation, profile and hostile blocks."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from heddle_platform.image_metadata import strip_metadata
from tests.platform.image_files import TYPES, decoded, outcome, photo

SECRET = "53.5511 N, 9.9937 E, Hamburg"
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def told(media_type: str, turn: int = 1, **options: object) -> bytes:
    """Return a file that says where it was taken: in EXIF, and in whatever else its type has for words."""
    exif = Image.Exif()
    exif[0x0112] = turn
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[1] = "N"
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", SECRET)
    more: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": PROFILE, **options}
    if media_type == "image/png":
        more["pnginfo"] = words
    elif media_type == "image/jpeg":
        more["comment"] = SECRET.encode()
        more["xmp"] = SECRET.encode()
    else:
        more["xmp"] = SECRET.encode()
    out = io.BytesIO()
    Image.fromarray(photo()[:20, :30]).save(out, FORMATS[media_type], **more)
    return out.getvalue()


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("turn", [1, 2, 3, 6, 8])
def test_words_go_and_the_picture_stays(media_type: str, turn: int) -> None:
    data = told(media_type, turn)
    assert SECRET.encode() in data
    plain = strip_metadata(data)
    assert SECRET.encode() not in plain
    assert np.array_equal(decoded(plain), decoded(data))
    picture = Image.open(io.BytesIO(plain))
    assert picture.info["icc_profile"] == PROFILE
    left = dict(picture.getexif())
    assert left == ({} if turn == 1 else {0x0112: turn})
    assert strip_metadata(plain) is plain


@pytest.mark.parametrize("media_type", TYPES)
def test_a_plain_file_is_the_same_object(media_type: str) -> None:
    out = io.BytesIO()
    Image.fromarray(photo()).save(out, FORMATS[media_type])
    data = out.getvalue()
    assert strip_metadata(data) is data


@pytest.mark.parametrize("media_type", TYPES)
def test_what_lies_behind_the_end_goes(media_type: str) -> None:
    data = told(media_type) + b"PK\3\4 a zip behind a picture"
    plain = strip_metadata(data)
    assert b"a zip" not in plain
    assert np.array_equal(decoded(plain), decoded(told(media_type)))


def test_a_progressive_jpeg_keeps_every_scan() -> None:
    data = told("image/jpeg", progressive=True, quality=80)
    assert np.array_equal(decoded(strip_metadata(data)), decoded(data))


@pytest.mark.parametrize("media_type", TYPES)
@settings(max_examples=200, deadline=None)
@given(place=st.floats(0, 1), value=st.integers(0, 255), cut=st.floats(0.2, 1))
def test_what_decodes_though_damaged_keeps_its_pixels(media_type: str, place: float, value: int, cut: float) -> None:
    data = bytearray(told(media_type, 6))
    data[20 + int(place * (len(data) - 21))] = value
    broken = bytes(data[: max(40, int(cut * len(data)))])
    _, pixels = outcome(broken)
    if pixels is not None:
        assert np.array_equal(decoded(strip_metadata(broken)), pixels)
