"""Lifespan: what both planes do when a process starts and ends: read settings, set up logs, open the ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from heddle_infra.wiring import Ports, open_ports
from heddle_platform.settings import Settings
from heddle_platform.settled import settle
from heddle_platform.telemetry import configure_logging

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_plane(process: str, settings: Settings | None = None) -> AsyncIterator[Ports]:
    """Open the outside world for one process and close it again.

    Args:
        process: "control" or "edge", a field of every log line.
        settings: None reads `HEDDLE_*` variables, here and not at import.

    Yields:
        The ports; database, object store and cache are connected to on first use, not here, so that a
        plane starts while they are away.
    """
    settings = settings or Settings.from_environment()
    configure_logging(process, settings.service.log_level)
    ports = open_ports(settings)
    settle()
    _log.info("plane_started", process=process)
    try:
        yield ports
    finally:
        await ports.close()
        _log.info("plane_stopped", process=process)
