"""A factor set's document as it comes, JSON or YAML, read so that none keeps the plane from its other callers."""

import asyncio
import json
from typing import Any, Final

import yaml

from heddle_platform.errors import InvalidInput, TooLarge

JSON_TYPES: Final = frozenset({"", "application/json"})
YAML_TYPES: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
MAX_YAML_BYTES: Final = 1024**2  # reading one takes up to 3 s; the same as JSON takes 10 ms
_DEEPEST: Final = 20
# written in C where PyYAML was built so; plain Python takes ten times as long
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


async def read_document(body: bytes, content_type: str | None) -> Any:
    """Decode a JSON or YAML body.

    Raises:
        InvalidInput: codes `malformed_json` (400), `malformed_yaml`, `unsupported_media_type` (415).
        TooLarge: code `request_too_large`: YAML of more than `MAX_YAML_BYTES`.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in YAML_TYPES:
        if len(body) > MAX_YAML_BYTES:
            raise TooLarge(
                f"the YAML has {len(body)} bytes, at most {MAX_YAML_BYTES} are read; send it as JSON",
                code="request_too_large",
            )
        return await asyncio.to_thread(_read_yaml, body)
    if media_type not in JSON_TYPES and not media_type.endswith("+json"):
        raise InvalidInput(
            f"a factor set cannot be read from {media_type[:60]!r}; send application/json or application/yaml",
            code="unsupported_media_type",
            param="Content-Type",
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}", code="malformed_json") from None


def _read_yaml(body: bytes) -> Any:
    try:
        _check_plain(body)
        return yaml.load(body, Loader=_Loader)  # noqa: S506  a safe loader, in C or in Python
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise InvalidInput(f"the body is not YAML{place}: {str(reason)[:200]}", code="malformed_yaml") from None


def _check_plain(body: bytes) -> None:
    # an alias may stand for exponentially much, and what is nested without end ends the C loader's stack
    depth = 0
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {_DEEPEST} deep")
