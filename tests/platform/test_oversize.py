"""What is too large to be checked fault by fault is told at once."""

from typing import Any

import pytest

from heddle_platform.oversize import MOST_ENTRIES, MOST_FIELDS, oversize


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({"items": [1] * MOST_ENTRIES}, False),
        ({"items": [1] * (MOST_ENTRIES + 1)}, True),
        ({"items": [{"labels": dict.fromkeys(map(str, range(MOST_FIELDS)))}]}, False),
        ({"items": [{"labels": dict.fromkeys(map(str, range(MOST_FIELDS + 1)))}]}, True),
        (dict.fromkeys(map(str, range(MOST_FIELDS + 1))), True),
        ("text", False),
        (None, False),
    ],
)
def test_lists_and_objects_have_bounds(document: Any, refused: bool) -> None:
    assert (oversize(document) is not None) == refused
