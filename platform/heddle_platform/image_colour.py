"""Image colour: whatever a file stores, as eight-bit sRGB over white, the right way up."""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms, ImageFile

_MAX_PROFILE_BYTES: Final = 4 * 1024**2
_WHITE: Final = (255, 255, 255)
_EXIF_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(picture: ImageFile.ImageFile, *, bit_depth: int = 8) -> Image.Image:
    """Return a loaded picture as RGB.

    Args:
        picture: loaded, of any mode that PNG, JPEG or WebP files open with.
        bit_depth: bits a sample in the file (PNG); it decides what a transparent colour key means.

    Returns:
        Mode RGB: colour profile applied (a broken one ignored, as browsers do), alpha laid over white, EXIF
        orientation carried out.
    """
    if picture.mode.startswith("I"):
        flat = _grey_16(picture)
    elif picture.has_transparency_data:
        flat = _over_white(_with_alpha(picture, bit_depth))
    else:
        flat = _to_srgb(picture)
    turn = _TURNS.get(_orientation(picture))
    return flat if turn is None else flat.transpose(turn)


def _grey_16(picture: ImageFile.ImageFile) -> Image.Image:
    # Pillow's own conversion clips at 255 instead of scaling
    wide = np.asarray(picture)
    grey = ((wide.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8)
    key = picture.info.get("transparency")
    if isinstance(key, int):
        grey[wide == key] = 255
    return Image.fromarray(grey).convert("RGB")


def _with_alpha(picture: ImageFile.ImageFile, bit_depth: int) -> Image.Image:
    key = picture.info.get("transparency")
    if picture.mode == "L" and isinstance(key, int) and bit_depth in {2, 4}:
        picture.info["transparency"] = key * 255 // (2**bit_depth - 1)  # samples were scaled up, the key was not
    elif picture.mode == "RGB" and isinstance(key, tuple) and bit_depth == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in key)  # samples keep their high byte only
    return picture.convert("RGBA")


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.getchannel("A").getextrema() == (255, 255):  # most files with alpha have none to speak of
        return picture.convert("RGB")
    flat = Image.new("RGB", picture.size, _WHITE)
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat


def _to_srgb(picture: ImageFile.ImageFile) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if not profile or len(profile) > _MAX_PROFILE_BYTES or picture.mode not in {"RGB", "L", "CMYK"}:
        return picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return picture.convert("RGB")
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture.convert("RGB")
    return converted if converted is not None else picture.convert("RGB")


def _orientation(picture: ImageFile.ImageFile) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken EXIF block, whatever its parser raises, does not make the pixels wrong
        return 1
