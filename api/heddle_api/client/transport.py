"""Sending: every POST carries an Idempotency-Key, so trying again after a lost answer never does the work twice."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from heddle_api.client.errors import ApiError, Unreachable, error_of

_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
_IN_FLIGHT: Final = "idempotency_key_in_flight"
_LONGEST_WAIT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how long is waited in between.

    Attributes:
        attempts: tries in all.
        first_wait_seconds: wait after the first failure; doubled each time, and half of it left to chance.
    """

    attempts: int = 6
    first_wait_seconds: float = 0.2

    def wait_seconds(self, failures: int, retry_after: float | None) -> float:
        """Return how long to wait after so many failures; the server's own Retry-After goes first."""
        if retry_after is not None:
            return min(retry_after, _LONGEST_WAIT_SECONDS)
        longest = min(self.first_wait_seconds * 2.0 ** (failures - 1), _LONGEST_WAIT_SECONDS)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads clients out, keeps no secret


class Transport:
    """One plane, spoken to with one key."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        patience: Patience,
        timeout_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=timeout_seconds)
        self._patience = patience
        self._sleep = sleep

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a request and return the JSON of the answer; None where the answer is empty."""
        if body is not None:
            options["json"] = body
        response = self.send(method, path, **options)
        return response.json() if response.content else None

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request, again and again while that may help.

        Raises:
            ApiError: the answer was a failure.
            Unreachable: there was none.
        """
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        failures = 0
        while True:
            retry_after: float | None = None
            try:
                response = self._http.request(method, path, headers=sent, **options)
            except httpx.TransportError as error:
                failure: ApiError = Unreachable(0, _unreachable(self._http.base_url, error))
            else:
                if response.is_success:
                    return response
                failure = error_of(response)
                if response.status_code not in _TRY_AGAIN and failure.code != _IN_FLIGHT:
                    raise failure
                retry_after = _retry_after(response)
            failures += 1
            if failures >= self._patience.attempts:
                raise failure
            self._sleep(self._patience.wait_seconds(failures, retry_after))

    def close(self) -> None:
        """Release connections."""
        self._http.close()


def _unreachable(url: httpx.URL, error: Exception) -> dict[str, Any]:
    reason = str(error) or type(error).__name__
    return {"code": "unreachable", "detail": f"{url} does not answer: {reason}; is it running?", "retryable": True}


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:  # RFC 9110, 10.2.3: a date is allowed as well
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
