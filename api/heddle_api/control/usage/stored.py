"""Stored bytes are not counted as they come and go but looked at, every few minutes; an hour keeps the most of it."""

import asyncio
from typing import Final

import structlog

from heddle_api.control.context import Control
from heddle_infra.database import usage
from heddle_platform.errors import Unavailable

_EVERY_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


async def note_stored_bytes(control: Control) -> None:
    """Note what every tenant holds, for ever; several planes may do so at once."""
    while True:
        pause = _EVERY_SECONDS
        try:
            async with control.transaction() as session:
                await usage.note_stored_bytes(session)
                await usage.forget_sources(session)
        except Unavailable as error:
            _log.warning("stored_bytes_wait", reason=error.message)
            pause = _RETRY_SECONDS
        except Exception as error:
            _log.error("stored_bytes_failed", exc_info=error)
        await asyncio.sleep(pause)
