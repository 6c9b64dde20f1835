"""One tree of errors; each has a stable code and a sentence a tenant can act on.

    HeddleError
    |-- InvalidInput           the request or the uploaded data is wrong; `details` says where
    |   `-- TooLarge           a limit is exceeded; the sentence holds both numbers
    |-- NotFound               no such thing, or not yours: the two are never told apart
    |-- Unauthenticated        no key, or not a valid one
    |-- Forbidden              the key lacks a scope, or its tenant is suspended
    |   `-- QuotaExceeded      a limit of the tenant is reached; the sentence holds both numbers
    |-- Conflict               the state does not allow it now
    |   |-- PreconditionRequired
    |   `-- PreconditionFailed
    |-- RateLimited            slow down; `retry_after_seconds` says by how much
    |-- Unavailable            a part is down or full; trying again may help
    |-- DataCorrupt            stored bytes do not match their digest
    `-- LeaseLost              another worker owns the job now

No error knows HTTP: `heddle_api.errors` holds the only table of status codes. All survive pickling,
for they cross process borders.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Detail:
    """One thing that is wrong: where it stands and what to do about it.

    Attributes:
        pointer: JSON pointer into the request body ("/factors/1/name") or into the upload
            ("/labels.csv/12/glasses").
        code: stable snake_case name of the fault.
        detail: a sentence that says what is wrong and what would be right.
        row: line of `labels.csv`, the header being 1; None where no row is meant.
        column: column of `labels.csv`; None where no column is meant.
    """

    pointer: str
    code: str
    detail: str
    row: int | None = None
    column: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are set, ready for a problem document."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class HeddleError(Exception):
    """Root of the tree.

    Attributes:
        code: stable snake_case name.
        message: one sentence for the tenant.
        param: the field at fault, or None.
        details: every single fault found, in order.
        retryable: whether the same request may succeed later.
    """

    default_code = "internal_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Sequence[Detail] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.details = tuple(details)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.code, self.param, self.details, self.__dict__))


def _rebuild(
    kind: type[HeddleError],
    message: str,
    code: str,
    param: str | None,
    details: tuple[Detail, ...],
    state: dict[str, Any],
) -> HeddleError:
    error = kind(message, code=code, param=param, details=details)
    error.__dict__.update(state)
    return error


class InvalidInput(HeddleError):
    """The request or the uploaded data is wrong."""

    default_code = "invalid_input"


class TooLarge(InvalidInput):
    """A declared limit is exceeded."""

    default_code = "too_large"


class NotFound(HeddleError):
    """There is no such thing, or it belongs to somebody else."""

    default_code = "not_found"


class Unauthenticated(HeddleError):
    """No API key was sent, or it is unknown, revoked or expired."""

    default_code = "unauthenticated"


class Forbidden(HeddleError):
    """The key is valid and lacks the scope."""

    default_code = "forbidden"


class QuotaExceeded(Forbidden):
    """A limit of the tenant is reached; `param` names it."""

    default_code = "quota_exceeded"


class Conflict(HeddleError):
    """The state of the resource does not allow this now."""

    default_code = "conflict"


class PreconditionRequired(Conflict):
    """A mutable resource was written without If-Match."""

    default_code = "precondition_required"


class PreconditionFailed(Conflict):
    """The resource changed since the caller read it."""

    default_code = "precondition_failed"


class RateLimited(HeddleError):
    """Too many requests; wait `retry_after_seconds`."""

    default_code = "rate_limited"
    retryable = True
    retry_after_seconds: float = 1.0


class Unavailable(HeddleError):
    """A part of the platform is down or full."""

    default_code = "unavailable"
    retryable = True
    retry_after_seconds: float = 1.0


class DataCorrupt(HeddleError):
    """Stored bytes do not match their digest."""

    default_code = "data_corrupt"


class LeaseLost(HeddleError):
    """The job is leased to another worker; whatever this one holds must be thrown away."""

    default_code = "lease_lost"
