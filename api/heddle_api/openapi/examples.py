"""Examples: built from the examples of the fields, so that each document's is right whatever it holds."""

from collections.abc import Mapping
from typing import Any, Final

ULID: Final = "01jd8x4s5n7k2m3p4q5r6s7t8v"
TIME: Final = "2027-01-31T12:00:00Z"
DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_DEPTH: Final = 6
_REFERENCE: Final = "#/components/schemas/"


def example_of(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int = _DEPTH) -> Any:
    """Return an example of a schema: its own, or one put together of its fields' examples.

    Args:
        schema: an OpenAPI schema.
        known: the document's schemas by name, for references.
        depth: how far into nested schemas to go.
    """
    if "$ref" in schema:
        return example_of(known[schema["$ref"].removeprefix(_REFERENCE)], known, depth)
    if schema.get("examples"):
        return schema["examples"][0]
    for own in ("example", "const", "default"):
        if own in schema:
            return schema[own]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example_of(schema[choice][0], known, depth)
    return _by_type(schema, known, depth)


def _by_type(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {}) if depth else {}
        return {name: example_of(field, known, depth - 1) for name, field in fields.items()}
    if kind == "array":
        return [example_of(schema["items"], known, depth - 1)] if depth and schema.get("items") else []
    if kind == "string":
        return TIME if schema.get("format") == "date-time" else "text"
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return {"integer": max(1, int(least)), "number": max(0.5, float(least)), "boolean": True}.get(str(kind))
