"""Held: values in this process's memory: so many bytes in all and of one tenant, not longer than so many seconds.

Of two kinds. While the cache is away a replica holds the latents and the images that were sent to it, and no other
replica knows of them: enough for a person who drags a slider while Redis is started again. And in any case it holds the
finished edits it answered last (`near`). Keys are those of the cache, so a tenant never finds another's, and an
erasure's new epoch leaves nothing to be found.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

SECONDS: Final = 600
_MOST_BYTES: Final = 64 * 1024**2
_SHARE: Final = 4  # a tenant may fill a quarter
_SWEEP_SECONDS: Final = 10.0

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_Value]):
    value: _Value
    nbytes: int
    owner: str
    ends: float


class Held(Generic[_Value]):
    """See the module."""

    def __init__(
        self,
        size: Callable[[_Value], int],
        *,
        most_bytes: int = _MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty one.

        Args:
            size: bytes of a value.
            most_bytes: of all values together; 0 holds nothing.
            clock: seconds that only grow.
        """
        self._size = size
        self._most = most_bytes
        self._clock = clock
        self._nbytes = 0
        self._swept_at = clock()
        # both in the order of use; the second is there to find one owner's oldest without walking over all
        self._entries: OrderedDict[str, _Entry[_Value]] = OrderedDict()
        self._keys_of: dict[str, OrderedDict[str, None]] = {}
        self._bytes_of: dict[str, int] = {}

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        return self._nbytes

    @property
    def owners(self) -> frozenset[str]:
        """Whose values are held."""
        return frozenset(self._keys_of)

    def put(self, owner: str, key: str, value: _Value, *, seconds: float = SECONDS) -> bool:
        """Hold a value; what its owner, then what anybody has not used for longest makes room. False: too large."""
        nbytes = self._size(value)
        if nbytes > self._most // _SHARE:
            return False
        self.drop(key)
        self._sweep()
        while self._bytes_of.get(owner, 0) + nbytes > self._most // _SHARE:
            self.drop(next(iter(self._keys_of[owner])))
        while self._nbytes + nbytes > self._most:
            self.drop(next(iter(self._entries)))
        self._entries[key] = _Entry(value, nbytes, owner, self._clock() + seconds)
        self._keys_of.setdefault(owner, OrderedDict())[key] = None
        self._bytes_of[owner] = self._bytes_of.get(owner, 0) + nbytes
        self._nbytes += nbytes
        return True

    def get(self, key: str) -> _Value | None:
        """Return a value that is held."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.ends <= self._clock():
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        self._keys_of[entry.owner].move_to_end(key)
        return entry.value

    def drop(self, key: str) -> None:
        """Let a value go; not an error if it is not held."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._nbytes -= entry.nbytes
        self._bytes_of[entry.owner] -= entry.nbytes
        del self._keys_of[entry.owner][key]
        if not self._keys_of[entry.owner]:
            del self._keys_of[entry.owner], self._bytes_of[entry.owner]

    def drop_all(self, owner: str) -> None:
        """Let all values of an owner go."""
        for key in [*self._keys_of.get(owner, ())]:
            self.drop(key)

    def _sweep(self) -> None:
        """Let go of what has ended; a walk over everything, so not at every turn."""
        now = self._clock()
        if now < self._swept_at + _SWEEP_SECONDS:
            return
        self._swept_at = now
        for key in [key for key, entry in self._entries.items() if entry.ends <= now]:
            self.drop(key)
