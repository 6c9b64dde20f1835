"""The batcher: mixed tenants share a batch and get what they would get alone; full, late and bad are told apart."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heddle_adapters.bank import AdapterBank
from heddle_adapters.read import read
from heddle_api.edge.batcher import MAX_ROWS, Batcher
from heddle_api.edge.draw import Work, carry_out
from heddle_api.edge.serving import LoadedBase
from heddle_platform import pixels
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from heddle_platform.errors import NotFound, Unavailable
from tests.api.edge.edge_world import Fitted


class Held:
    """A runtime whose encoder waits until it is let go, so that works pile up behind it."""

    def __init__(self, runtime: BaseRuntime) -> None:
        self._runtime = runtime
        self.latents, self.image_size, self.digest = runtime.latents, runtime.image_size, runtime.digest
        self.gate = threading.Event()
        self.batches: list[int] = []

    def encode(self, images: Any) -> Any:
        assert self.gate.wait(10)
        self.batches.append(len(images))
        return self._runtime.encode(images)

    def decode(self, latents: Any) -> Any:
        return self._runtime.decode(latents)


@pytest.fixture
def base(runtime: BaseRuntime, fitted: Fitted) -> LoadedBase:
    bank = AdapterBank(runtime.latents)
    bank.add("one", fitted.adapter)
    bank.add("two", fitted.adapter.with_gains({"glasses": 2.0}))
    return LoadedBase("default", runtime.digest, runtime, bank)


@pytest.fixture
def held(runtime: BaseRuntime) -> Iterator[Held]:
    made = Held(runtime)
    yield made
    made.gate.set()


@pytest.fixture
def rows() -> list[int]:
    return []


@pytest.fixture
def batcher(rows: list[int]) -> Iterator[Batcher]:
    made = Batcher(queue_max=40, observe_rows=rows.append)
    made.start()
    yield made
    made.close()


def work(base: LoadedBase, fitted: Fitted, row: int, *edits: tuple[str, EditRequest], seconds: float = 10.0) -> Work:
    image = pixels.decode(fitted.images[row], max_bytes=10**6, max_pixels=10**6)
    small = pixels.resize(image, base.runtime.image_size)
    return Work(base, small, None, tuple(edits), time.monotonic() + seconds, fitted.adapter)


def glasses(level: str, detail: Any = "preserve") -> EditRequest:
    return EditRequest(adapter="avatars", set={"glasses": level}, detail=detail)


def test_a_mixed_batch_equals_each_work_alone(base: LoadedBase, fitted: Fitted) -> None:
    worn = read(fitted.adapter, fitted.latents_NL[302:303]).as_json(0)["glasses"]["value"]
    changed = "none" if worn != "none" else "round"
    works = [
        work(base, fitted, 300, ("one", glasses("round"))),
        work(base, fitted, 301),
        work(base, fitted, 302, ("two", glasses(changed, "decode")), ("one", glasses(changed))),
        replace(work(base, fitted, 303, ("two", glasses("round"))), image_HWC=None, latents_L=fitted.latents_NL[303]),
    ]
    together = carry_out(works)
    for alone, mixed in zip([carry_out([one])[0] for one in works], together, strict=True):
        assert np.allclose(alone.latents_L, mixed.latents_L, atol=1e-5)
        assert len(alone.drawn) == len(mixed.drawn)
        assert alone.readings is not None
        assert mixed.readings is not None
        assert alone.readings.as_json(0).keys() == mixed.readings.as_json(0).keys()
        for one, other in zip(alone.drawn, mixed.drawn, strict=True):
            assert np.allclose(one.after_HWC, other.after_HWC, atol=1e-4)
            assert (one.before_HWC is None) == (other.before_HWC is None) == (one.detail == "decode")
            assert one.extrapolation == pytest.approx(other.extrapolation, rel=1e-4)
    strong, weak = together[2].drawn
    assert not np.allclose(strong.after_HWC, weak.after_HWC, atol=1e-3)  # each row used its own adapter


async def test_tenants_share_a_batch_and_each_is_drawn_by_its_own_adapter(base: LoadedBase, fitted: Fitted) -> None:
    rows: list[int] = []
    batcher = Batcher(queue_max=40, observe_rows=rows.append)
    request = glasses("round", "decode")
    works = [
        replace(work(base, fitted, 300 + index // 2, (digest, request), seconds=60.0), owner=owner)
        for index, (owner, digest) in enumerate([("ten_a", "one"), ("ten_b", "two")] * 4)
    ]
    waiting = [asyncio.create_task(batcher.do(one)) for one in works]
    await asyncio.sleep(0)  # each task runs up to its wait
    batcher.start()
    done = await asyncio.gather(*waiting)
    batcher.close()
    assert rows == [len(works)], "one batch for both"
    for mixed, alone in zip(done, [carry_out([one])[0] for one in works], strict=True):
        assert np.allclose(mixed.drawn[0].after_HWC, alone.drawn[0].after_HWC, atol=1e-4)
    differ = [
        np.abs(mine.drawn[0].after_HWC - other.drawn[0].after_HWC).max()
        for mine, other in zip(done[::2], done[1::2], strict=True)
    ]
    assert max(differ) > 1e-3, "the same edit of the same picture is another one for another tenant"


def test_a_work_without_image_and_latents_is_a_mistake(base: LoadedBase, fitted: Fitted) -> None:
    with pytest.raises(ValueError, match="image or its latents"):
        carry_out([replace(work(base, fitted, 0), image_HWC=None)])


async def test_what_waits_is_drawn_together_and_a_lone_work_at_once(
    batcher: Batcher, base: LoadedBase, held: Held, fitted: Fitted, rows: list[int]
) -> None:
    slow = replace(base, runtime=held)
    first = asyncio.create_task(batcher.do(work(slow, fitted, 300, ("one", glasses("round")))))
    await asyncio.sleep(0.05)
    behind = [
        asyncio.create_task(batcher.do(work(slow, fitted, 301 + at, ("two", glasses("none"))))) for at in range(5)
    ]
    await asyncio.sleep(0.05)
    assert batcher.waiting_rows == 5
    held.gate.set()
    done = await asyncio.gather(first, *behind)
    assert held.batches == [1, 5]
    assert rows == [1, 5]
    assert all(result.seconds["queue"] >= 0.0 for result in done)
    assert done[1].seconds["queue"] > 0.04


async def test_a_batch_waits_for_what_is_on_its_way(
    batcher: Batcher, base: LoadedBase, fitted: Fitted, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await batcher.do(work(base, fitted, 300, ("one", glasses("round"))))  # from now on it knows how long one takes
    monkeypatch.setattr("heddle_api.edge.batcher._COMPANY_PICTURES", 1e9)
    monkeypatch.setattr("heddle_api.edge.batcher._COMPANY_MOST_SECONDS", 5.0)
    comings = [batcher.coming() for _ in range(4)]
    tasks = []
    for at, coming in enumerate(comings[:3]):
        tasks.append(asyncio.create_task(batcher.do(work(base, fitted, 301 + at, ("one", glasses("none"))), coming)))
        await asyncio.sleep(0.02)
    assert batcher.waiting_rows == 3
    comings[3].end()  # it was found in the cache
    comings[3].end()
    await asyncio.gather(*tasks)
    assert rows == [1, 3]


async def test_a_batch_does_not_wait_for_ever(
    batcher: Batcher, base: LoadedBase, fitted: Fitted, rows: list[int]
) -> None:
    coming = batcher.coming()
    await batcher.do(work(base, fitted, 300, ("one", glasses("round"))), batcher.coming())
    await batcher.do(work(base, fitted, 301, ("one", glasses("round"))), batcher.coming())
    assert rows == [1, 1]
    coming.end()


async def test_batches_stay_small(batcher: Batcher, base: LoadedBase, held: Held, fitted: Fitted) -> None:
    slow = replace(base, runtime=held)
    first = asyncio.create_task(batcher.do(work(slow, fitted, 300)))
    await asyncio.sleep(0.02)
    behind = [asyncio.create_task(batcher.do(work(slow, fitted, 301))) for _ in range(MAX_ROWS + 3)]
    await asyncio.sleep(0.02)
    held.gate.set()
    await asyncio.gather(first, *behind)
    assert held.batches == [1, MAX_ROWS, 3]


async def test_a_full_queue_refuses_at_once(batcher: Batcher, base: LoadedBase, held: Held, fitted: Fitted) -> None:
    slow = replace(base, runtime=held)
    tasks = [asyncio.create_task(batcher.do(work(slow, fitted, 300)))]
    await asyncio.sleep(0.05)
    tasks += [asyncio.create_task(batcher.do(work(slow, fitted, 300))) for _ in range(40)]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match=r"40 pictures wait .* at most 40") as caught:
        await batcher.do(work(slow, fitted, 300))
    assert caught.value.code == "overloaded"
    held.gate.set()
    await asyncio.gather(*tasks)


async def test_a_late_work_is_not_done(batcher: Batcher, base: LoadedBase, held: Held, fitted: Fitted) -> None:
    slow = replace(base, runtime=held)
    first = asyncio.create_task(batcher.do(work(slow, fitted, 300)))
    await asyncio.sleep(0.02)
    with pytest.raises(Unavailable) as caught:
        await batcher.do(work(slow, fitted, 301, seconds=0.05))
    assert caught.value.code == "deadline_exceeded"
    held.gate.set()
    await first
    await batcher.do(work(slow, fitted, 302))
    assert held.batches == [1, 1]  # the late one was never encoded


async def test_one_bad_work_does_not_hurt_its_neighbours(
    batcher: Batcher, base: LoadedBase, held: Held, fitted: Fitted
) -> None:
    slow = replace(base, runtime=held)
    first = asyncio.create_task(batcher.do(work(slow, fitted, 300)))
    await asyncio.sleep(0.02)
    good = asyncio.create_task(batcher.do(work(slow, fitted, 301, ("one", glasses("round")))))
    bad = asyncio.create_task(batcher.do(work(slow, fitted, 302, ("gone", glasses("round")))))
    await asyncio.sleep(0.02)
    held.gate.set()
    results = await asyncio.gather(first, good, bad, return_exceptions=True)
    assert not isinstance(results[1], BaseException)
    assert isinstance(results[2], NotFound)
    assert results[2].code == "adapter_not_loaded"


async def test_closing_fails_what_waits_and_refuses_what_comes(base: LoadedBase, held: Held, fitted: Fitted) -> None:
    batcher = Batcher(queue_max=10, observe_rows=lambda _: None)
    batcher.start()
    slow = replace(base, runtime=held)
    first = asyncio.create_task(batcher.do(work(slow, fitted, 300)))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(batcher.do(work(slow, fitted, 301)))
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    await asyncio.sleep(0.02)
    held.gate.set()
    await closing
    assert len((await first).latents_L) == base.runtime.latents
    for late in (waiting, asyncio.create_task(batcher.do(work(slow, fitted, 302)))):
        with pytest.raises(Unavailable) as caught:
            await late
        assert caught.value.code == "stopping"
