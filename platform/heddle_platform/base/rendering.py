"""The corpus's rendered parts: avatars, letters and dSprites, drawn once into shards in a cache directory.

Several processes draw, and can be interrupted at any time: a shard is there whole or not at all. Nothing is downloaded.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base import dsprites, dsprites_exact, glyphs, rendered
from heddle_platform.base.styles import STYLES, style_spec

DSPRITES = "dsprites"
DSPRITES_EXACT = "dsprites-exact"
GLYPHS = "glyphs"

# Parts drawn by a module of their own; every other part is a style.
_DRAWN = {DSPRITES: dsprites, DSPRITES_EXACT: dsprites_exact, GLYPHS: glyphs}
PARTS = (*STYLES, *_DRAWN)
_VERSION = 3
_SHARD = 500

Progress = Callable[[int, int], None]
"""Called with (images ready, images wanted)."""


@dataclass(frozen=True)
class RenderedShard:
    """A shard of one part: its place in the part, how many images it holds, and the part's seed."""

    part: str
    index: int
    count: int
    seed: int

    def path(self, cache_dir: Path) -> Path:
        """Where it lies."""
        return cache_dir / f"v{_VERSION}-{self.part}-s{self.seed}-{self.index:04d}-{self.count}.npz"

    def load(self, cache_dir: Path) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Images uint8 [count, 64, 64, 3] and labels int16 [count, F] in the part's own columns."""
        with np.load(self.path(cache_dir)) as stored:
            return stored["images"], stored["labels"]


def rendered_levels(part: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The factors one part is labelled with, (key, level names) in its own column order.

    Raises:
        ValueError: there is no such part.
    """
    if part in _DRAWN:
        drawn: tuple[tuple[str, tuple[str, ...]], ...] = _DRAWN[part].factor_levels()
        return drawn
    return tuple((each.key, each.levels) for each in style_spec(part).factors())


def rendered_shards(part: str, count: int, seed: int) -> list[RenderedShard]:
    """The shards that hold a part's first `count` images."""
    return [
        RenderedShard(part, index, min(_SHARD, count - start), seed)
        for index, start in enumerate(range(0, count, _SHARD))
    ]


def render_missing(
    groups: Sequence[dict[str, list[RenderedShard]]], cache_dir: Path, processes: int, progress: Progress | None
) -> None:
    """Draw the shards that are not in the cache yet.

    Args:
        groups: part -> shards; the first group is drawn first.
        cache_dir: where shards lie.
        processes: how many draw.
        progress: called after every shard.
    """
    # Round robin over parts, so that an interrupted rendering has some of everything.
    shards = [shard for group in groups for some in _round_robin(group) for shard in some]
    total = sum(shard.count for shard in shards)
    missing = [shard for shard in shards if not shard.path(cache_dir).exists()]
    ready = total - sum(shard.count for shard in missing)
    if progress:
        progress(ready, total)
    if not missing:
        return
    # Spawned, not forked: the parent may already hold torch's threads.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_render_shard, shard, cache_dir): shard for shard in missing}
        for future in as_completed(futures):
            future.result()
            ready += futures[future].count
            if progress:
                progress(ready, total)


def _render_shard(shard: RenderedShard, cache_dir: Path) -> None:
    seed = shard.seed * 100_003 + shard.index
    if shard.part in _DRAWN:
        images, labels = _DRAWN[shard.part].render_batch(shard.count, seed)
    else:
        images, labels = rendered.render_batch(shard.part, shard.count, seed)
    handle, name = tempfile.mkstemp(dir=cache_dir, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, images=images, labels=labels)
    os.replace(name, shard.path(cache_dir))


def _round_robin(groups: dict[str, list[RenderedShard]]) -> Iterator[list[RenderedShard]]:
    longest = max((len(shards) for shards in groups.values()), default=0)
    for position in range(longest):
        yield [shards[position] for shards in groups.values() if position < len(shards)]
