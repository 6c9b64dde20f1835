"""A sample: one image as its source holds it, the labels that stand beside it, and its pixels as the base sees them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heddle_platform import pixels
from heddle_platform.errors import InvalidInput

IMAGE_MAX_BYTES: Final = 20 * 1024**2
IMAGE_MAX_PIXELS: Final = 25_000_000

_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Sample:
    """One image of a source.

    Attributes:
        where: names it in errors: file, and row or member where it has one.
        image: an image file's bytes, or uint8 [H, W], [H, W, 1] or [H, W, 3].
        share: how much of the source has been read with it, 0..1.
        labels: column -> what stands there; None or empty text where the label is missing.
    """

    where: str
    image: bytes | NDArray[np.uint8]
    share: float
    labels: Mapping[str, object] = field(default_factory=dict)


def sample_pixels(sample: Sample, size: int, channels: int) -> NDArray[np.uint8]:
    """Decode a sample's image in bounded memory and scale it to the base's size.

    Args:
        sample: from anybody.
        size: side of the square in pixels; other shapes are squeezed.
        channels: 1 grey, 3 RGB.

    Returns:
        uint8 [size, size, channels].

    Raises:
        InvalidInput: what is wrong with the image, and where it stands.
    """
    with standing_at(sample.where):
        image_HWC = _rgb(sample.image)
    return as_channels(pixels.resize(image_HWC, size), channels)


@contextmanager
def standing_at(where: str) -> Iterator[None]:
    """Say in every InvalidInput raised inside where the fault stands, unless it says so already."""
    try:
        yield
    except InvalidInput as error:
        if error.message.startswith(where):
            raise
        raise type(error)(
            f"{where}: {error.message}", code=error.code, param=error.param, details=error.details
        ) from error


def as_channels(images_XC: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Turn images uint8 [..., 1 or 3] into ones of `channels` channels: luma, or grey three times."""
    if images_XC.shape[-1] == channels:
        return images_XC
    if channels == 3:
        return np.repeat(images_XC, 3, axis=-1)
    return np.asarray(np.rint(images_XC @ _LUMA), dtype=np.uint8)[..., None]


def as_size(images_NHWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale images uint8 [N, H, W, 3] to [N, size, size, 3]; the same array where they have that size already."""
    if images_NHWC.shape[1:3] == (size, size):
        return images_NHWC
    return np.stack([pixels.resize(image, size) for image in images_NHWC])


def _rgb(image: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(image, bytes):
        return pixels.decode(image, max_bytes=IMAGE_MAX_BYTES, max_pixels=IMAGE_MAX_PIXELS)
    return np.ascontiguousarray(as_channels(image if image.ndim == 3 else image[..., None], 3))
