"""Probes: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics` (Prometheus)."""

from typing import Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Readiness(Protocol):
    """What a plane puts into the lifespan state as `readiness`."""

    async def checks(self) -> dict[str, bool]:
        """Return each thing the plane cannot work without, and whether it is there."""


def probe_router(registry: CollectorRegistry) -> APIRouter:
    """Return the three routes, outside authentication and outside the API's version.

    Args:
        registry: whose metrics `/metrics` writes out.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        readiness: Readiness = request.state.readiness
        checks = await readiness.checks()
        ready = all(checks.values())
        return JSONResponse(
            {"status": "ready" if ready else "not_ready", "checks": checks}, status_code=200 if ready else 503
        )

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
