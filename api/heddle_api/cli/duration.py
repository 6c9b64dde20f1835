"""Times as people type them: 90s, 30m, 24h, 7d."""

import re
from typing import Final

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SHAPE: Final = re.compile(r"([0-9]{1,9})([smhd]?)")


def seconds_of(text: str) -> int | None:
    """Return how many seconds a time has, or None where it is none."""
    found = _SHAPE.fullmatch(text.strip().lower())
    return int(found.group(1)) * _SECONDS[found.group(2)] if found else None
