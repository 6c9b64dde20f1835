"""What every score returns: a value and the protocol it was measured by, frozen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

Protocol = Mapping[str, Any]


class _Frozen(Mapping[str, Any]):
    """A read-only dictionary that, unlike `MappingProxyType`, can be pickled and copied: results go to other processes.

    Equal to a dictionary of the same entries.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(self._entries)


@dataclass(frozen=True, eq=False)
class Score:
    """One score.

    Attributes:
        value: the number people quote.
        protocol: metric, version, n, and what else decides the value (bins or k, model family).
    """

    value: float
    protocol: Protocol

    def __post_init__(self) -> None:
        self._freeze()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze()  # a copied or unpickled array would be writeable again

    def _freeze(self) -> None:
        # frozen to the last number, so that a result that is passed on cannot come to say something else
        for field in fields(self):
            array = getattr(self, field.name)
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    def __float__(self) -> float:
        return self.value

    def as_json(self) -> dict[str, Any]:
        """Return all fields as plain numbers, lists and dictionaries; NaN becomes None."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, the value it is about, and how it was made."""

    value: float
    low: float
    high: float
    protocol: Protocol

    def as_pair(self) -> tuple[float, float]:
        """Return (low, high)."""
        return (self.low, self.high)


def protocol_of(metric: str, *, version: int = 1, **details: Any) -> Protocol:
    """Return a read-only protocol; `version` rises when the same input would give another value."""
    return _Frozen({"metric": metric, "version": version, **details})


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
