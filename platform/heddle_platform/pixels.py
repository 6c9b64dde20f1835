"""Pixels: images in from anybody, in bounded memory; images out without metadata.

The edge and the checking of labelled sets share this, so that an image reads the same in both.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.image_colour import over_white, srgb_of
from heddle_platform.image_header import ImageHeader, MediaType, damaged, read_header
from heddle_platform.small_png import small_png

MAX_SIDE: Final = 16_383  # WebP's own limit, so that every image taken can be given back in every type
_SMALL_PIXELS: Final = 128 * 128  # PNGs up to here are written in a third of the time Pillow takes, at the same length
_BAND_ROWS: Final = 64
_CHANGE_UNSEEN: Final = 8.0  # of 255: what redrawing alone does to white paper
_CHANGE_CLEAR: Final = 32.0
MAX_JPEG_SCANS: Final = 100  # honest progressive files have about ten; thousands take minutes to decode


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded file.

    Attributes:
        flat_HWC: sRGB over white, uint8 [H, W, 3]: what is encoded and edited.
        straight_HWC: of a file with transparency its own colours and alpha, uint8 [H, W, 4], not premultiplied; else
            None.
    """

    flat_HWC: NDArray[np.uint8]
    straight_HWC: NDArray[np.uint8] | None


def decode(data: bytes, *, max_bytes: int, max_pixels: int) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG or WebP file to sRGB, transparency laid over white; arguments and errors of `decode_layers`.

    Returns:
        uint8 [H, W, 3].
    """
    return decode_layers(data, max_bytes=max_bytes, max_pixels=max_pixels).flat_HWC


def decode_layers(data: bytes, *, max_bytes: int, max_pixels: int) -> Decoded:
    """Decode a PNG, JPEG or WebP file to sRGB, and keep what of it is transparent.

    Grey, palette, 16-bit and CMYK become RGB; an embedded colour profile is applied; the EXIF orientation is carried
    out. Peak memory is about 14 bytes a pixel, 15 with transparency, and nothing is allocated before the header's size
    has been held against the limits.

    Args:
        data: the whole file.
        max_bytes: longest file taken.
        max_pixels: most pixels taken, width x height.

    Raises:
        TooLarge: code `image_too_large`: too many bytes or pixels, or a side above `MAX_SIDE`.
        InvalidInput: codes `unsupported_image`, `image_damaged`, `image_animated`, `image_too_complex`.
    """
    if len(data) > max_bytes:
        raise _too_large(f"the image has {len(data)} bytes, at most {max_bytes} are taken; send a smaller file")
    header = read_header(data)
    _check_size(header.width, header.height, max_pixels)
    if header.media_type == "image/jpeg" and (scans := data.count(b"\xff\xda")) > MAX_JPEG_SCANS:
        raise InvalidInput(
            f"the JPEG has {scans} scans, at most {MAX_JPEG_SCANS} are decoded; save it again as a plain JPEG",
            code="image_too_complex",
            param="image",
        )
    try:
        with _open(data, header) as picture:
            if (frames := getattr(picture, "n_frames", 1)) > 1:
                raise InvalidInput(
                    f"the image is animated: {frames} frames, 1 is taken; send a single frame",
                    code="image_animated",
                    param="image",
                )
            _check_size(*picture.size, max_pixels)  # what the decoder believes must not differ from what we read
            picture.load()
            made = srgb_of(picture, bit_depth=data[24] if header.media_type == "image/png" else 8)
            if made.mode == "RGB":
                return Decoded(np.asarray(made), None)
            return Decoded(np.asarray(over_white(made)), np.asarray(made))
    except InvalidInput:
        raise
    except Exception as error:  # Pillow's parsers raise a dozen types on hostile bytes; all mean the same
        raise damaged(f"it cannot be decoded ({str(error)[:80] or type(error).__name__})") from error


def resize(image_HWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an image to the square a base sees; other shapes are squeezed.

    Squeezing keeps every pixel's place in proportion, so a change decoded at `size` x `size` maps back onto
    the original by plain scaling. Padding would show the base borders it was never trained on, cropping
    would hide what is labelled.

    Args:
        image_HWC: uint8 [H, W, 3].
        size: side of the square in pixels.

    Returns:
        uint8 [size, size, 3], the same array if it has that size already.
    """
    return scale(image_HWC, size, size)


