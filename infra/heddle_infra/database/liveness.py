"""Liveness: a connection out of the pool is looked at before it is used, and asked only where looking is not enough.

A server that stops or restarts closes its connections, which shows at once. One behind a broken network does not, so a
connection that was idle for a while is asked: then a restarted server costs nobody a failed request, and a busy
process pays no round trip for it.
"""

import time
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine

_TRUSTED_SECONDS: Final = 1.0
_BACK: Final = "heddle_back"


def watch(engine: AsyncEngine) -> None:
    """Look at every connection that the engine's pool hands out."""
    dialect = engine.sync_engine.dialect

    def handed_out(connection: Any, record: Any, _proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server closed the connection")
        if time.monotonic() - record.info.get(_BACK, time.monotonic()) < _TRUSTED_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server does not answer") from error

    def given_back(_connection: Any, record: Any) -> None:
        record.info[_BACK] = time.monotonic()

    event.listen(engine.sync_engine, "checkout", handed_out)
    event.listen(engine.sync_engine, "checkin", given_back)
