"""The two planes a client speaks to, opened together and closed together."""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from heddle_api.client.results import Document
from heddle_api.client.transport import Patience, Transport
from heddle_api.client.upload import PartSender

PAGE_LIMIT: Final = 100


class Planes:
    """Connections of one caller: the control plane, the edge where its address is known, and the object store."""

    def __init__(
        self,
        control_url: str,
        edge_url: str | None = None,
        api_key: str | None = None,
        *,
        patience: Patience | None = None,
        timeout_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Remember where to connect to; nothing is sent yet.

        Args:
            control_url: address of the control plane.
            edge_url: address of the edge, which only edits need; None asks the control plane when one is made.
            api_key: a tenant's or an operator's key.
            patience: how often and how long to try again.
            timeout_seconds: longest silence of a server.
            sleep: waits so many seconds; tests pass one that does not.
        """
        patience = patience or Patience()
        self._sleep = sleep
        self._open = partial(
            Transport, api_key=api_key, patience=patience, timeout_seconds=timeout_seconds, sleep=sleep
        )
        self._control = self._open(control_url)
        self._edge_transport = self._open(edge_url) if edge_url else None
        self._sender = PartSender(patience, timeout_seconds, sleep)

    @property
    def _edge(self) -> Transport:
        if self._edge_transport is None:
            self._edge_transport = self._open(self._control.json("GET", "/studio/config.json")["edge_url"])
        return self._edge_transport

    def _all(self, path: str, **query: Any) -> list[Document]:
        """Read a list to its end, page by page."""
        found: list[Document] = []
        after: str | None = None
        while True:
            params = {"limit": PAGE_LIMIT, **query, **({"after": after} if after else {})}
            page = self._control.json("GET", path, params=params)
            found += page["data"]
            after = page["next_cursor"]
            if not page["has_more"]:
                return found

    def close(self) -> None:
        """Release connections."""
        self._control.close()
        self._sender.close()
        if self._edge_transport is not None:
            self._edge_transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def segment(text: str) -> str:
    """Spell an id or a name as one segment of a path."""
    return quote(text, safe="")