def scale(image_HWC: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale an image to [height, width, 3] with Lanczos, averaging over area where it shrinks."""
    if image_HWC.shape[:2] == (height, width):
        return image_HWC
    scaled = Image.fromarray(image_HWC).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(scaled)


def add_change(image_HWC: NDArray[np.uint8], change_hwC: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Add a change, known at a lower resolution, to an image at its own (science: detail=preserve).

    Args:
        image_HWC: the original, uint8 [H, W, 3].
        change_hwC: float32 [h, w, 3] in -1..1, D(z') - D(z).

    Returns:
        uint8 [H, W, 3]; a pixel whose change is below half a step is the original's, bit for bit.
    """
    height, width, channels = image_HWC.shape
    out = np.empty_like(image_HWC)
    for channel in range(channels):  # one at a time: a 25-megapixel change as float32 RGB would be 300 MB
        plane = Image.fromarray(np.ascontiguousarray(change_hwC[:, :, channel]))
        if plane.size != (width, height):
            plane = plane.resize((width, height), Image.Resampling.BICUBIC)
        moved = np.rint(np.asarray(plane) * 255.0)
        moved += image_HWC[:, :, channel]
        out[:, :, channel] = np.clip(moved, 0, 255, out=moved)
    return out


def with_alpha(edited_HWC: NDArray[np.uint8], original: Decoded) -> NDArray[np.uint8]:
    """Give an edit of a file with transparency its transparency back.

    Laid over white the answer looks as the edit does. What the edit left alone keeps colour and alpha bit for bit; what
    it changed clearly covers wholly, so that a hat drawn onto nothing is no ghost on a dark ground; in between, and at
    least, a pixel covers as much as its colour over white demands.

    Args:
        edited_HWC: the edit, uint8 [H, W, 3], over white.
        original: with `straight_HWC`.

    Returns:
        uint8 [H, W, 4], not premultiplied.
    """
    straight_HWC = original.straight_HWC
    if straight_HWC is None:
        raise ValueError("the file has no transparency")
    out = straight_HWC.copy()
    for top in range(0, len(out), _BAND_ROWS):  # in bands, or the numbers below would take 40 bytes a pixel at once
        band = slice(top, top + _BAND_ROWS)
        edited, before, kept = edited_HWC[band], original.flat_HWC[band], out[band]
        covers = kept[..., 3] == 255
        np.copyto(kept[..., :3], edited, where=covers[..., None])
        at = np.nonzero((edited != before).any(axis=2) & ~covers)
        wanted_NC = edited[at].astype(np.float32)
        change_N = np.abs(wanted_NC - before[at]).max(axis=1)
        drawn_N = 255.0 * np.clip((change_N - _CHANGE_UNSEEN) / (_CHANGE_CLEAR - _CHANGE_UNSEEN), 0.0, 1.0)
        least_N = 255.0 - wanted_NC.min(axis=1)
        alpha_N = np.ceil(np.maximum(np.maximum(kept[at][:, 3], least_N), drawn_N))
        colour_NC = 255.0 - (255.0 - wanted_NC) * 255.0 / np.maximum(alpha_N, 1.0)[:, None]
        kept[at] = np.column_stack([np.clip(np.rint(colour_NC), 0, 255), alpha_N]).astype(np.uint8)
    return out


def encode(image_HWC: NDArray[np.uint8], media_type: MediaType) -> bytes:
    """Encode an image without any metadata; the same pixels give the same bytes.

    Args:
        image_HWC: uint8 [H, W, 3], [H, W, 4] with alpha (not as JPEG), or [H, W] for grey.
        media_type: PNG is lossless; JPEG has quality 92 without colour subsampling, WebP quality 90.
    """
    if media_type == "image/png" and image_HWC.shape[2:] == (3,) and image_HWC[..., 0].size <= _SMALL_PIXELS:
        return small_png(image_HWC)
    picture = Image.fromarray(image_HWC)
    out = io.BytesIO()
    if media_type == "image/png":
        picture.save(out, "PNG", compress_level=3)
    elif media_type == "image/jpeg":
        picture.save(out, "JPEG", quality=92, subsampling=0)
    else:
        picture.save(out, "WEBP", quality=90, method=2)
    return out.getvalue()


def _open(data: bytes, header: ImageHeader) -> ImageFile.ImageFile:
    # the plugin itself rather than Image.open: one parser only, no bomb warning to depend on, and a phone's
    # multi-picture JPEG stays its first picture
    stream = io.BytesIO(data)
    if header.media_type == "image/png":
        return PngImageFile(stream)
    return JpegImageFile(stream) if header.media_type == "image/jpeg" else WebPImageFile(stream)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise _too_large(
            f"the image has {width} x {height} = {width * height} pixels, at most {max_pixels} are taken; scale it down"
        )
    if max(width, height) > MAX_SIDE:
        raise _too_large(f"the image is {width} x {height}, at most {MAX_SIDE} pixels a side are taken; scale it down")


def _too_large(sentence: str) -> TooLarge:
    return TooLarge(sentence, code="image_too_large", param="image")
