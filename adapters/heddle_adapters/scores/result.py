"""What every score returns: a value and the protocol it was measured by, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Protocol = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Score:
    """One score.

    Attributes:
        value: the number people quote.
        protocol: metric, version, n, and what else decides the value (bins or k, model family).
    """

    value: float
    protocol: Protocol


@dataclass(frozen=True)
class Interval:
    """A 95 % interval and how it was made."""

    low: float
    high: float
    protocol: Protocol

    def as_pair(self) -> tuple[float, float]:
        """Return (low, high)."""
        return (self.low, self.high)


def protocol_of(metric: str, **details: Any) -> Protocol:
    """Return a read-only protocol; `version` rises when the same input would give another value."""
    return MappingProxyType({"metric": metric, "version": 1, **details})
