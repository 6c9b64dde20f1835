"""The meter: what was counted arrives once, whatever happens to the answer or the sink."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from heddle_api.meter import Meter
from heddle_platform.errors import Unavailable
from heddle_platform.usage import Slot


@dataclass
class Sink:
    """Counts a flush once, as the database does; may lose it, or the answer to it."""

    loses: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    amounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def flush(self, source: str, sequence: int, counts: Mapping[Slot, int]) -> None:
        loss = self.loses.pop(0) if self.loses else None
        if loss == "flush":
            raise Unavailable("the database cannot be reached")
        if self.seen.get(source, 0) < sequence:
            self.seen[source] = sequence
            for slot, amount in counts.items():
                self.amounts[slot.tenant_id, slot.metric] += amount
            self.arrived.set()
        if loss == "answer":
            raise Unavailable("the database connection was lost")


@pytest.mark.parametrize("loss", ["flush", "answer"])
async def test_what_was_lost_on_the_way_is_sent_again_and_counts_once(loss: str) -> None:
    meter, sink = Meter(), Sink(loses=[loss])
    meter.count("ten_1", "edits", 2)
    with pytest.raises(Unavailable):
        await meter.flush(sink)
    meter.count("ten_1", "edits")  # counted while it was away
    await meter.flush(sink)
    assert sink.amounts == {("ten_1", "edits"): 3}
    await meter.flush(sink)
    assert sink.amounts == {("ten_1", "edits"): 3}


async def test_two_processes_are_told_apart() -> None:
    sink = Sink()
    for meter in (Meter(), Meter()):
        meter.count("ten_1", "requests")
        await meter.flush(sink)
    assert sink.amounts == {("ten_1", "requests"): 2}


async def test_a_process_that_stops_loses_nothing_and_flushes_meanwhile() -> None:
    meter, sink = Meter(), Sink(loses=["flush", "answer"])
    async with asyncio.timeout(10), meter.flushing(sink, 0.01):
        meter.count("ten_1", "requests", 5)
        await sink.arrived.wait()
        meter.count("ten_1", "requests", 2)
    assert sink.amounts == {("ten_1", "requests"): 7}


async def test_without_a_sink_counting_goes_on() -> None:
    meter = Meter()
    async with meter.flushing(None, 0.01):
        meter.count("ten_1", "requests")
