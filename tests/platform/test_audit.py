"""The audit chain: whole ones are found whole, and the first thing that was done to one is named."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from heddle_platform.audit import GENESIS, AuditEvent, ChainHead, first_fault, hash_of

TENANT = "ten_01jd00000000000000000000aa"


def sealed(**fields: Any) -> AuditEvent:
    event = AuditEvent(
        **{
            "id": f"ev_{fields['sequence']}",
            "tenant_id": TENANT,
            "actor": "tenant",
            "key_id": "key_1",
            "action": "create_key",
            "target": "key_2",
            "request_id": "req_1",
            "before": None,
            "after": "a" * 64,
            "created_at": datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(seconds=fields["sequence"]),
            "hash": "",
            **fields,
        }
    )
    return event.model_copy(update={"hash": hash_of(event)})


def chain(length: int, **fields: Any) -> list[AuditEvent]:
    events: list[AuditEvent] = []
    for sequence in range(1, length + 1):
        events.append(sealed(sequence=sequence, previous_hash=events[-1].hash if events else GENESIS, **fields))
    return events


def head_of(events: list[AuditEvent]) -> ChainHead:
    return ChainHead(TENANT, events[-1].sequence, events[-1].hash)


def test_a_whole_chain_has_no_fault_in_whatever_order_it_comes() -> None:
    events = chain(5)
    assert first_fault(TENANT, events, head_of(events)) is None
    assert first_fault(TENANT, events[::-1], head_of(events)) is None
    assert first_fault(TENANT, [], None) is None
    # what was added since the end was written down is no fault
    assert first_fault(TENANT, events, head_of(events[:3])) is None


def test_an_event_reads_back_with_the_hash_it_had() -> None:
    event = chain(1)[0]
    assert hash_of(AuditEvent.model_validate_json(event.model_dump_json())) == event.hash
    elsewhere = event.created_at.astimezone(timezone(timedelta(hours=5)))
    assert hash_of(event.model_copy(update={"created_at": elsewhere})) == event.hash


@pytest.mark.parametrize("field", [name for name in AuditEvent.model_fields if name not in ("sequence", "hash")])
def test_a_change_of_any_field_is_found_where_it_was_made(field: str) -> None:
    events = chain(5)
    other: Any = datetime(2020, 1, 1, tzinfo=UTC) if field == "created_at" else "operator"
    events[2] = events[2].model_copy(update={field: other})
    found = first_fault(TENANT, events, head_of(events))
    assert found is not None
    assert found.sequence == 3


Tampering = Callable[[list[AuditEvent]], list[AuditEvent]]


def rehashed(events: list[AuditEvent]) -> list[AuditEvent]:
    changed = events[2].model_copy(update={"action": "nothing"})
    return [*events[:2], changed.model_copy(update={"hash": hash_of(changed)}), *events[3:]]


@pytest.mark.parametrize(
    ("tamper", "sequence", "said"),
    [
        (lambda events: events[:2] + events[3:], 3, "event 3 is missing"),
        (lambda events: events[1:], 1, "event 1 is missing"),
        (lambda events: events[:-1], 5, "event 5 is missing"),
        (lambda _: [], 1, "event 1 is missing"),
        (lambda events: [*events[:3], events[2], *events[3:]], 4, "event 3 is twice"),
        (rehashed, 4, "does not cover the event before it"),
    ],
)
def test_removed_doubled_and_rehashed_events_are_found(tamper: Tampering, sequence: int, said: str) -> None:
    events = chain(5)
    found = first_fault(TENANT, tamper(events), head_of(events))
    assert found is not None
    assert (found.sequence, said in found.reason) == (sequence, True), found


def test_a_chain_that_was_rewritten_whole_is_found_by_an_end_written_down_elsewhere() -> None:
    events, rewritten = chain(5), chain(5, action="nothing")
    assert first_fault(TENANT, rewritten, None) is None
    found = first_fault(TENANT, rewritten, head_of(events[:4]))
    assert found is not None
    assert (found.sequence, "replaced" in found.reason) == (4, True)
