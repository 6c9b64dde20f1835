"""The control plane's application: one factory, nothing at import.

uvicorn heddle_api.control.app:create_app --factory
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import FastAPI

from heddle_api.auth import hash_key
from heddle_api.control import studio
from heddle_api.control.adapters import file_routes
from heddle_api.control.adapters import routes as adapter_routes
from heddle_api.control.audit import routes as audit_routes
from heddle_api.control.bases import routes as base_routes
from heddle_api.control.cluster import routes as cluster_routes
from heddle_api.control.cluster.gauges import ClusterGauges
from heddle_api.control.context import Control
from heddle_api.control.datasets import routes as dataset_routes
from heddle_api.control.drift import routes as drift_routes
from heddle_api.control.drift.watch import watch_drift
from heddle_api.control.erasures import routes as erasure_routes
from heddle_api.control.factors import routes as factor_routes
from heddle_api.control.feedback import routes as feedback_routes
from heddle_api.control.fits import routes as fit_routes
from heddle_api.control.jobs import routes as job_routes
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.key_directory import DatabaseKeys
from heddle_api.control.keys import routes as key_routes
from heddle_api.control.polled import PolledJobs
from heddle_api.control.quotas import routes as quota_routes
from heddle_api.control.reconciliations import routes as reconciliation_routes
from heddle_api.control.rollouts import routes as rollout_routes
from heddle_api.control.seal import Seal
from heddle_api.control.tenants import routes as tenant_routes
from heddle_api.control.uploads import routes as upload_routes
from heddle_api.control.usage import routes as usage_routes
from heddle_api.control.usage.stored import note_stored_bytes
from heddle_api.control.webhooks import routes as webhook_routes
from heddle_api.control.webhooks.sender import Sender
from heddle_api.errors import install_error_handlers
from heddle_api.gate import Gate
from heddle_api.lifespan import open_plane
from heddle_api.meter import DatabaseSink, Meter
from heddle_api.openapi.document import install_openapi
from heddle_api.openapi.texts import CONTROL_DESCRIPTION, CONTROL_TAGS
from heddle_api.probes import probe_router
from heddle_api.request_context import install_request_context
from heddle_infra.database import tenants
from heddle_infra.database.roles import hole
from heddle_infra.wiring import Ports
from heddle_platform.errors import Unavailable
from heddle_platform.quota import default_quota

MAX_BODY_BYTES: Final = 4 * 1024**2  # bulk goes to the object store; the largest body here is a factor set
_RETRY_SECONDS: Final = 0.5
_ROUTERS: Final = (
    key_routes,
    tenant_routes,
    base_routes,
    factor_routes,
    upload_routes,
    dataset_routes,
    job_routes,
    fit_routes,
    adapter_routes,
    file_routes,
    erasure_routes,
    webhook_routes,
    feedback_routes,
    drift_routes,
    rollout_routes,
    quota_routes,
    usage_routes,
    audit_routes,
    cluster_routes,
    reconciliation_routes,
)

_log = structlog.get_logger(__name__)


def create_app(ports: Ports | None = None, *, studio_folder: Path = studio.FOLDER) -> FastAPI:
    """Make the application.

    Args:
        ports: the outside world, for tests; None opens it from `HEDDLE_*` variables when the process starts.
        studio_folder: where the page's files lie.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        if ports is not None:
            async with _running(ports, gauges) as state:
                yield state
            return
        async with open_plane("control") as opened, _running(opened, gauges) as state:
            yield state

    app = FastAPI(
        title="Heddle control plane",
        version=version("heddle"),
        summary="Tenants register factors, upload labelled sets, fit adapters, and move them to production.",
        lifespan=lifespan,
    )
    install_error_handlers(app)
    app.add_middleware(PolledJobs, routes=job_routes.router.routes)
    metrics = install_request_context(app, "control", max_body_bytes=MAX_BODY_BYTES)
    gauges = ClusterGauges(metrics.registry)
    app.include_router(probe_router(metrics.registry))
    for module in _ROUTERS:
        app.include_router(module.router)
    app.include_router(studio.studio_router(studio_folder))
    install_openapi(app, description=CONTROL_DESCRIPTION, tags=CONTROL_TAGS)
    return app


@asynccontextmanager
async def _running(ports: Ports, gauges: ClusterGauges) -> AsyncIterator[dict[str, Any]]:
    control = Control(ports, Seal(ports.settings.security.secret_key), Standings(ports.database))
    settings, meter, telling = ports.settings, Meter(), Sender(control)
    admin = asyncio.create_task(_ensure_admin_key(control))
    sender = asyncio.create_task(telling.run())
    noting = asyncio.create_task(note_stored_bytes(control))
    watching = asyncio.create_task(watch_drift(control))
    gauging = asyncio.create_task(gauges.keep(control))
    looking = asyncio.create_task(control.standings.keep())
    try:
        async with meter.flushing(DatabaseSink(ports.database), settings.service.usage_flush_seconds):
            directory = DatabaseKeys(ports.database, settings.quotas)
            yield {
                "control": control,
                "key_directory": directory,
                "changed": directory.changed,
                "gate": Gate(ports.cache, meter, "control", default_quota(settings.quotas).rate),
                "readiness": Readiness(control, admin),
            }
    finally:
        for task in (admin, sender, noting, watching, gauging, looking):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _ensure_admin_key(control: Control) -> None:
    # the plane starts while the database is away, so this waits for it instead of failing
    secret = control.settings.security.admin_key
    while secret is not None:
        try:
            async with control.ports.database.transaction(None) as session:
                await tenants.ensure_admin_key(session, hash_key(secret.get_secret_value()))
        except Unavailable as error:
            _log.warning("admin_key_waits", reason=error.message)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


class Readiness:
    """Ready means: database and object store answer, the walls hold, and the operator's first key is known."""

    def __init__(self, control: Control, admin: asyncio.Task[None]) -> None:
        self._control = control
        self._admin = admin

    async def checks(self) -> dict[str, bool]:
        """Return what the plane cannot work without, and whether it is there."""
        database, objects = await asyncio.gather(self._control.ports.database.ping(), self._objects())
        key = self._admin.done() and not self._admin.cancelled() and self._admin.exception() is None
        walls = {"walls": await self._walls()} if self._control.settings.security.environment == "production" else {}
        return {"database": database, "objects": objects, "admin_key": key, **walls}

    async def _walls(self) -> bool:
        try:
            async with self._control.ports.database.transaction(None) as session:
                reason = await hole(session)
        except Unavailable:
            return False
        if reason is not None:
            _log.error("database_role_refused", reason=f"{reason}; set HEDDLE_DATABASE_URL to one that is neither")
        return reason is None

    async def _objects(self) -> bool:
        try:
            await asyncio.to_thread(self._control.objects.head, "readiness")
        except Unavailable:
            return False
        return True
