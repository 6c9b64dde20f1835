"""The audit trail: what was done, by which key, to what; each event's hash covers the one before it.

Every tenant has a chain of its own, so that tenants do not wait for each other, and the operators have one. Whoever
holds the events can check them without trusting the database: `first_fault` names the first that is not as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from heddle_platform.digest import json_digest
from heddle_platform.records import Record

GENESIS: Final = "0" * 64  # what the first event of a chain covers
OPERATORS: Final = "operators"  # the chain of what belongs to no tenant

Actor = Literal["tenant", "operator"]


class AuditEvent(Record):
    """One thing that was done.

    `before` and `after` are SHA-256 digests of the changed document's canonical JSON where it was cheap to have:
    they show that something changed, and prove what it was to whoever kept the document.
    """

    id: str
    tenant_id: str | None
    sequence: int
    actor: Actor
    key_id: str
    action: str
    target: str
    request_id: str | None
    before: str | None
    after: str | None
    created_at: datetime
    previous_hash: str
    hash: str

    @property
    def chain(self) -> str:
        """Name of the chain it stands in: its tenant's id, or `operators`."""
        return self.tenant_id or OPERATORS


@dataclass(frozen=True)
class ChainHead:
    """The end of a chain: how many events it has, and the hash of the last."""

    chain: str
    sequence: int
    hash: str


@dataclass(frozen=True)
class ChainFault:
    """The first place where a chain is broken.

    Attributes:
        chain: which one.
        sequence: the place, from 1.
        event_id: the event that stands there, None where it is missing.
        reason: a sentence.
    """

    chain: str
    sequence: int
    event_id: str | None
    reason: str


def hash_of(event: AuditEvent) -> str:
    """Return the SHA-256 of an event's canonical JSON, all but its own hash, the previous hash included."""
    body = event.model_dump(exclude={"hash", "created_at"})
    # spelled out here, for two ways to write one moment would be two hashes
    body["created_at"] = event.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return json_digest(body)


def first_fault(chain: str, events: Sequence[AuditEvent], head: ChainHead | None) -> ChainFault | None:
    """Find the first event that is changed, missing, or put in.

    Args:
        chain: name of the chain.
        events: all its events, in any order.
        head: where the chain ends, as it was told or remembered; None compares no end.

    Returns:
        The first fault, or None for a whole chain.
    """
    expected, previous = 1, GENESIS
    for event in sorted(events, key=lambda event: event.sequence):
        if event.sequence != expected:
            reason = f"event {expected} is missing" if event.sequence > expected else f"event {event.sequence} is twice"
            return ChainFault(chain, expected, None, reason)
        if event.previous_hash != previous:
            return ChainFault(chain, expected, event.id, "it does not cover the event before it")
        if hash_of(event) != event.hash:
            return ChainFault(chain, expected, event.id, "its hash is not that of what it says: it was changed")
        if head is not None and expected == head.sequence and event.hash != head.hash:
            return ChainFault(chain, expected, event.id, "its hash is not the one remembered: it was replaced")
        expected, previous = expected + 1, event.hash
    if head is not None and expected <= head.sequence:
        return ChainFault(chain, expected, None, f"event {expected} is missing, the chain has {head.sequence}")
    return None
