"""Request context: an id, a log line, two metrics and a body bound for every request; pure ASGI, outside all handlers.

Query strings and bodies are never logged: presigned URLs and images pass through here.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heddle_api.errors import Place, internal_problem, problem_of
from heddle_platform.errors import TooLarge
from heddle_platform.ids import new_id

# from a cached hit (1 ms) to a slow upload; what is promised of edits (5 ms cached, 40 ms not) are edges of their own
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1.0, 2.5, 10.0)
DEFAULT_MAX_BODY_BYTES: Final = 16 * 1024**2
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RequestMetrics:
    """What Prometheus learns of requests; `registry` is where a plane hangs its other metrics."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    _children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(default_factory=dict)

    @classmethod
    def create(cls, plane: str) -> "RequestMetrics":
        """Make a registry of its own (two apps may live in one process) with the request metrics in it.

        Args:
            plane: "control" or "edge", a label of both metrics.
        """
        registry = CollectorRegistry()
        ProcessCollector(namespace="heddle", registry=registry)
        PlatformCollector(registry=registry)
        labels = ("plane", "method", "route", "status")
        requests = Counter("heddle_requests_total", "Requests answered.", labels, registry=registry)
        seconds = Histogram(
            "heddle_request_seconds",
            "Time from the request's head to the last byte of its answer.",
            ("plane", "method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        return cls(registry, requests, seconds)

    def record(self, plane: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `method` and `route` must be of those the plane has, each combination is kept."""
        found = self._children.get((method, route, status))
        if found is None:
            found = self.requests.labels(plane, method, route, str(status)), self.seconds.labels(plane, method, route)
            self._children[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


def install_request_context(
    app: FastAPI, plane: str, *, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
) -> RequestMetrics:
    """Put the context around `app`; call it before adding middleware that should stand outside (CORS).

    Args:
        app: the plane.
        plane: "control" or "edge".
        max_body_bytes: longest request body that is read; longer ones answer 413 `request_too_large`. An entry
            `max_body_bytes` of the lifespan state takes its place, for bounds that settings decide. An entry
            `changed` is called with the path before the answer to a request that may have changed something goes out.

    Returns:
        The metrics, whose registry `/metrics` writes out.
    """
    metrics = RequestMetrics.create(plane)
    app.add_middleware(RequestContext, metrics=metrics, plane=plane, max_body_bytes=max_body_bytes)
    return metrics


class RequestContext:
    """The middleware; see the module."""

    def __init__(self, app: ASGIApp, *, metrics: RequestMetrics, plane: str, max_body_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._plane = plane
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_id("req")
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        most = state.get("max_body_bytes", self._max_body_bytes)
        changed = None if scope["method"] in _SAFE else state.get("changed")
        sent = _Sent(send, request_id, state, partial(changed, scope["path"]) if changed is not None else None)
        place = Place(scope["path"], request_id)
        bound = structlog.contextvars.bind_contextvars(
            request_id=request_id, process=self._plane, tenant_id=None, key_id=None
        )
        try:
            declared = _content_length(scope)
            if declared is not None and declared > most:
                refusal = problem_of(_too_large(declared, most), place)
                await refusal(scope, receive, sent)
            else:
                await self._app(scope, _Bounded(receive, most), sent)
        except Exception as error:
            if sent.status is not None:  # half an answer is out: only breaking the connection is honest
                raise
            _log.error("request_crashed", path=scope["path"], exc_info=error)
            answer = internal_problem(place)
            await answer(scope, receive, sent)
        finally:
            self._record(scope, sent.status or 500, time.perf_counter() - started)
            structlog.contextvars.reset_contextvars(**bound)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if route != "unmatched" else "ANY"  # callers must not mint label values
        self._metrics.record(self._plane, method, route, status, seconds)
        if route in _QUIET and status < 400:
            return
        principal = scope["state"].get("principal")
        _log.info(
            "request_finished",
            method=scope["method"],
            route=route,
            status=status,
            milliseconds=round(1000 * seconds, 2),
            tenant_id=getattr(principal, "tenant_id", None),
            key_id=getattr(principal, "key_id", None),
        )


class _Sent:
    """`send` that adds X-Request-Id and what the gate has to say, and remembers the status."""

    def __init__(
        self, send: Send, request_id: str, state: Mapping[str, Any], changed: Callable[[], None] | None
    ) -> None:
        self._send = send
        self._changed = changed
        self._state = state
        self._header = (b"x-request-id", request_id.encode())
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._changed is not None:
                self._changed()
            told: Mapping[str, str] = self._state.get("answer_headers", {})
            further = [(name.lower().encode(), value.encode()) for name, value in told.items()]
            message["headers"] = [*message.get("headers", ()), self._header, *further]
        await self._send(message)


class _Bounded:
    """`receive` that stops a body without (or with a false) Content-Length at the bound."""

    def __init__(self, receive: Receive, max_body_bytes: int) -> None:
        self._receive = receive
        self._max = max_body_bytes
        self._read = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._max:
                raise _too_large(self._read, self._max)
        return message


def _too_large(seen: int, most: int) -> TooLarge:
    return TooLarge(
        f"the request body has {seen} bytes or more, at most {most} are read; send less", code="request_too_large"
    )


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
