"""Problems in the document: the one schema of every failure, and which failures an operation can have."""

from collections.abc import Mapping
from typing import Any, Final

from heddle_api.errors import PROBLEM_TYPE, TITLES

PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "description": "Why a request failed (RFC 9457): `code` for programs, `detail` for people.",
    "required": [
        *("type", "title", "status", "detail", "instance", "code", "param", "errors", "request_id", "retryable"),
    ],
    "properties": {
        "type": {"type": "string", "description": "`urn:heddle:error:` and the code."},
        "title": {"type": "string", "description": "What kind of failure it is, the same for all of a status."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "A sentence that says what was wrong and what to do."},
        "instance": {"type": "string", "description": "Path of the request."},
        "code": {"type": "string", "description": "Stable name of the failure."},
        "param": {"type": ["string", "null"], "description": "The field, parameter or header at fault."},
        "errors": {
            "type": "array",
            "description": "Every single fault, where there are several.",
            "items": {"$ref": "#/components/schemas/Fault"},
        },
        "request_id": {
            "type": ["string", "null"],
            "description": "Tell it to support; it is X-Request-Id, too.",
        },
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
    },
}
FAULT: Final[dict[str, Any]] = {
    "title": "Fault",
    "type": "object",
    "description": "One fault of a request or of a document.",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer to what is at fault; empty: the whole."},
        "code": {"type": "string", "description": "Stable name of the fault."},
        "detail": {"type": "string", "description": "A sentence that says what is wrong with it."},
    },
}

_EXAMPLES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed_json", "the body is not JSON; check commas and quotes"),
    401: ("unknown_key", "this API key is unknown, revoked or expired; make a new one or ask your operator"),
    403: ("missing_scope", "this key lacks the scope jobs; it has: edits"),
    404: ("unknown_adapter", "there is no adapter 'avatar'; list them with GET /v1/adapters"),
    406: ("not_acceptable", "Accept is 'image/gif', this can be had as: image/png, image/jpeg, image/webp"),
    409: ("idempotency_key_in_flight", "a request with this Idempotency-Key is being worked on; send it again"),
    412: ("precondition_failed", "it is at revision 4, If-Match says 3"),
    413: ("request_too_large", "the request body has 5000000 bytes or more, at most 4194304 are read; send less"),
    415: ("unsupported_media_type", "the body is text/plain; send application/json"),
    422: (
        "invalid_request",
        "the request has 1 fault(s); the first, at /name: Field required",
    ),
    428: ("precondition_required", 'send If-Match: "3", the ETag you read it with'),
    429: ("rate_limited", "this tenant has sent more requests than its quota allows; wait 1 s"),
    500: ("internal_error", "something went wrong on our side; the request id helps us to find it"),
    503: ("unavailable", "the database cannot be reached; try again in a moment"),
}
_RETRYABLE: Final = frozenset({409, 429, 500, 503})
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait before sending it again.", "schema": {"type": "integer"}}
}


def statuses_of(operation: Mapping[str, Any], method: str, *, secured: bool, negotiated: bool) -> set[int]:
    """Return the failures that an operation can have.

    Args:
        operation: as FastAPI documents it.
        method: in lower case.
        secured: whether it asks for a key.
        negotiated: whether it chooses by Accept.
    """
    parameters = operation.get("parameters", ())
    headers = {found["name"].lower() for found in parameters if found["in"] == "header"}
    names_a_thing = any(found["in"] == "path" or found["name"].endswith("_id") for found in parameters)
    body = "requestBody" in operation
    found = {500, 503}
    if secured:
        found |= {401, 403, 429}
    if parameters or body:
        found |= {422}
    if headers or body:
        found |= {400}
    if names_a_thing or body:
        found |= {404}
    if body:
        found |= {413, 415}
    if method != "get":
        found |= {409, 413}
    if "if-match" in headers:
        found |= {412, 428}
    if negotiated:
        found |= {406}
    return found


def response(status: int) -> dict[str, Any]:
    """Document one failure, with an example."""
    code, detail = _EXAMPLES[status]
    example = {
        "type": f"urn:heddle:error:{code}",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        "instance": "/v1/...",
        "code": code,
        "param": None,
        "errors": [],
        "request_id": "req_01jd8x4s5n7k2m3p4q5r6s7t8v",
        "retryable": status in _RETRYABLE,
    }
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    shown: dict[str, Any] = {"description": f"{TITLES[status]}.", "content": content}
    if status in (429, 503):
        shown["headers"] = dict(_RETRY_AFTER)
    return shown
