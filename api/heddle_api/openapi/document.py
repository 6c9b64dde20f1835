"""The document: FastAPI's, completed by what all operations share: key, failures, headers, words and examples."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI

from heddle_api.auth import ANY_OF, SCHEME
from heddle_api.openapi.examples import example_of
from heddle_api.openapi.problems import FAULT, PROBLEM, response, statuses_of
from heddle_api.openapi.words import FIELDS, FORM_FIELDS, PARAMETERS

METHODS: Final = ("get", "post", "put", "patch", "delete")
_SPELT: Final = {
    "idempotency-key": "Idempotency-Key",
    "if-match": "If-Match",
    "if-none-match": "If-None-Match",
    "last-event-id": "Last-Event-ID",
}
_NOTHING_SAID: Final = "Successful Response"  # FastAPI's, where a route says nothing
_DONE: Final = "It is done as asked."
_FRAMEWORKS: Final = ("HTTPValidationError", "ValidationError")
_REQUEST_ID: Final = {"description": "Id of this request, for support.", "schema": {"type": "string"}}
_HEADERS: Final[Mapping[str, str]] = {
    "ETag": "Revision of the thing; If-Match needs it to change it.",
    "Location": "Where the new thing can be read.",
    "Idempotency-Replayed": "`true` where the work was done by an earlier request with this key.",
}


def install_openapi(app: FastAPI, *, description: str, tags: Mapping[str, str]) -> None:
    """Make `/openapi.json` of `app` say all that a stranger must know.

    Args:
        app: the plane.
        description: Markdown above all operations.
        tags: tag to what its operations are about.
    """
    plain = app.openapi
    app.description = description
    app.openapi_tags = [{"name": name, "description": text} for name, text in tags.items()]

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(plain())
        return app.openapi_schema

    # assigning it is FastAPI's own way to extend it
    app.openapi = openapi  # type: ignore[method-assign]


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document in place and return it."""
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORKS:
        schemas.pop(name, None)
    schemas |= {"Problem": PROBLEM, "Fault": FAULT}
    for _, operation in operations(document):
        for shown in operation.get("requestBody", {}).get("content", {}).values():
            schemas |= shown["schema"].pop("$defs", {})  # of a model that a route documents by hand
            _word_fields("", shown["schema"])
            for name, field in shown["schema"].get("properties", {}).items():
                if name in FORM_FIELDS and field.get("type") == "string":
                    field.setdefault("examples", [FORM_FIELDS[name]])
    _shorten_ids(document)
    for name, schema in schemas.items():
        if name.startswith("Page_"):  # a generic model's docstring does not reach its variants
            schema.setdefault("description", "One page of a list, newest first unless said otherwise.")
        _word_fields(name, schema)
    for method, operation in operations(document):
        _complete_operation(method, operation, schemas)
    return document


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation with its method."""
    for path in document.get("paths", {}).values():
        for method in METHODS:
            if method in path:
                yield method, path[method]


def _shorten_ids(document: Mapping[str, Any]) -> None:
    # the handler's name alone, where no other has it: generated clients call their methods by it
    short = [(operation, operation["operationId"].partition("_v1_")[0]) for _, operation in operations(document)]
    count = Counter(name for _, name in short)
    for operation, name in short:
        if count[name] == 1:
            operation["operationId"] = name


def _word_fields(schema_name: str, schema: Mapping[str, Any]) -> None:
    for name, field in schema.get("properties", {}).items():
        words, example = FIELDS.get(f"{schema_name}.{name}") or FIELDS.get(name) or ("", None)
        if words:
            field.setdefault("description", words)
        if example is not None and "examples" not in field and "const" not in field and _fits(example, field):
            field["examples"] = [example]


def _fits(example: Any, field: Mapping[str, Any]) -> bool:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    choices = [field, *field.get("anyOf", ())]
    named = [choice for choice in choices if choice.get("type") == kinds[type(example)]]
    return any("enum" not in choice or example in choice["enum"] for choice in named)


def _complete_operation(method: str, operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    parameters = operation.get("parameters", [])
    # OpenAPI has Accept and Authorization said otherwise, and ignores parameters of these names
    negotiated = any(found["name"].lower() == "accept" for found in parameters)
    parameters = [found for found in parameters if found["name"].lower() not in ("accept", "authorization")]
    for found in parameters:
        _complete_parameter(found)
    if parameters:
        operation["parameters"] = parameters
    else:
        operation.pop("parameters", None)
    secured = bool(operation.get("security"))
    operation["security"] = _alternatives(operation["security"]) if secured else []
    responses = operation["responses"]
    succeeded = {status: found for status, found in responses.items() if status.startswith("2")}
    negotiated = negotiated or any(len(found.get("content", {})) > 1 for found in succeeded.values())
    for found in succeeded.values():
        _complete_success(found, schemas)
    failures = statuses_of(operation, method, secured=secured, negotiated=negotiated)
    for status in sorted(failures):
        if str(status) not in responses or "problem+json" not in str(responses[str(status)]):
            responses[str(status)] = response(status)
    headers = {found["name"] for found in parameters}
    for status, found in responses.items():
        found.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
        if status.startswith("2") and "Idempotency-Key" in headers:
            found["headers"].setdefault("Idempotency-Replayed", _header("Idempotency-Replayed"))
        if status.startswith("2") and status != "204" and "If-Match" in headers:
            found["headers"].setdefault("ETag", _header("ETag"))
        if status == "201":
            found["headers"].setdefault("Location", _header("Location"))


def _alternatives(requirements: Sequence[Mapping[str, Sequence[str]]]) -> list[dict[str, list[str]]]:
    """Say which scopes a key must have: those of one entry all, and one entry is enough (OpenAPI 3.1, 4.8.30)."""
    words = [scopes.split(ANY_OF) for found in requirements for scopes in found.get(SCHEME, ())]
    return [{SCHEME: sorted(set(scopes))} for scopes in itertools.product(*words)]


def _header(name: str) -> dict[str, Any]:
    return {"description": _HEADERS[name], "schema": {"type": "string"}}


def _complete_parameter(found: dict[str, Any]) -> None:
    name = found["name"].lower()
    found["name"] = _SPELT.get(name, found["name"])
    words, example = PARAMETERS.get(name, ("", None))
    if words:
        found.setdefault("description", words)
    schema = found["schema"]
    kept = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(kept) == 1:  # a parameter that is not there is no null
        schema = found["schema"] = {**{key: value for key, value in schema.items() if key != "anyOf"}, **kept[0]}
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    if example is not None and "example" not in found and "examples" not in schema:
        found["example"] = example


def _complete_success(found: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    content = found.get("content", {})
    if found.get("description") == _NOTHING_SAID:
        found["description"] = _DONE
    json = content.get("application/json")
    if json is not None and "$ref" in json.get("schema", {}) and "example" not in json:
        json["example"] = example_of(json["schema"], schemas)
    for media_type, shown in content.items():
        if media_type.startswith("image/") or media_type == "application/octet-stream":
            shown.setdefault("schema", {"type": "string", "format": "binary"})
        elif media_type.startswith("text/"):
            shown.setdefault("schema", {"type": "string"})
        else:
            shown.setdefault("schema", {"type": "object"})
