"""What a rollout's task is asked and what it hands over, one adapter after the other; apart, to be light to import."""

from dataclasses import dataclass, field
from typing import Any

from heddle_platform.settings import LimitSettings
from heddle_workers.base_source import BaseSource
from heddle_workers.fitted import Fitted
from heddle_workers.tasks import SetSource


@dataclass(frozen=True)
class Predecessor:
    """The version that is served now.

    Attributes:
        adapter_id, version: which it is.
        adapter_url: its matrices.
        card, gate: their documents.
        approved: whether a person approved of it.
    """

    adapter_id: str
    version: int
    adapter_url: str
    card: dict[str, Any]
    gate: dict[str, Any]
    approved: bool

    @property
    def key(self) -> tuple[str, int]:
        """What names the item of the rollout."""
        return self.adapter_id, self.version


@dataclass(frozen=True)
class RebaseItem:
    """One adapter to be brought to the new base.

    Attributes:
        before: what is served.
        old: the base it was fitted on.
        source: its labelled set; None where the images are gone.
        old_latents_url, new_latents_url: stored latents of the set; None where they must be encoded.
        factor_set: its document.
    """

    before: Predecessor
    old: BaseSource
    source: SetSource | None
    old_latents_url: str | None
    new_latents_url: str | None
    factor_set: dict[str, Any]


@dataclass(frozen=True)
class RolloutRequest:
    """A chunk of adapters and the new base."""

    base: BaseSource
    items: tuple[RebaseItem, ...]
    limits: LimitSettings
    threads: int


@dataclass(frozen=True)
class Rebased:
    """What became of one adapter.

    Attributes:
        key: adapter id and version of the predecessor.
        outcome: "better", "equal", "worse".
        passed: whether it may take the predecessor's place by itself.
        carried: whether it passes with what a person accepted of the predecessor.
        mapped: whether it was carried over without its images.
        fitted: the version; for a mapped one its files are matrices, graph, editor, card and pages.
        latents: of the set under the new base, packed, where they were not stored yet.
        numbers: differences and losses, for the report.
        reasons: sentences.
        seconds: stage -> seconds.
    """

    key: tuple[str, int]
    outcome: str
    passed: bool
    carried: bool
    mapped: bool
    fitted: Fitted
    latents: bytes | None
    numbers: dict[str, Any]
    reasons: tuple[str, ...]
    seconds: dict[str, float]


@dataclass(frozen=True)
class NotRebased:
    """Why nothing became of one adapter; a retryable reason is tried again."""

    key: tuple[str, int]
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class ChunkDone:
    """The chunk's end: how many adapters were handed over, and the seconds it took."""

    adapters: int
    seconds: dict[str, float] = field(default_factory=dict)
