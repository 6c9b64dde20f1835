"""Picture work: decoding, scaling, composing and encoding; large images on a few threads, light ones at once.

Few threads bound the memory that large images take together. A light image is done where it arrives: on busy cores
four switches of threads cost more than its one or two milliseconds (measured: a tenth of a whole edit).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from heddle_api.edge.draw import Drawn
from heddle_platform import pixels
from heddle_platform.base.runtime import to_uint8
from heddle_platform.errors import Unavailable
from heddle_platform.image_header import MediaType, read_header
from heddle_platform.settings import LimitSettings

TILE_SIDE: Final = 256  # pixels of one picture in a strip, so that a strip of many levels stays an image
LIGHT_PIXELS: Final = 128 * 128
LIGHT_BYTES: Final = 64 * 1024
_HEAVY_MARKS: Final = (b"zTXt", b"iTXt", b"iCCP", b"ICCP", b"ICC_PROFILE")
_GAP: Final = 4

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded image, uint8: at its own size over white, at the base's, and with its alpha where it has one."""

    full_HWC: NDArray[np.uint8]
    small_HWC: NDArray[np.uint8]
    straight_HWC: NDArray[np.uint8] | None = None


class PictureWork:
    """The threads; close it when the plane stops."""

    def __init__(self, limits: LimitSettings, *, threads: int = 2) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pictures")

    def close(self) -> None:
        """Wait for what runs and stop."""
        self._pool.shutdown(cancel_futures=True)

    async def decode(self, data: bytes, image_size: int, *, deadline: float = float("inf")) -> Picture:
        """Decode a file within the limits and scale a copy to the base's square.

        Args:
            data: the file.
            image_size: side of the base's square.
            deadline: `time.monotonic()` after which a file whose turn has not come is not decoded any more.

        Raises:
            InvalidInput, TooLarge: as `pixels.decode`.
            Unavailable: code `deadline_exceeded`.
        """
        if is_light(data):
            return self._decode(data, image_size)
        return await self._do(lambda: self._decode_in_time(data, image_size, deadline))

    async def finish(self, picture: Picture, drawn: Drawn, media_type: MediaType) -> bytes:
        """Compose an edit at the image's own size and encode it; transparency stays where the type can say it."""
        height, width, _ = picture.full_HWC.shape
        if height * width <= LIGHT_PIXELS:
            return _encoded(picture, drawn, media_type)
        return await self._do(lambda: _encoded(picture, drawn, media_type))

    async def strip(self, picture: Picture, drawn: Sequence[Drawn], media_type: MediaType) -> bytes:
        """Compose several edits of one image side by side, each at most `TILE_SIDE` pixels large, and encode them."""
        return await self._do(lambda: pixels.encode(_beside(_tile(picture), drawn), media_type))

    async def _do(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _decode_in_time(self, data: bytes, image_size: int, deadline: float) -> Picture:
        if time.monotonic() > deadline:
            raise Unavailable(
                "the image was not decoded within the deadline; try again in a moment", code="deadline_exceeded"
            )
        return self._decode(data, image_size)

    def _decode(self, data: bytes, image_size: int) -> Picture:
        limits = self._limits
        found = pixels.decode_layers(data, max_bytes=limits.image_max_bytes, max_pixels=limits.image_max_pixels)
        return Picture(found.flat_HWC, pixels.resize(found.flat_HWC, image_size), found.straight_HWC)


def is_light(data: bytes) -> bool:
    """Tell whether an image file is sure to be decoded within a millisecond or two: small in every way, and
    without the compressed text or colour profiles that can hide work behind a small size.

    Raises:
        InvalidInput: it is no image, or damaged before its size.
    """
    if len(data) > LIGHT_BYTES:
        return False
    header = read_header(data)
    return header.width * header.height <= LIGHT_PIXELS and not any(mark in data for mark in _HEAVY_MARKS)


def compose(picture: Picture, drawn: Drawn) -> NDArray[np.uint8]:
    """Turn what the decoder drew into the answer, always at the image's own size.

    "preserve" adds the change to the original, so that what was not edited keeps every pixel; "decode" scales
    the decoder's picture up, soft as it is.

    Returns:
        uint8 [H, W, 3] of `picture.full_HWC`'s shape.
    """
    height, width, _ = picture.full_HWC.shape
    if drawn.before_HWC is not None:
        return pixels.add_change(picture.full_HWC, drawn.after_HWC - drawn.before_HWC)
    return pixels.scale(to_uint8(drawn.after_HWC), height, width)


def _encoded(picture: Picture, drawn: Drawn, media_type: MediaType) -> bytes:
    edited_HWC = compose(picture, drawn)
    if picture.straight_HWC is not None and media_type != "image/jpeg":
        edited_HWC = pixels.with_alpha(edited_HWC, pixels.Decoded(picture.full_HWC, picture.straight_HWC))
    return pixels.encode(edited_HWC, media_type)


def _tile(picture: Picture) -> Picture:
    height, width, _ = picture.full_HWC.shape
    shrink = TILE_SIDE / max(height, width)
    if shrink >= 1.0:
        return Picture(picture.full_HWC, picture.small_HWC)
    size = max(1, round(height * shrink)), max(1, round(width * shrink))
    return Picture(pixels.scale(picture.full_HWC, *size), picture.small_HWC)


def _beside(picture: Picture, drawn: Sequence[Drawn]) -> NDArray[np.uint8]:
    height, width, _ = picture.full_HWC.shape
    strip = np.full((height, len(drawn) * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for place, one in enumerate(drawn):
        left = place * (width + _GAP)
        strip[:, left : left + width] = compose(picture, one)
    return strip
