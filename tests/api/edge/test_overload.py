"""Too much at once: what would be late is refused early, and one caller cannot fill the place of all."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from heddle_adapters.bank import AdapterBank
from heddle_api.edge.admission import Admission
from heddle_api.edge.batcher import Batcher, deadline_exceeded
from heddle_api.edge.draw import Work
from heddle_api.edge.patience import Patience
from heddle_api.edge.serving import LoadedBase
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, Unavailable
from tests.api.edge.edge_world import Edge, Fitted


class Slow:
    """A runtime that decodes a picture in a tenth of a second, or not before it is let go."""

    def __init__(self, runtime: BaseRuntime) -> None:
        self._runtime = runtime
        self.latents, self.image_size = runtime.latents, runtime.image_size
        self.gate, self.drawing = threading.Event(), threading.Event()
        self.gate.set()

    def encode(self, images: Any) -> Any:
        return self._runtime.encode(images)

    def decode(self, latents: Any) -> Any:
        self.drawing.set()
        time.sleep(0.1)
        assert self.gate.wait(20)
        return self._runtime.decode(latents)


@pytest.fixture
def slow(runtime: BaseRuntime) -> Iterator[Slow]:
    made = Slow(runtime)
    yield made
    made.gate.set()


async def test_what_would_be_late_is_refused_when_it_arrives(slow: Slow, fitted: Fitted) -> None:
    bank = AdapterBank(slow.latents)
    bank.add("one", fitted.adapter)
    base = LoadedBase("default", "b" * 64, slow, bank)
    request = EditRequest(adapter="avatars", set={"glasses": "round"}, detail="decode")
    patient = Work(base, None, fitted.latents_NL[0], (("one", request),), time.monotonic() + 60)
    batcher = Batcher(queue_max=100, observe_rows=lambda rows: None)
    batcher.start()
    try:
        await batcher.do(patient)
        async with asyncio.timeout(20):
            while True:  # it is noted after the answer
                if batcher.pace_seconds >= 0.1:
                    break
                await asyncio.sleep(0.01)
        slow.gate.clear()
        slow.drawing.clear()
        drawing = asyncio.create_task(batcher.do(patient))
        assert await asyncio.to_thread(slow.drawing.wait, 20)
        waiting = [asyncio.create_task(batcher.do(patient)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as caught:
            await batcher.do(replace(patient, deadline=time.monotonic() + 0.05))
        assert caught.value.code == "overloaded"  # not `deadline_exceeded`: nobody waited for it
        assert (caught.value.retry_after_seconds or 0) >= 1.0
        assert batcher.waiting_rows == 5
        slow.gate.set()
        await asyncio.gather(drawing, *waiting)
    finally:
        slow.gate.set()
        batcher.close()


async def test_the_header_says_how_long_somebody_waits(edge: Edge) -> None:
    image = {"image": ("a.png", edge.world.fitted.images[0])}
    form = {"edit": '{"adapter": "avatars", "set": {"glasses": "round"}}'}

    async def asked(milliseconds: str) -> Any:
        headers = {**edge.world.headers(), "X-Deadline-Ms": milliseconds}
        return await edge.post("/v1/edits", files=image, data=form, headers=headers)

    late = await asked("1")  # and nothing else is to be done
    assert (late.status_code, late.json()["code"], late.json()["retryable"]) == (422, "deadline_too_short", False)
    assert (late.json()["param"], "X-Deadline-Ms is 1," in late.json()["detail"]) == ("X-Deadline-Ms", True)
    assert (await asked("60000")).status_code == 200
    for text in ("0", "-5", "1.5", "soon", "9" * 12):
        wrong = await asked(text)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed_header"), text


async def test_a_deadline_that_others_made_too_short_is_the_replicas_fault(edge: Edge) -> None:
    image = {"image": ("a.png", edge.world.fitted.images[1])}
    form = {"edit": '{"adapter": "avatars", "set": {"glasses": "round"}}'}
    headers = {**edge.world.headers(), "X-Deadline-Ms": "1"}
    with edge.state["edits"].patience.of(None):  # somebody else's edit is under way
        late = await edge.post("/v1/edits", files=image, data=form, headers=headers)
    assert (late.status_code, late.json()["code"], late.json()["retryable"]) == (503, "deadline_exceeded", True)
    assert int(late.headers["retry-after"]) >= 1


def late_by(patience: Patience, asked_seconds: float | None) -> None:
    with patience.of(asked_seconds):
        raise deadline_exceeded()


def late_after_another(patience: Patience, asked_seconds: float) -> None:
    with patience.of(asked_seconds):
        with patience.of(None):  # it came while this was under way, and was done before
            pass
        raise deadline_exceeded()


def test_only_an_edit_alone_and_late_by_its_own_deadline_was_asked_too_soon() -> None:
    patience = Patience(5.0)
    with pytest.raises(InvalidInput, match="X-Deadline-Ms is 40,"):
        late_by(patience, 0.04)
    for asked_seconds in (None, 5.0, 60.0):
        with pytest.raises(Unavailable, match="deadline"):
            late_by(patience, asked_seconds)
    with pytest.raises(Unavailable, match="deadline"):
        late_after_another(patience, 0.04)
    with pytest.raises(Unavailable, match="full"), patience.of(0.04):
        raise Unavailable("the queue is full", code="overloaded")
    with pytest.raises(InvalidInput):
        late_by(patience, 0.04)


def test_one_caller_has_at_most_its_share_under_way_and_others_come_through() -> None:
    admission = Admission(most_bytes=1000, most_of_one=2)
    with admission.hold(1, "one"), admission.hold(1, "one"):
        with pytest.raises(Unavailable) as caught, admission.hold(1, "one"):
            raise AssertionError("let in")
        assert caught.value.code == "overloaded"
        with admission.hold(1, "other"):
            pass
    with admission.hold(1, "one"):
        pass


async def test_the_sixty_fifth_request_of_a_key_is_refused_while_64_are_under_way(edge: Edge) -> None:
    image = {"image": ("a.png", edge.world.fitted.images[0])}
    form = {"edit": '{"adapter": "avatars", "set": {"glasses": "round"}}'}
    admission: Admission = edge.state["admission"]
    held = [admission.hold(1, "key_tenant") for _ in range(64)]
    for one in held:
        one.__enter__()
    refused = await edge.post("/v1/edits", files=image, data=form, headers=edge.world.headers())
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "64" in refused.json()["detail"]
    held.pop().__exit__(None, None, None)
    assert (await edge.post("/v1/edits", files=image, data=form, headers=edge.world.headers())).status_code == 200
    for one in held:
        one.__exit__(None, None, None)
