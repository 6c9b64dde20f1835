"""A bound on what is checked field by field: a document that could have a million faults is refused for its size.

Checking lists every single fault. Two million wrong values fit into four megabytes, and listing them took 40 s of
processor time in which a server does nothing else.
"""

from collections.abc import Iterator
from typing import Any, Final

MOST_ENTRIES: Final = 10_000
MOST_FIELDS: Final = 1_000
_DEPTH: Final = 4


def oversize(document: Any) -> str | None:
    """Return what in a document is too long to be checked, as a sentence; None where nothing is.

    Looked at are lists (at most 10,000 entries) and objects (at most 1,000 fields), four steps deep.

    Args:
        document: decoded JSON or YAML.
    """
    level = [document]
    for _ in range(_DEPTH):
        for value in level:
            if isinstance(value, list) and len(value) > MOST_ENTRIES:
                return f"a list has {len(value)} entries; at most {MOST_ENTRIES} are read"
            if isinstance(value, dict) and len(value) > MOST_FIELDS:
                return f"an object has {len(value)} fields; at most {MOST_FIELDS} are read"
        level = [inner for value in level for inner in _held(value)]
    return None


def _held(value: Any) -> Iterator[Any]:
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    # most lists hold numbers alone, and their kinds are found much faster than one value after the other
    if not any(issubclass(kind, list | dict) for kind in set(map(type, held))):
        return iter(())
    return (inner for inner in held if isinstance(inner, list | dict))
