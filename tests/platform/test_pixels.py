"""Decoding, scaling and encoding: every honest file gives the right pixels."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from heddle_platform.image_header import MediaType, read_header
from heddle_platform.pixels import Decoded, add_change, decode_layers, encode, resize, with_alpha
from tests.platform.image_files import (
    TYPES,
    chunk,
    decoded,
    photo,
    png,
    saved,
)


@pytest.fixture(scope="module", name="photo")
def _photo() -> NDArray[np.uint8]:
    return photo()


@pytest.mark.parametrize("media_type", TYPES)
def test_a_round_trip_keeps_the_pixels(photo: NDArray[np.uint8], media_type: MediaType) -> None:
    data = encode(photo, media_type)
    assert read_header(data).media_type == media_type
    back = decoded(data)
    assert back.shape == photo.shape
    assert back.dtype == np.uint8
    most = 0 if media_type == "image/png" else 12
    assert int(np.abs(back.astype(int) - photo.astype(int)).max()) <= most
    assert encode(photo, media_type) == data


@pytest.mark.parametrize(
    ("depth", "sample", "grey"), [(1, 0x80, 255), (2, 0x40, 85), (4, 0x70, 119), (8, 0x37, 0x37), (8, 0, 0)]
)
def test_grey_of_every_depth(depth: int, sample: int, grey: int) -> None:
    assert decoded(png(1, 1, depth, 0, bytes([0, sample]))).tolist() == [[[grey] * 3]]


@pytest.mark.parametrize(("wide", "grey"), [(0, 0), (65_535, 255), (0x8080, 128), (257 * 7, 7), (300, 1)])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(wide: int, grey: int) -> None:
    assert decoded(png(1, 1, 16, 0, b"\0" + struct.pack(">H", wide))).tolist() == [[[grey] * 3]]


def test_sixteen_bit_colour() -> None:
    assert decoded(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 0x0A00, 0x80FF, 0xFFFF))).tolist() == [[[10, 128, 255]]]


@pytest.mark.parametrize(
    ("depth", "raw", "key"),
    [
        (2, bytes([0, 0b01_00_0000]), b"\x00\x01"),
        (4, bytes([0, 0x40]), b"\x00\x04"),
        (8, bytes([0, 4, 0]), b"\x00\x04"),
        (16, b"\0" + struct.pack(">HH", 0x1234, 0), b"\x12\x34"),
    ],
)
def test_a_transparent_grey_turns_white_at_every_depth(depth: int, raw: bytes, key: bytes) -> None:
    assert decoded(png(2, 1, depth, 0, raw, chunk(b"tRNS", key))).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize(("depth", "form"), [(8, ">BBB"), (16, ">HHH")])
def test_a_transparent_colour_turns_white_at_every_depth(depth: int, form: str) -> None:
    raw = b"\0" + struct.pack(form, 1, 2, 3) + struct.pack(form, *[(2**depth - 1)] * 2, 0)
    extra = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    assert decoded(png(2, 1, depth, 2, raw, extra)).tolist() == [[[255] * 3, [255, 255, 0]]]


def test_alpha_is_laid_over_white() -> None:
    picture = Image.new("RGBA", (2, 1))
    picture.putdata([(255, 0, 0, 0), (0, 0, 0, 51)])
    assert decoded(saved(picture, "PNG")).tolist() == [[[255] * 3, [204] * 3]]
    assert decoded(saved(picture, "WEBP", lossless=True)).tolist() == [[[255] * 3, [204] * 3]]
    grey = Image.new("LA", (1, 1), (0, 51))
    assert decoded(saved(grey, "PNG")).tolist() == [[[204] * 3]]


def test_a_palette_with_transparency() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 255, 9, 9, 9])
    picture.putdata([0, 1])
    assert decoded(saved(picture, "PNG")).tolist() == [[[0, 0, 255], [9, 9, 9]]]
    assert decoded(saved(picture, "PNG", transparency=1)).tolist() == [[[0, 0, 255], [255] * 3]]


def test_cmyk_means_ink() -> None:
    cyan = decoded(saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=95))[4, 4]
    assert np.abs(cyan.astype(int) - [0, 255, 255]).max() <= 3
    black = decoded(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG", quality=95))[4, 4]
    assert black.max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_exif_orientation_is_carried_out(orientation: int, kind: str) -> None:
    corner = np.zeros((16, 32, 3), np.uint8)
    corner[:8, :8] = 255  # the one bright corner tells all eight turns apart together with the shape
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = decoded(saved(Image.fromarray(corner), kind, exif=exif))
    tall = orientation >= 5
    assert turned.shape == ((32, 16, 3) if tall else (16, 32, 3))
    bright = [turned[y, x].min() > 200 for y, x in ((2, 2), (2, -3), (-3, 2), (-3, -3))]
    where = {1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[orientation]
    assert bright == [index == where for index in range(4)]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_is_ignored(photo: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(photo), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")
    assert np.array_equal(decoded(data), photo)


def test_a_colour_profile_is_applied_and_a_broken_one_ignored() -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    red = Image.new("RGB", (2, 2), (200, 30, 30))
    for profile in (b"not a profile", linear):  # one cannot be parsed, the other does not fit RGB pixels
        assert decoded(saved(red, "PNG", icc_profile=profile))[0, 0].tolist() == [200, 30, 30]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decoded(saved(red, "PNG", icc_profile=srgb))[0, 0].tolist() == [200, 30, 30]


def swapped_primaries() -> bytes:
    """Return an sRGB profile that names green "red"."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # exchanging the tag names of the red and green primaries leaves a valid profile
    srgb = bytearray(bytes(srgb).replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ"))
    return bytes(srgb).replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be")).replace(b"sRGB", b"odd!", 0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "P with transparency"])
def test_swapped_primaries_in_a_profile_are_swapped_back(mode: str) -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0) if "A" in mode or "transparency" in mode else (255, 0, 0, 255))
    options: dict[str, Any] = {}
    if mode.startswith("P"):
        picture = Image.new("P", (2, 1))
        picture.putpalette([255, 0, 0, 9, 9, 9])
        picture.putdata([0, 1])
        options = {"transparency": 1} if "transparency" in mode else {}
    elif mode == "RGB":
        picture = picture.convert("RGB")
    pixels_HWC = decoded(saved(picture, "PNG", icc_profile=swapped_primaries(), **options)).astype(int)
    red, green, _ = pixels_HWC[0, 0]
    assert green > 200 > 60 > red
    if mode in ("RGBA", "P with transparency"):
        assert pixels_HWC[0, 1].tolist() == [255, 255, 255], "the profile is of the pixels, not of the paper"


