"""What goes to a pretraining on Ray, and what comes back from it: plain values, importable without torch."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PretrainRequest:
    """A base to be trained.

    Attributes:
        recipe: as it was sent; read and refused where it runs.
        workers: processes that share each batch.
        checkpoint_url: where to go on from; None: from the start.
        cpus: CPUs each worker reserves.
    """

    recipe: dict[str, Any]
    workers: int = 1
    checkpoint_url: str | None = None
    cpus: float = 0.0


@dataclass(frozen=True)
class Kept:
    """A checkpoint after `step` steps."""

    step: int
    data: bytes


@dataclass(frozen=True)
class Noted:
    """Something for the job's history: snake_case type and plain data."""

    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One measurement (a `readings.Measurement` as JSON) and its traversal picture (PNG)."""

    measurement: dict[str, Any]
    traversal: bytes


@dataclass(frozen=True)
class Pretrained:
    """A trained base.

    Attributes:
        name, digest: which.
        manifest: as JSON.
        files: the bundle's files by name, the manifest last.
        card_files: card.json and card.html.
        figures: what the job's result shows of the card.
    """

    name: str
    digest: str
    manifest: dict[str, Any]
    files: dict[str, bytes]
    card_files: dict[str, bytes]
    figures: dict[str, Any]
