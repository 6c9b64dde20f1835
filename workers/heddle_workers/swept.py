"""What goes to a sweep on Ray, and what comes back from it: plain values, importable without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SweepRequest:
    """A sweep to be run.

    Attributes:
        plan: as it was sent; read and refused where it runs.
        files: path in the sweep's folder -> (address, SHA-256) of what an earlier attempt left there.
        cpus: CPUs each training reserves.
    """

    plan: dict[str, Any]
    files: Mapping[str, tuple[str, str]]
    cpus: float = 0.0


@dataclass(frozen=True)
class FolderChanged:
    """The sweep's folder at one moment, from which another attempt would go on.

    Attributes:
        listing: path -> SHA-256 of every file.
        new: SHA-256 -> bytes of those that were not told before.
    """

    listing: Mapping[str, str]
    new: Mapping[str, bytes]


@dataclass(frozen=True)
class Swept:
    """What came of a sweep.

    Attributes:
        figures: what the job's result shows.
        chosen: whether a setting could be chosen.
        why: a sentence for that.
        report: the report, HTML.
        document: `sweep.json`.
    """

    figures: dict[str, Any]
    chosen: bool
    why: str
    report: bytes
    document: bytes