@pytest.mark.parametrize("mode", ["L", "LA", "16 bit"])
def test_a_profile_of_greys_is_applied_to_greys(mode: str) -> None:
    profile = grey_profile(1.0)  # linear: half the light is a lighter grey in sRGB
    if mode == "16 bit":
        data = png(1, 1, 16, 0, b"\0\x80\x80", chunk(b"iCCP", b"grey\0\0" + zlib.compress(profile)))
    else:
        data = saved(Image.new(mode, (1, 1), 128 if mode == "L" else (128, 255)), "PNG", icc_profile=profile)
    grey = decoded(data)[0, 0].astype(int)
    assert np.abs(grey - 188).max() <= 2, grey


def grey_profile(gamma: float) -> bytes:
    """Return the least an ICC profile of greys holds: ICC.1:2004-10, 7.2 and 8.5, `gamma` as a u8Fixed8 curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    words = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + b"\0" * 78
    words += b"\0" * (-len(words) % 4)
    tags, at, body = b"", 128 + 4 + 3 * 12, b""
    for name, data in ((b"kTRC", curve), (b"wtpt", white), (b"desc", words)):
        tags += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D) + b"\0" * 48
    return head + struct.pack(">I", 3) + tags + body


def test_metadata_is_not_given_back(photo: NDArray[np.uint8]) -> None:
    for media_type in TYPES:
        with Image.open(io.BytesIO(encode(photo, media_type))) as picture:
            picture.load()
            assert not {"exif", "icc_profile", "comment", "xmp", "Software"} & picture.info.keys()


def test_one_pixel() -> None:
    assert decoded(saved(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")).tolist() == [[[1, 2, 3]]]


def test_resize_squeezes_to_the_square() -> None:
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 40:] = 255
    small = resize(halves, 8)
    assert small.shape == (8, 8, 3)
    assert small[:, :3].max() <= 20
    assert small[:, 5:].min() >= 235
    square = np.zeros((8, 8, 3), np.uint8)
    assert resize(square, 8) is square


def test_a_change_is_added_where_it_is_and_nowhere_else(photo: NDArray[np.uint8]) -> None:
    untouched = add_change(photo, np.full((8, 8, 3), 0.0019, np.float32))
    assert np.array_equal(untouched, photo)
    change = np.zeros((40, 48, 3), np.float32)
    change[5, 7] = (0.1, -0.1, 2.0)
    out = add_change(photo, change)
    expected = np.clip(photo[5, 7] + np.rint(change[5, 7] * 255), 0, 255)
    assert out[5, 7].tolist() == expected.tolist()
    out[5, 7] = photo[5, 7]
    assert np.array_equal(out, photo)


def test_a_flat_change_stays_flat_at_any_resolution() -> None:
    grey = np.full((37, 23, 3), 100, np.uint8)
    assert np.all(add_change(grey, np.full((8, 8, 3), 10 / 255, np.float32)) == 110)


def over(ground: int, straight_HWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Lay a picture with alpha over a grey."""
    alpha = straight_HWC[..., 3:].astype(float) / 255
    laid: NDArray[np.float64] = straight_HWC[..., :3] * alpha + ground * (1 - alpha)
    return laid


