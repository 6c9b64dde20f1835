"""Choosing a media type by the Accept header (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from heddle_platform.errors import InvalidInput


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered type the caller likes best; among equals, the first offered.

    Args:
        accept: the header's value; None means everything is welcome.
        offered: media types that can be produced, the usual one first.

    Raises:
        InvalidInput: code `not_acceptable`.
    """
    if not accept or not accept.strip():
        return offered[0]
    ranges = [_parse(part) for part in accept.split(",") if part.strip()]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))  # max keeps the first of equals
    if _quality(best, ranges) <= 0:
        raise InvalidInput(
            f"Accept is {accept[:100]!r}, this can be had as: {', '.join(offered)}",
            code="not_acceptable",
            param="Accept",
        )
    return best


def _parse(part: str) -> tuple[str, float]:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_range, min(1.0, max(0.0, float(value)))
            except ValueError:
                return media_range, 0.0
    return media_range, 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    # the most specific range that fits decides, whatever its weight
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        for media_range, quality in ranges:
            if media_range == wanted:
                return quality
    return 0.0
