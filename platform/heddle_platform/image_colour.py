"""Image colour: whatever a file stores, as eight-bit sRGB, the right way up; transparency apart and over white."""

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


def srgb_of(picture: ImageFile.ImageFile, *, bit_depth: int = 8) -> Image.Image:
    """Return a loaded picture in sRGB: its colour profile applied (a broken one ignored, as browsers do), its EXIF
    orientation carried out.

    Args:
        picture: loaded, of any mode that PNG, JPEG or WebP files open with.
        bit_depth: bits a sample in the file (PNG); it decides what a transparent colour key means.

    Returns:
        Mode RGBA, not premultiplied, where a pixel is transparent; else mode RGB. May be the picture itself.
    """
    colours, alpha = _parts(picture, bit_depth)
    profile = picture.info.get("icc_profile")
    if alpha is None or alpha.getextrema() == (255, 255):  # most files with alpha have none to speak of
        made = _to_srgb(colours, profile)
    elif colours.mode == "RGBA" and not profile:
        made = colours  # as it is: a large one is copied at every step
    else:
        made = _to_srgb(colours, profile)
        made.putalpha(alpha)
    turn = _TURNS.get(_orientation(picture))
    return made if turn is None else made.transpose(turn)


def over_white(picture: Image.Image) -> Image.Image:
    """Lay a picture of mode RGBA over white paper; returns mode RGB."""
    flat = Image.new("RGB", picture.size, _WHITE)
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat


def _parts(picture: ImageFile.ImageFile, bit_depth: int) -> tuple[Image.Image, Image.Image | None]:
    """Take colours and alpha apart; the colours may still hold it."""
    if picture.mode.startswith("I"):
        return _grey_16(picture)
    if not picture.has_transparency_data:
        return picture, None
    if picture.mode == "LA":  # its profile is one of greys
        return picture.getchannel("L"), picture.getchannel("A")
    whole = picture if picture.mode == "RGBA" else _with_alpha(picture, bit_depth)
    return whole, whole.getchannel("A")


def _grey_16(picture: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    # Pillow's own conversion clips at 255 instead of scaling
    wide = np.asarray(picture)
    grey = Image.fromarray(((wide.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8))
    key = picture.info.get("transparency")
    return grey, Image.fromarray(np.where(wide == key, 0, 255).astype(np.uint8)) if isinstance(key, int) else None


def _with_alpha(picture: ImageFile.ImageFile, bit_depth: int) -> Image.Image:
    key = picture.info.get("transparency")
    if picture.mode == "L" and isinstance(key, int) and bit_depth in {2, 4}:
        picture.info["transparency"] = key * 255 // (2**bit_depth - 1)  # samples were scaled up, the key was not
    elif picture.mode == "RGB" and isinstance(key, tuple) and bit_depth == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in key)  # samples keep their high byte only
    return picture.convert("RGBA")


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile or len(profile) > _MAX_PROFILE_BYTES:
        return picture.convert("RGB")
    source = picture if picture.mode in {"L", "CMYK"} else picture.convert("RGB")
    try:
        described = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(described):
            return source.convert("RGB")
        converted = ImageCms.profileToProfile(source, described, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return source.convert("RGB")
    return converted if converted is not None else source.convert("RGB")


def _orientation(picture: ImageFile.ImageFile) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken EXIF block, whatever its parser raises, does not make the pixels wrong
        return 1