def transparent(photo: NDArray[np.uint8]) -> Decoded:
    """Return the photo under an alpha that goes through all values from left to right."""
    height, width, _ = photo.shape
    alpha = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
    made = decode_layers(saved(Image.fromarray(np.dstack([photo, alpha])), "PNG"), max_bytes=10**7, max_pixels=10**7)
    assert made.straight_HWC is not None
    assert np.array_equal(made.straight_HWC, np.dstack([photo, alpha]))
    return made


def test_what_was_not_edited_keeps_colour_and_alpha(photo: NDArray[np.uint8]) -> None:
    made = transparent(photo)
    assert made.straight_HWC is not None
    assert np.array_equal(with_alpha(made.flat_HWC, made), made.straight_HWC)


def test_an_edit_looks_the_same_over_white_and_covers_what_it_draws(photo: NDArray[np.uint8]) -> None:
    made = transparent(photo)
    edited = made.flat_HWC.copy()
    edited[5:, :] = np.random.default_rng(3).integers(0, 256, edited[5:, :].shape, dtype=np.uint8)
    kept = with_alpha(edited, made)
    assert np.array_equal(kept[:5], made.straight_HWC[:5])  # type: ignore[index]
    assert np.abs(over(255, kept) - edited).max() <= 1.0
    clear = np.abs(edited.astype(int) - made.flat_HWC).max(axis=2) >= 32
    assert clear.any()
    assert (kept[clear][:, 3] == 255).all()


def test_what_redrawing_does_to_nothing_stays_nearly_nothing() -> None:
    nothing = saved(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")
    made = decode_layers(nothing, max_bytes=10**6, max_pixels=10**6)
    kept = with_alpha(np.full((4, 4, 3), 250, np.uint8), made)
    assert kept[..., 3].max() <= 5
    assert np.abs(over(255, kept) - 250).max() <= 1.0


def test_an_opaque_file_has_no_alpha_to_give_back(photo: NDArray[np.uint8]) -> None:
    made = decode_layers(saved(Image.fromarray(photo).convert("RGBA"), "PNG"), max_bytes=10**7, max_pixels=10**7)
    assert made.straight_HWC is None
    with pytest.raises(ValueError, match="no transparency"):
        with_alpha(photo, made)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_alpha_is_turned_with_its_picture(kind: str, orientation: int) -> None:
    picture = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 2, 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    made = decode_layers(saved(picture, kind, exif=exif, **options), max_bytes=10**6, max_pixels=10**6)
    assert made.straight_HWC is not None
    assert made.straight_HWC[..., 3].sum() == 4 * 255
    assert made.straight_HWC[0, 0 if orientation == 1 else -1, 3] == 255
