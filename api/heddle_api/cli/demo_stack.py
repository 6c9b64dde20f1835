"""The demo's stack: started or found, made ready to serve edits, stopped again if it was the demo that started it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from heddle_api.cli.readiness import wait_for_edge
from heddle_platform.errors import Unavailable

if TYPE_CHECKING:  # the embedded stack is part of the extra "local"
    from heddle_infra.local import ServiceRecord, StackInfo


class DemoStack:
    """A stack in a data folder.

    Attributes:
        was_running: whether somebody else had started it, who then also stops it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._info: StackInfo | None = None
        self._begun = False
        self._called_off = False
        self.was_running = False

    def start(self, say: Callable[[str], None]) -> None:
        """Start everything, or find it running; return once the edge can serve edits.

        Args:
            say: told what is being waited for.

        Raises:
            HeddleError: a part did not start; the sentence names it and its log.
        """
        from heddle_api.cli.publish import publish_default_base
        from heddle_infra.local import StackConfig, describe, start_detached

        self.was_running = describe(self._data_dir).running
        self._begun = True
        ready: set[str] = set()
        parts: set[str] = set()

        def follow(service: "ServiceRecord") -> None:
            if self._called_off:
                raise Unavailable("the start was called off")
            parts.add(service.name)
            if service.state in ("ready", "external"):
                ready.add(service.name)
            say(f"{len(ready)} of {len(parts)} up; last {service.name} {service.state}")

        info = start_detached(StackConfig(self._data_dir), on_progress=follow)
        self._info = info
        say("publishing the base")
        publish_default_base(info.control_url, info.admin_key)
        say("waiting for the edge to load the base")
        wait_for_edge(info)
        say(f"{len(parts)} servers on 127.0.0.1" if parts else "found running")

    def stop(self) -> None:
        """Stop it, if the demo started it; twice is once, and a start under way is called off."""
        from heddle_infra.local import stop

        self._called_off = True
        if self._begun and not self.was_running:
            stop(self._data_dir)

    def memory_bytes(self) -> int:
        """Memory of all its processes, what they share counted once."""
        from heddle_infra.local import describe

        return describe(self._data_dir).memory_bytes

    @property
    def info(self) -> "StackInfo":
        """Where it is and how to get in.

        Raises:
            Unavailable: it was not started.
        """
        if self._info is None:
            raise Unavailable("the stack is not running; start it first")
        return self._info
