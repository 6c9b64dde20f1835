"""What a caller of the client gets when a request fails: the problem document, as an exception."""

from typing import Any

import httpx


class ApiError(Exception):
    """The platform refused or failed a request.

    Attributes:
        status: HTTP status; 0 where no answer came.
        code: stable name of the fault.
        detail: the sentence to act on.
        param: the field at fault, or None.
        errors: every single fault: pointer, code, detail, and row and column where there are some.
        request_id: what support asks for.
        retryable: whether the same request may succeed later.
        document: the whole problem document.
    """

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.document = document
        self.code = str(document.get("code") or "unknown_error")
        self.detail = str(document.get("detail") or document.get("title") or f"the answer was {status}")
        self.param: str | None = document.get("param")
        self.errors: list[dict[str, Any]] = list(document.get("errors") or [])
        self.request_id: str | None = document.get("request_id")
        self.retryable = bool(document.get("retryable", False))
        super().__init__(f"{self.code} ({status}): {self.detail}" if status else self.detail)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.document)


class Unreachable(ApiError):
    """No answer came, not even after trying again."""


def error_of(response: httpx.Response) -> ApiError:
    """Turn a failed response into an error, whoever answered: a proxy in between sends no problem document."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"code": "unexpected_answer", "detail": f"{response.url.host} answered {response.status_code}"}
    return ApiError(response.status_code, document)
