"""Held: values of this process, for as long as the cache is away; so many bytes in all and of one tenant, not longer.

A replica holds what was sent to it and no other replica knows of it: enough for a person who drags a slider while
Redis is started again. Keys are those of the cache, so a tenant never finds another's, and an erasure's new epoch
leaves nothing to be found.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 600
_MOST_BYTES: Final = 64 * 1024**2
_SHARE: Final = 4  # a tenant may fill a quarter


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    owner: str
    ends: float


class Held:
    """See the module."""

    def __init__(self, *, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes_of: dict[str, int] = {}

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        return sum(self._bytes_of.values())

    def put(self, owner: str, key: str, value: bytes, *, seconds: float = SECONDS) -> bool:
        """Hold a value; what its owner, then what anybody has not used for longest makes room. False: too large."""
        if len(value) > self._most // _SHARE:
            return False
        self.drop(key)
        now = self._clock()
        for old in [old for old, entry in self._entries.items() if entry.ends <= now]:
            self.drop(old)
        while self._bytes_of.get(owner, 0) + len(value) > self._most // _SHARE:
            self.drop(next(old for old, entry in self._entries.items() if entry.owner == owner))
        while self.nbytes + len(value) > self._most:
            self.drop(next(iter(self._entries)))
        self._entries[key] = _Entry(value, owner, now + seconds)
        self._bytes_of[owner] = self._bytes_of.get(owner, 0) + len(value)
        return True

    def get(self, key: str) -> bytes | None:
        """Return a value that is held."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.ends <= self._clock():
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def drop(self, key: str) -> None:
        """Let a value go; not an error if it is not held."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        left = self._bytes_of[entry.owner] - len(entry.value)
        if left:
            self._bytes_of[entry.owner] = left
        else:
            del self._bytes_of[entry.owner]
