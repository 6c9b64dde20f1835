"""Remembered: what edits leave is written together, soon, and known here before it is."""

import asyncio
from collections.abc import Mapping

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from heddle_api.edge.remembered import EditedImage, Remembered
from heddle_infra.memory import MemoryCache

LATENTS_L = np.arange(4, dtype=np.float32)


class Counted(MemoryCache):
    """Counts the calls that write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[set[str]] = []
        self.wrote = asyncio.Event()

    async def set_many(self, values: Mapping[str, tuple[bytes, int]]) -> None:
        self.written.append(set(values))
        await super().set_many(values)
        self.wrote.set()


def remembering(cache: MemoryCache) -> Remembered:
    failures = Counter("failures", "calls", registry=CollectorRegistry())
    return Remembered(cache, failures, latent_ttl_seconds=60, image_ttl_seconds=60)


def image(size: int = 10) -> EditedImage:
    return EditedImage(bytes(size), "decode", 0.5)


async def test_edits_are_written_together_and_their_latents_known_meanwhile() -> None:
    cache = Counted()
    remembered = remembering(cache)
    remembered.keep_made("ten_a", "edit-1", image(), "latent-1", LATENTS_L)
    remembered.keep_made("ten_b", "edit-2", image(), "latent-2", None)
    found = await remembered.look("edit-3", "latent-1", "claim", latents=4, claim_seconds=1.0)
    assert cache.written == []
    assert found.latents_L is not None
    assert np.array_equal(found.latents_L, LATENTS_L)
    assert (await remembered.latent("latent-1", 4)) is not None
    async with asyncio.timeout(5):
        await cache.wrote.wait()  # nothing but time makes it write
    await remembered.settle()
    assert cache.written == [{"edit-1", "latent-1", "edit-2"}]
    assert (await remembered.edited("edit-1")) == image()
    assert (await remembering(cache).latent("latent-1", 4)) is not None


async def test_much_is_written_at_once() -> None:
    cache = Counted()
    remembered = remembering(cache)
    remembered.keep_made("ten_a", "edit-1", image(300_000), "latent-1", LATENTS_L)
    remembered.keep_made("ten_a", "edit-2", image(300_000), "latent-1", None)
    await asyncio.sleep(0)  # a turn of the loop, and no time
    assert cache.written == [{"edit-1", "latent-1", "edit-2"}]
    await remembered.settle()
    assert len(cache.written) == 1
