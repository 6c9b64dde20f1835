"""Pictures in and out of Python: files, bytes, NumPy arrays and PIL images become what travels, and come back."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = bytes | Path | NDArray[Any] | Image.Image


def picture_bytes(picture: Picture) -> bytes:
    """Return a picture as an image file; arrays and PIL images become PNG.

    Args:
        picture: a file's bytes, its path, a PIL image, or an array: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].

    Raises:
        ValueError: the array is no picture, with its shape and type.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Path):
        return picture.read_bytes()
    image = picture if isinstance(picture, Image.Image) else _image_of(picture)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return an image file as a loaded PIL image."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _image_of(array: NDArray[Any]) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ValueError(
            f"the array is {array.dtype} {list(array.shape)}; a picture is uint8 [H, W] or [H, W, 3]: scale floats to "
            "0..255 and convert them first"
        )
    return Image.fromarray(np.ascontiguousarray(array))
