"""The before/after picture: held-out avatars down, one edit per factor across, each labelled with what was set."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # Pillow is imported when there is something to draw
    from PIL import Image, ImageDraw, ImageFont

_SIDE: Final = 128  # pixels of one avatar
_GAP: Final = 14
_MARGIN: Final = 28
_HEADER: Final = 34
_CAPTION: Final = 24
_GROUND: Final = "#f6f4ef"
_INK: Final = "#1f1c24"
_MUTED: Final = "#67616f"
_ACCENT: Final = "#4b3fc4"


def draw_strip(
    path: Path, originals: Sequence[bytes], edits: Sequence[Sequence[tuple[str, bytes]]], columns: Sequence[str]
) -> None:
    """Draw the picture.

    Args:
        path: where the PNG goes.
        originals: R pictures.
        edits: R rows of C (level, edited picture).
        columns: C factor names.
    """
    from PIL import Image, ImageDraw, ImageFont

    across = 1 + len(columns)
    width = 2 * _MARGIN + across * _SIDE + (across - 1) * _GAP
    height = 2 * _MARGIN + _HEADER + len(originals) * (_SIDE + _CAPTION + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    pen = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(17), ImageFont.load_default(14)
    for column, title in enumerate(["original", *(name.replace("_", " ") for name in columns)]):
        _write(pen, column, _MARGIN + _HEADER // 2 - 4, title, bold, _INK if column else _MUTED)
    for row, (original, edited) in enumerate(zip(originals, edits, strict=True)):
        top = _MARGIN + _HEADER + row * (_SIDE + _CAPTION + _GAP)
        for column, (caption, data) in enumerate([("", original), *edited]):
            _paste(sheet, data, _left(column), top)
            _write(pen, column, top + _SIDE + _CAPTION // 2, caption, plain, _ACCENT)
    line = _left(1) - _GAP // 2 - 1
    pen.line([(line, _MARGIN), (line, height - _MARGIN)], fill="#ddd7cb", width=2)
    sheet.save(path, "PNG", optimize=True)


def _left(column: int) -> int:
    return _MARGIN + column * (_SIDE + _GAP)


def _paste(sheet: "Image.Image", data: bytes, left: int, top: int) -> None:
    from PIL import Image, ImageDraw

    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    corners = Image.new("L", (4 * _SIDE, 4 * _SIDE), 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 4 * _SIDE - 1, 4 * _SIDE - 1), 48, fill=255)
    sheet.paste(picture, (left, top), corners.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _write(
    pen: "ImageDraw.ImageDraw",
    column: int,
    middle: int,
    text: str,
    font: "ImageFont.FreeTypeFont | ImageFont.ImageFont",
    colour: str,
) -> None:
    pen.text((_left(column) + _SIDE // 2, middle), text, font=font, fill=colour, anchor="mm")
