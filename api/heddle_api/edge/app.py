"""The edge plane: `uvicorn heddle_api.edge.app:create_app --factory`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Gauge

from heddle_api.edge.admission import Admission
from heddle_api.edge.batcher import Batcher
from heddle_api.edge.batches import routes as batch_routes
from heddle_api.edge.batches.runner import BatchRunner
from heddle_api.edge.batches.service import BatchService
from heddle_api.edge.cors import StudioCors
from heddle_api.edge.direct import Direct
from heddle_api.edge.directory import EdgeDirectory
from heddle_api.edge.drift import DatabaseDriftSink, DriftSink, DriftTally
from heddle_api.edge.loader import Loader
from heddle_api.edge.maker import EditMaker
from heddle_api.edge.metrics import EdgeMetrics
from heddle_api.edge.near import Near
from heddle_api.edge.picture_work import PictureWork
from heddle_api.edge.remembered import Remembered
from heddle_api.edge.routes import direct, router
from heddle_api.edge.service import EditService
from heddle_api.edge.serving import Serving
from heddle_api.edge.shadow import Shadows
from heddle_api.edge.source import DatabaseSource, SnapshotSource
from heddle_api.edge.spelled import Speller
from heddle_api.edit_id import EditSigner
from heddle_api.errors import install_error_handlers
from heddle_api.gate import Gate
from heddle_api.lifespan import open_plane
from heddle_api.meter import DatabaseSink, Meter, UsageSink
from heddle_api.openapi.document import install_openapi
from heddle_api.openapi.texts import EDGE_DESCRIPTION, EDGE_TAGS
from heddle_api.probes import probe_router
from heddle_api.request_context import install_request_context
from heddle_infra.database.engine import Database
from heddle_platform.ports import Cache, ObjectStore
from heddle_platform.quota import default_quota
from heddle_platform.settings import (
    CacheSettings,
    LimitSettings,
    QuotaSettings,
    SecuritySettings,
    ServiceSettings,
)

_FORM_BYTES: Final = 1024**2  # room for the fields beside the image
_BODIES_AT_ONCE: Final = 16  # of the largest size taken


@dataclass(frozen=True, eq=False)
class EdgePorts:
    """All that the edge is given from outside."""

    source: SnapshotSource
    objects: ObjectStore
    cache: Cache
    cache_settings: CacheSettings
    security: SecuritySettings
    limits: LimitSettings
    service: ServiceSettings
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
    usage: UsageSink | None = None
    drift: DriftSink | None = None
    database: Database | None = None  # batches of edits are rows; single edits need none


OpenPorts = Callable[[], AbstractAsyncContextManager[EdgePorts]]


@asynccontextmanager
async def ports_from_environment() -> AsyncIterator[EdgePorts]:
    """Open the ports that `HEDDLE_*` variables name."""
    async with open_plane("edge") as ports:
        settings = ports.settings
        yield EdgePorts(
            DatabaseSource(ports.database),
            ports.objects,
            ports.cache,
            settings.cache,
            settings.security,
            settings.limits,
            settings.service,
            settings.quotas,
            DatabaseSink(ports.database),
            DatabaseDriftSink(ports.database),
            ports.database,
        )


def create_app(open_ports: OpenPorts = ports_from_environment) -> FastAPI:
    """Make the application; nothing is read or opened before its lifespan starts.

    Args:
        open_ports: where the outside world comes from; tests give their own.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with open_ports() as ports, _running(ports, metrics, request_metrics.registry) as state:
            yield state

    app = FastAPI(title="Heddle edge", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    install_error_handlers(app)
    app.add_middleware(Direct, routes=direct.routes)
    request_metrics = install_request_context(app, "edge")
    metrics = EdgeMetrics.create(request_metrics.registry)
    app.add_middleware(StudioCors)
    app.include_router(probe_router(request_metrics.registry))
    app.include_router(direct)
    app.include_router(router)
    app.include_router(batch_routes.router)
    install_openapi(app, description=EDGE_DESCRIPTION, tags=EDGE_TAGS)
    return app


@asynccontextmanager
async def _running(
    ports: EdgePorts, metrics: EdgeMetrics, registry: CollectorRegistry
) -> AsyncIterator[dict[str, Any]]:
    """Start the loader, the batcher and the picture threads, and yield the lifespan state."""
    limits = ports.limits
    meter, drift, rate = Meter(), DriftTally(), default_quota(ports.quotas).rate
    signer = EditSigner(ports.security.secret_key.get_secret_value())
    speller = Speller(signer)
    batcher = Batcher(queue_max=limits.edit_queue_max, observe_rows=metrics.batch_rows.observe)
    pictures = PictureWork(limits)
    remembered = Remembered(
        ports.cache,
        metrics.cache_failures,
        latent_ttl_seconds=ports.cache_settings.cache_latent_ttl_seconds,
        image_ttl_seconds=ports.cache_settings.cache_image_ttl_seconds,
    )
    near = Near(
        most_bytes=ports.cache_settings.cache_near_bytes, ttl_seconds=ports.cache_settings.cache_image_ttl_seconds
    )
    loader = Loader(
        ports.source,
        ports.objects,
        threads=ports.service.edge_threads,
        swapped=lambda serving: _forget_erased(serving, near, speller, drift),
    )
    shadows = Shadows(batcher, registry)
    service = EditService(
        loader=loader,
        maker=EditMaker(batcher, pictures, remembered, shadows, meter, drift),
        pictures=pictures,
        remembered=remembered,
        near=near,
        signer=signer,
        speller=speller,
        metrics=metrics,
        meter=meter,
        deadline_seconds=limits.edit_deadline_seconds,
    )
    _gauges(registry, loader, batcher, near)
    max_body_bytes = limits.image_max_bytes + _FORM_BYTES
    batcher.start()
    working: list[asyncio.Task[None]] = []
    if ports.database is not None:
        runner = BatchRunner(ports.database, ports.objects, loader, service)
        working.append(asyncio.create_task(runner.run(poll_seconds=1.0)))
    loading = asyncio.create_task(loader.run(ports.cache, poll_seconds=ports.service.edge_poll_seconds))
    try:
        every = ports.service.usage_flush_seconds
        async with meter.flushing(ports.usage, every), drift.flushing(ports.drift, every):
            yield {
                "key_directory": EdgeDirectory(lambda: loader.serving, ports.source, rate),
                "gate": Gate(ports.cache, meter, "edge", rate),
                "readiness": loader,
                "edits": service,
                "shadows": shadows,
                "batches": None if ports.database is None else BatchService(ports.database, ports.objects, loader),
                "admission": Admission(most_bytes=_BODIES_AT_ONCE * max_body_bytes),
                "max_body_bytes": max_body_bytes,
                "studio_origin": ports.service.control_url,
            }
    finally:
        for task in (*working, loading):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await shadows.close()
        await remembered.settle()
        batcher.close()
        pictures.close()


def _forget_erased(serving: Serving, near: Near, speller: Speller, drift: DriftTally) -> None:
    near.forget_erased(serving.epochs)
    speller.forget_erased(serving.epochs)
    drift.forget_erased(serving.epochs)


def _gauges(registry: CollectorRegistry, loader: Loader, batcher: Batcher, near: Near) -> None:
    waiting = Gauge("heddle_edit_queue_rows", "Pictures that wait to be drawn.", registry=registry)
    waiting.set_function(lambda: batcher.waiting_rows)
    resident = Gauge("heddle_adapters_resident", "Adapter versions in memory.", registry=registry)
    resident.set_function(lambda: loader.resident)
    bases = Gauge("heddle_bases_resident", "Bases in memory; two while one is rolled out.", registry=registry)
    bases.set_function(lambda: len(loader.bases))
    held = Gauge("heddle_near_bytes", "Finished edits in this process's own memory.", registry=registry)
    held.set_function(lambda: near.nbytes)
    age = Gauge("heddle_serving_snapshot_age_seconds", "Since the database last answered.", registry=registry)
    age.set_function(lambda: loader.age_seconds)
