"""Errors on the wire: the only table of status codes, and RFC 9457 problem documents for everything that fails.

Both planes install this, so a framework's own 404 or 422 looks like ours, and an unexpected exception
says nothing about our insides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import Scope

from heddle_platform.errors import (
    Conflict,
    DataCorrupt,
    Detail,
    Forbidden,
    HeddleError,
    InvalidInput,
    LeaseLost,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    QuotaExceeded,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

PROBLEM_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[type[HeddleError], int]] = {
    InvalidInput: 422,
    TooLarge: 413,
    NotFound: 404,
    Unauthenticated: 401,
    Forbidden: 403,
    QuotaExceeded: 403,
    Conflict: 409,
    PreconditionRequired: 428,
    PreconditionFailed: 412,
    RateLimited: 429,
    Unavailable: 503,
    DataCorrupt: 500,
    LeaseLost: 500,
    HeddleError: 500,
}

# Faults whose status HTTP itself names more exactly than their class does.
STATUS_BY_CODE: Final[Mapping[str, int]] = {
    "malformed_json": 400,
    "malformed_request": 400,
    "malformed_header": 400,
    "not_acceptable": 406,
    "unsupported_media_type": 415,
}

TITLES: Final[Mapping[int, str]] = {
    400: "The request cannot be read",
    401: "A valid API key is needed",
    403: "This is not allowed",
    404: "There is no such thing",
    405: "This method is not allowed here",
    406: "None of the accepted types can be produced",
    409: "The present state does not allow this",
    412: "The resource has changed",
    413: "A size limit is exceeded",
    415: "This kind of content is not supported",
    422: "The request is not valid",
    428: "If-Match is needed",
    429: "Too many requests",
    500: "Something went wrong on our side",
    503: "A part of the service is down or full",
}

_FRAMEWORK_CODES: Final[Mapping[int, str]] = {
    400: "malformed_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "unknown_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "request_too_large",
    415: "unsupported_media_type",
}

_MOST_FAULTS: Final = 100

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """Which request a problem is about: its path, and the id that support asks for."""

    instance: str
    request_id: str | None = None


def status_of(error: HeddleError) -> int:
    """Return the HTTP status of a domain error: by its code where HTTP has a word for it, else by its class."""
    if error.code in STATUS_BY_CODE and isinstance(error, InvalidInput):
        return STATUS_BY_CODE[error.code]
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    place: Place,
    *,
    param: str | None = None,
    details: Sequence[Detail] = (),
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build a problem document (RFC 9457) with Heddle's members beside the standard ones.

    Args:
        status: HTTP status, also a member of the body.
        code: stable name of the fault; `type` is built of it.
        detail: the sentence for the tenant.
        place: which request this is about.
        param: field at fault.
        details: every single fault.
        retryable: whether the same request may succeed later.
        headers: further response headers.
    """
    body: dict[str, Any] = {
        "type": f"urn:heddle:error:{code}",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        "instance": place.instance,
        "code": code,
        "param": param,
        "errors": [fault.as_json() for fault in details],
        "request_id": place.request_id,
        "retryable": retryable,
    }
    return JSONResponse(body, status_code=status, media_type=PROBLEM_TYPE, headers=dict(headers or {}))


def problem_of(error: HeddleError, place: Place) -> JSONResponse:
    """Turn a domain error into its problem document; what is our fault is not described to the caller."""
    status = status_of(error)
    if status == 500:
        return internal_problem(place)
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited | Unavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="heddle"'
    return problem(
        status,
        error.code,
        error.message,
        place,
        param=error.param,
        details=error.details,
        retryable=error.retryable,
        headers=headers,
    )


def answer_of(error: HeddleError, place: Place) -> JSONResponse:
    """Return what is answered where a domain error was raised, and log it if it is our fault."""
    if status_of(error) == 500:
        _log.error("request_failed", code=error.code, reason=error.message, exc_info=error)
    return problem_of(error, place)


def place_of(scope: Scope) -> Place:
    """Return which request a scope is of."""
    return Place(scope["path"], scope.get("state", {}).get("request_id"))


def internal_problem(place: Place) -> JSONResponse:
    """Return the 500 that tells nothing but the request id."""
    return problem(
        500,
        "internal_error",
        "something went wrong on our side; the request id helps us to find it",
        place,
        retryable=True,
    )


def install_error_handlers(app: FastAPI) -> None:
    """Make every failure of `app` answer with a problem document.

    Unexpected exceptions are answered by `request_context`, which stands outside all handlers.
    """
    app.add_exception_handler(HeddleError, _on_heddle_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_framework_error)


def _on_heddle_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HeddleError):  # registered for no other; the signature is the framework's
        raise error
    return answer_of(error, _place(request))


def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(400, "malformed_json", "the body is not JSON; check commas and quotes", _place(request))
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(fault["loc"] == ("body",) for fault in faults) and not _is_json(media_type) and faults[0].get("input"):
        sent = repr(media_type[:60]) if media_type else "of no type"
        sentence = f"the body is {sent}; send JSON, with Content-Type: application/json"
        return problem(415, "unsupported_media_type", sentence, _place(request), param="Content-Type")
    details = [_detail_of(fault) for fault in faults[:_MOST_FAULTS]]
    first = details[0]
    sentence = f"the request has {len(faults)} fault(s); the first, at {first.pointer or '/'}: {first.detail}"
    return problem(422, "invalid_request", sentence, _place(request), param=first.pointer or None, details=details)


def _on_framework_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    cause = error.__cause__
    if isinstance(cause, HeddleError):  # FastAPI wraps what reading the body raised into a bare 400
        return problem_of(cause, _place(request))
    status = error.status_code
    sentence = {
        404: f"there is no route {request.url.path[:200]!r}; see /openapi.json for those that exist",
        405: f"{request.method} is not allowed here; see the Allow header",
    }.get(status, str(error.detail))
    code = _FRAMEWORK_CODES.get(status, "request_failed")
    headers = {**(error.headers or {}), **(_allowed(request) if status == 405 else {})}
    return problem(status, code, sentence, _place(request), headers=headers)


def _allowed(request: Request) -> dict[str, str]:
    # the framework names the methods of the first route with this path, and several handlers share a path here
    paths = request.app.openapi()["paths"]
    matching = [template for template in paths if compile_path(template)[0].match(request.url.path)]
    # a path written out, such as /things/validate, is no /things/{thing}: its own methods are meant
    template = min(matching, key=lambda found: found.count("{"), default=None)
    return {"Allow": ", ".join(sorted(method.upper() for method in paths[template]))} if template else {}


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _detail_of(fault: Mapping[str, Any]) -> Detail:
    # the first step says body, query, path or header; in a body the pointer starts below it
    place, *steps = fault["loc"] or ("",)
    pointer = "".join(f"/{step}" for step in (steps if place == "body" else (place, *steps)))
    return Detail(pointer=pointer, code=str(fault["type"]), detail=str(fault["msg"]).removeprefix("Value error, "))


def _place(request: Request) -> Place:
    return Place(request.url.path, request.scope.get("state", {}).get("request_id"))
