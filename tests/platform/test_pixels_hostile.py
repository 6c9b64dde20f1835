"""Decoding what is hostile or broken: a clear error or the right pixels, in bounded memory."""

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.image_header import MediaType
from heddle_platform.pixels import MAX_JPEG_SCANS, MAX_SIDE, decode, encode
from tests.platform.image_files import (
    TYPES,
    bomb_png,
    chunk,
    decoded,
    header_jpeg,
    header_webp,
    outcome,
    photo,
    png,
    saved,
)


@pytest.fixture(scope="module", name="photo")
def _photo() -> NDArray[np.uint8]:
    return photo()


def peak_growth_kib(call: Callable[[], object]) -> int:
    """How far a call raises this process's resident memory at its highest, in KiB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark, else earlier tests hide the call
    before = peak_kib()
    call()
    return peak_kib() - before


def peak_kib() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1))


def test_a_bomb_is_refused_by_its_header_in_bounded_memory() -> None:
    data = bomb_png()
    assert len(data) < 100_000

    def refuse() -> None:
        with pytest.raises(TooLarge) as caught:
            decode(data, max_bytes=20_000_000, max_pixels=25_000_000)
        assert caught.value.code == "image_too_large"
        assert "400000000" in caught.value.message
        assert "25000000" in caught.value.message

    assert peak_growth_kib(refuse) < 4_096


@pytest.mark.parametrize("make", [header_jpeg, header_webp])
def test_large_sizes_are_refused_in_every_format(make: Callable[[int, int], bytes]) -> None:
    with pytest.raises(TooLarge, match=r"16000 x 15000 = 240000000 pixels, at most 1000000"):
        decoded(make(16_000, 15_000))


def test_a_long_side_is_refused_though_the_pixels_are_few() -> None:
    with pytest.raises(TooLarge, match=rf"{MAX_SIDE + 1} x 1, at most {MAX_SIDE}"):
        decoded(saved(Image.new("L", (MAX_SIDE + 1, 1)), "PNG"))


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    with pytest.raises(TooLarge, match=r"has 11 bytes, at most 10"):
        decode(b"x" * 11, max_bytes=10, max_pixels=1)


def test_a_frame_larger_than_the_declared_canvas_is_refused() -> None:
    honest = saved(Image.new("RGB", (64, 64)), "WEBP", lossless=True)
    lying = header_webp(1, 1) + honest[12:]
    with pytest.raises(InvalidInput):
        decoded(lying)


# refused kinds and broken files


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "JPEG2000", "SGI", "PDF", "AVIF"])
def test_other_formats_are_refused_by_their_signature(kind: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(saved(Image.new("RGB", (16, 16)), kind))
    assert caught.value.code == "unsupported_image"


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"RIFF", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS", b"GIF89a", b"\0" * 100]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(data)
    assert caught.value.code == "unsupported_image"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    with pytest.raises(InvalidInput, match="3 frames, 1 is taken") as caught:
        decoded(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert caught.value.code == "image_animated"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    whole = saved(Image.new("RGB", (64, 64), (9, 9, 9)), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    many = whole[:-2] + whole[start:-2] * MAX_JPEG_SCANS + b"\xff\xd9"
    with pytest.raises(InvalidInput) as caught:
        decoded(many)
    assert caught.value.code == "image_too_complex"


@pytest.mark.parametrize("media_type", TYPES)
def test_every_truncation_is_refused_or_harmless(photo: NDArray[np.uint8], media_type: MediaType) -> None:
    data = encode(photo, media_type)
    whole = decoded(data)
    refused = 0
    for length in range(16, len(data)):
        code, kept = outcome(data[:length])
        if kept is None:
            assert code == "image_damaged"
            refused += 1
        else:  # only what stands behind the last pixel may be missing: a block's end, two checksums, an empty end chunk
            assert np.array_equal(kept, whole)
            assert len(data) - length <= 21
    assert refused >= len(data) - 16 - 21


@pytest.mark.parametrize("media_type", TYPES)
def test_random_damage_never_escapes_as_another_error(photo: NDArray[np.uint8], media_type: MediaType) -> None:
    data = encode(photo, media_type)
    generator = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data)
        for at in generator.integers(0, len(data), size=generator.integers(1, 6)):
            broken[at] = generator.integers(0, 256)
        code, kept = outcome(bytes(broken))
        assert kept is not None or code in {"image_damaged", "unsupported_image", "image_too_large", "image_animated"}


@pytest.mark.parametrize(
    "data",
    [
        png(0, 4, 8, 2, b""),
        png(4, 4, 3, 2, b"\0" * 52),  # no such depth
        png(1, 1, 8, 3, b"\0\0"),  # a palette image without a palette
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b""),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\0\x02",
        b"\xff\xd8\xffno marker",
        header_jpeg(8, 8),
        header_jpeg(0, 8),
        header_webp(8, 8),
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0WEBPjunk" + b"\0" * 40,
    ],
)
def test_nonsense_behind_a_good_signature(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(data)
    assert caught.value.code == "image_damaged"


def test_a_text_bomb_in_a_png_is_refused_or_ignored_in_bounded_memory() -> None:
    squeeze = zlib.compressobj(9)
    squeezed = b"".join(squeeze.compress(b"A" * 1_000_000) for _ in range(100)) + squeeze.flush()
    data = png(1, 1, 8, 0, b"\0\7", chunk(b"zTXt", b"Comment\0\0" + squeezed))
    assert peak_growth_kib(lambda: outcome(data)) < 8_192
    code, kept = outcome(data)
    assert code == "image_damaged" or (kept is not None and kept.tolist() == [[[7] * 3]])


def test_a_polyglot_is_read_as_its_signature_says() -> None:
    page = saved(Image.new("RGB", (2, 2), (1, 2, 3)), "PNG") + b"<script>alert(1)</script>PK\x03\x04"
    assert decoded(page)[0, 0].tolist() == [1, 2, 3]
    assert b"script" not in encode(decoded(page), "image/png")
