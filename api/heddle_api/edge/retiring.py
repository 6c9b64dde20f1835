"""Retiring: a base that nothing names any more leaves memory, once edits under way have had their time.

During a rollout tenants are on two bases, each with its sessions and its bank; after it, and once the old versions are
gone, the old one holds some fifty megabytes for nobody. A version that could still be asked for keeps its base: an edit
never waits for a load.
"""

import time
from collections.abc import Set


class Retiring:
    """Remembers since when each held base is not needed."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._idle: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._idle)

    def due(self, held: Set[str], needed: Set[str]) -> list[str]:
        """Return the digests of bases to be let go now.

        Args:
            held: of all bases in memory.
            needed: of those that a servable version or a base's alias names, or whose bank still holds adapters.
        """
        now = time.monotonic()
        self._idle = {digest: self._idle.get(digest, now) for digest in held - needed}
        gone = [digest for digest, since in self._idle.items() if now - since > self._grace_seconds]
        for digest in gone:
            del self._idle[digest]
        return gone
