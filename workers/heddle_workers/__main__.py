"""`python -m heddle_workers`: the dispatcher. Settings come from the environment (`HEDDLE_*`, `RAY_AUTH_*`)."""

import asyncio
import os
import sys

import structlog

from heddle_infra.wiring import open_ports
from heddle_platform.settings import RaySettings, Settings
from heddle_platform.telemetry import configure_logging
from heddle_workers.process import Verdict, serve


def main() -> None:
    """Run until stopped; replace this process by a fresh one where Ray was lost."""
    settings = Settings.from_environment()
    configure_logging("dispatcher", settings.service.log_level)
    asyncio.run(_serve(settings, RaySettings()))


async def _serve(settings: Settings, ray_settings: RaySettings) -> None:
    verdict = await serve(open_ports(settings), ray_settings)
    structlog.get_logger().info("dispatcher_ended", why=verdict.value)
    sys.stderr.flush()
    # from inside the loop, for its end would wait for threads, and those may hang in calls to a dead Ray
    if verdict is Verdict.RAY_LOST:
        os.execv(sys.executable, [sys.executable, "-m", "heddle_workers"])  # noqa: S606
    os._exit(0)


if __name__ == "__main__":
    main()
