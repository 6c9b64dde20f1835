"""A corpus of hostile and odd image files, the same every time: name, bytes, and what a right answer is.

"ok": it is an image and must be edited; "refused": a clear 4xx; "either": damage that may or may not leave an image.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, PngImagePlugin

from tests.platform.image_files import bomb_png, chunk, header_jpeg, header_webp, png, saved

Verdict = Literal["ok", "refused", "either"]
KINDS = ("PNG", "JPEG", "WEBP")


@dataclass(frozen=True)
class Hostile:
    """One file; `size` is (width, height) of the answer where it is known."""

    name: str
    data: bytes
    verdict: Verdict
    size: tuple[int, int] | None = None


def corpus() -> list[Hostile]:
    """Make all files."""
    return [
        *_bombs(),
        *_damage(),
        *_odd_but_right(),
        *_orientations(),
        *_modes(),
        *_profiles(),
        *_disguises(),
        *_animations(),
        *_headers(),
    ]


def _picture(width: int = 40, height: int = 30) -> Image.Image:
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([across * 5, down * 6, 255 - across], axis=2).astype(np.uint8))


def _noisy() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8))


def _bombs() -> Iterator[Hostile]:
    for side in (2_000, 5_000, 20_000):
        yield Hostile(f"bomb-png-{side}", bomb_png(side, side), "refused")
    for width, height in ((65_535, 65_535), (16_000, 15_000), (65_000, 1), (1, 65_000), (20_000, 100)):
        yield Hostile(f"header-jpeg-{width}x{height}", header_jpeg(width, height), "refused")
    for width, height in ((16_384, 16_384), (1 << 24, 1 << 24), (16_000, 15_000), (1 << 24, 1)):
        yield Hostile(f"header-webp-{width}x{height}", header_webp(width, height), "refused")
    for width, height in ((2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 2**32 - 1), (100_000, 100_000), (16_384, 1)):
        yield Hostile(f"header-png-{width}x{height}", png(width, height, 8, 2, b"\0"), "refused")
    squeeze = zlib.compressobj(9)
    text = b"".join(squeeze.compress(b"A" * 1_000_000) for _ in range(50)) + squeeze.flush()
    for name, body in (
        (b"zTXt", b"Comment\0\0" + text),
        (b"iTXt", b"Comment\0\1\0\0\0" + text),
        (b"iCCP", b"profile\0\0" + text),
    ):
        yield Hostile(f"text-bomb-{name.decode()}", png(1, 1, 8, 0, b"\0\7", chunk(name, body)), "either")
    scans = saved(_picture(), "JPEG", progressive=True)
    start = scans.rindex(b"\xff\xda")
    yield Hostile("jpeg-many-scans", scans[:-2] + scans[start:-2] * 300 + b"\xff\xd9", "refused")


def _damage() -> Iterator[Hostile]:
    generator = np.random.default_rng(7)
    for kind in KINDS:
        data = saved(_noisy(), kind)  # noise does not compress: every byte that is cut off held pixels
        for share in (0.02, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9):
            yield Hostile(f"cut-{kind}-{share}", data[: max(4, int(share * len(data)))], "refused")
        for number in range(14):
            broken = bytearray(data)
            for at in generator.integers(8, len(data), size=1 + number % 5):
                broken[at] ^= 1 << int(generator.integers(0, 8))
            yield Hostile(f"flip-{kind}-{number}", bytes(broken), "either")
        yield Hostile(f"doubled-{kind}", data + data, "ok", (40, 30))
        yield Hostile(f"trailing-{kind}", data + b"\0" * 10_000, "ok", (40, 30))
        yield Hostile(f"leading-{kind}", b"\n" + data, "refused")
        noise = data[:40] + generator.bytes(2_000)
        yield Hostile(f"noise-{kind}", noise, "either")


def _odd_but_right() -> Iterator[Hostile]:
    for kind in KINDS:
        for size in ((1, 1), (1, 300), (300, 1), (2, 3), (63, 65)):
            yield Hostile(f"size-{kind}-{size[0]}x{size[1]}", saved(_picture(*size), kind), "ok", size)
    yield Hostile("webp-lossless", saved(_picture(), "WEBP", lossless=True), "ok", (40, 30))
    yield Hostile("jpeg-progressive", saved(_picture(), "JPEG", progressive=True), "ok", (40, 30))
    yield Hostile("png-interlaced", _interlaced(), "ok", (1, 1))
    for level in (1, 50, 100):
        yield Hostile(f"jpeg-quality-{level}", saved(_picture(), "JPEG", quality=level), "ok", (40, 30))


def _interlaced() -> bytes:
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0abc")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _orientations() -> Iterator[Hostile]:
    for kind in KINDS:
        for turn in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65_535):
            exif = Image.Exif()
            exif[0x0112] = turn
            size = (30, 40) if 5 <= turn <= 8 else (40, 30)
            yield Hostile(f"exif-{kind}-{turn}", saved(_picture(), kind, exif=exif.tobytes()), "ok", size)
    for name, exif_bytes in (("nonsense", b"Exif\0\0" + b"\xff" * 200), ("huge", b"Exif\0\0MM\0*" + b"\0" * 60_000)):
        for kind in KINDS:
            yield Hostile(f"exif-{name}-{kind}", saved(_picture(), kind, exif=exif_bytes), "either")


def _modes() -> Iterator[Hostile]:
    picture = _picture()
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        made = picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)
        yield Hostile(f"png-{mode}", saved(made, "PNG"), "ok", (40, 30))
    palette = picture.convert("P")
    for clear in (0, 255, bytes(range(256))):
        yield Hostile(f"png-palette-clear-{len(str(clear))}", saved(palette, "PNG", transparency=clear), "ok", (40, 30))
    yield Hostile("png-colour-key", saved(picture, "PNG", transparency=(0, 0, 255)), "ok", (40, 30))
    for mode in ("L", "CMYK"):
        yield Hostile(f"jpeg-{mode}", saved(picture.convert(mode), "JPEG"), "ok", (40, 30))
    yield Hostile("webp-RGBA", saved(picture.convert("RGBA"), "WEBP"), "ok", (40, 30))
    for depth, colour, bits in ((1, 0, 1), (2, 0, 2), (4, 0, 4), (16, 0, 16), (16, 2, 48), (16, 4, 32), (16, 6, 64)):
        raw = b"\0" + b"\x80" * ((bits * 5 + 7) // 8)
        yield Hostile(f"png-depth-{depth}-{colour}", png(5, 1, depth, colour, raw), "ok", (5, 1))
    for depth, colour in ((3, 0), (8, 1), (8, 5), (16, 3), (0, 2), (255, 255)):
        yield Hostile(f"png-no-such-{depth}-{colour}", png(4, 1, depth, colour, b"\0" * 99), "refused")
    yield Hostile("png-palette-missing", png(1, 1, 8, 3, b"\0\0"), "refused")
    yield Hostile("png-palette-short", png(2, 1, 8, 3, b"\0\0\xff", chunk(b"PLTE", b"\1\2\3")), "either")


def _profiles() -> Iterator[Hostile]:
    for kind in KINDS:
        for name, profile in (("broken", b"\xff" * 300), ("empty-ish", b"a"), ("large", b"\0" * 60_000)):
            yield Hostile(f"icc-{name}-{kind}", saved(_picture(), kind, icc_profile=profile), "ok", (40, 30))
    info = PngImagePlugin.PngInfo()
    for number in range(200):
        info.add_text(f"key{number}", "v" * 1_000)
    yield Hostile("png-much-text", saved(_picture(), "PNG", pnginfo=info), "either")
    comment = b"\xff\xfe" + struct.pack(">H", 65_535) + b"c" * 65_533
    jpeg = saved(_picture(), "JPEG")
    yield Hostile("jpeg-much-comment", jpeg[:2] + comment * 20 + jpeg[2:], "ok", (40, 30))


def _disguises() -> Iterator[Hostile]:
    for name, data in (
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("svg-entity", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>"),
        ("html", b"<!doctype html><script>alert(1)</script>"),
        ("postscript", b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file"),
        ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"),
        ("elf", b"\x7fELF" + b"\0" * 200),
        ("gzip", b"\x1f\x8b" + b"\0" * 50),
        ("pickle", b"\x80\x04\x95" + b"\0" * 50),
        ("mvg", b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/'\npop graphic-context"),
        ("empty", b""),
        ("zero", b"\0" * 4_096),
        ("text", b"not an image"),
    ):
        yield Hostile(f"disguise-{name}", data, "refused")
    for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "JPEG2000", "AVIF"):
        yield Hostile(f"format-{kind}", saved(_picture(16, 16), kind), "refused")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil", "x")
    for kind in KINDS:
        image = saved(_picture(), kind)
        yield Hostile(f"polyglot-zip-{kind}", image + out.getvalue(), "ok", (40, 30))
        yield Hostile(f"polyglot-html-{kind}", image + b"<script>alert(1)</script>", "ok", (40, 30))
    yield Hostile("zip", out.getvalue(), "refused")
    for kind, signature in (("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF\0\0\0\0WEBP")):
        yield Hostile(f"signature-only-{kind}", signature, "refused")
        yield Hostile(f"signature-html-{kind}", signature + b"<html>" * 50, "refused")


def _animations() -> Iterator[Hostile]:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    for kind in ("GIF", "PNG", "WEBP"):
        yield Hostile(f"animated-{kind}", saved(frames[0], kind, **options), "refused")


def _headers() -> Iterator[Hostile]:
    for size in ((0, 4), (4, 0), (0, 0)):
        yield Hostile(f"png-no-size-{size}", png(*size, 8, 2, b""), "refused")
    yield Hostile("jpeg-no-size", header_jpeg(0, 8), "refused")
    yield Hostile("png-no-header", b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b""), "refused")
    yield Hostile("png-no-pixels", png(4, 4, 8, 2, b""), "refused")
    yield Hostile("png-wrong-crc", png(1, 1, 8, 0, b"\0\7").replace(b"IEND", b"IENE"), "either")
    yield Hostile("webp-nothing-inside", b"RIFF\0\0\0\0WEBPjunk" + b"\0" * 40, "refused")
    honest = saved(_picture(64, 64), "WEBP", lossless=True)
    yield Hostile("webp-lying-canvas", header_webp(1, 1) + honest[12:], "refused")
