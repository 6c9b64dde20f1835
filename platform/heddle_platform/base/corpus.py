"""The corpus the base learns from: rendered avatars, letters and dSprites, with every label they were drawn from.

Images are rendered once into shards in a cache directory, by several processes, and can be interrupted at any
time: a shard is there whole or not at all. Nothing is downloaded.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from heddle_platform.base import dsprites, dsprites_exact, glyphs, rendered
from heddle_platform.base.styles import style_spec

DSPRITES = "dsprites"
DSPRITES_EXACT = "dsprites-exact"
GLYPHS = "glyphs"
UNKNOWN = -1

# Parts drawn by a module of their own; every other part is a style.
_DRAWN = {DSPRITES: dsprites, DSPRITES_EXACT: dsprites_exact, GLYPHS: glyphs}
_VERSION = 3
_SHARD = 500
_HELD_OUT_SEED_OFFSET = 1_000_003

Progress = Callable[[int, int], None]
"""Called with (images ready, images wanted)."""


class CorpusConfig(BaseModel):
    """What the corpus holds.

    Attributes:
        images: images per part; the parts are the styles of `styles.STYLES`, "dsprites", "dsprites-exact" and "glyphs".
        weights: part -> how much more often one of its images is drawn than others'; 1 where not named.
        held_out: images per part kept for measuring, drawn from another seed.
        seed: seed of every draw.
        processes: how many processes render.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: dict[str, int] = Field(min_length=1)
    weights: dict[str, float] = Field(default_factory=dict)
    held_out: int = Field(default=250, ge=1)
    seed: int = 0
    processes: int = Field(default=2, ge=1)


@dataclass(frozen=True)
class Factor:
    """A labelled factor of the whole corpus: its key and its level names."""

    key: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Images uint8 [N, 64, 64, 3] of one style and labels int16 [N, F] over the corpus's factors (-1: unknown)."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int16]


@dataclass(frozen=True)
class Corpus:
    """All parts for training, the same parts held out, and the factors their labels refer to."""

    factors: tuple[Factor, ...]
    parts: tuple[Part, ...]
    held_out: tuple[Part, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Training images per part."""
        return {part.name: len(part.images) for part in self.parts}


@dataclass(frozen=True)
class _Shard:
    part: str
    index: int
    count: int
    seed: int

    def path(self, cache_dir: Path) -> Path:
        return cache_dir / f"v{_VERSION}-{self.part}-s{self.seed}-{self.index:04d}-{self.count}.npz"


def default_cache_dir() -> Path:
    """The user's cache directory for rendered shards (XDG_CACHE_HOME or ~/.cache)."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "heddle" / "corpus"


def part_factors(part: str) -> tuple[Factor, ...]:
    """The factors one part is labelled with, in its own column order."""
    if part in _DRAWN:
        return tuple(Factor(key, levels) for key, levels in _DRAWN[part].factor_levels())
    return tuple(Factor(each.key, each.levels) for each in style_spec(part).factors())


def corpus_factors(parts: Iterator[str] | tuple[str, ...]) -> tuple[Factor, ...]:
    """Every factor of the given parts once: first a factor "part" that says which part an image is from."""
    names = tuple(parts)
    merged: dict[str, Factor] = {"part": Factor("part", names)}
    for name in names:
        for factor in part_factors(name):
            merged.setdefault(factor.key, factor)
    return tuple(merged.values())


def build_corpus(config: CorpusConfig, *, cache_dir: Path | None = None, progress: Progress | None = None) -> Corpus:
    """Render what is missing and load the corpus.

    Args:
        config: what to render.
        cache_dir: where shards live; the user's cache directory if None.
        progress: called after every shard.
    Returns:
        The corpus in memory (12 kB an image).
    """
    cache = cache_dir or default_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    train = {name: list(_shards(name, count, config.seed)) for name, count in config.images.items()}
    held_seed = config.seed + _HELD_OUT_SEED_OFFSET
    held = {name: list(_shards(name, config.held_out, held_seed)) for name in config.images}
    # Round robin over parts, so that an interrupted rendering has some of everything.
    wanted = [shard for group in (held, train) for shards in _round_robin(group) for shard in shards]
    _render_missing(wanted, cache, config.processes, progress)
    factors = corpus_factors(tuple(config.images))
    return Corpus(
        factors=factors,
        parts=tuple(_load(name, shards, cache, factors) for name, shards in train.items()),
        held_out=tuple(_load(name, shards, cache, factors) for name, shards in held.items()),
    )


def _round_robin(groups: dict[str, list[_Shard]]) -> Iterator[list[_Shard]]:
    longest = max(len(shards) for shards in groups.values())
    for position in range(longest):
        yield [shards[position] for shards in groups.values() if position < len(shards)]


def _shards(part: str, count: int, seed: int) -> Iterator[_Shard]:
    for index, start in enumerate(range(0, count, _SHARD)):
        yield _Shard(part, index, min(_SHARD, count - start), seed)


def _render_missing(shards: list[_Shard], cache_dir: Path, processes: int, progress: Progress | None) -> None:
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


def _render_shard(shard: _Shard, cache_dir: Path) -> None:
    seed = shard.seed * 100_003 + shard.index
    if shard.part in _DRAWN:
        images, labels = _DRAWN[shard.part].render_batch(shard.count, seed)
    else:
        images, labels = rendered.render_batch(shard.part, shard.count, seed)
    handle, name = tempfile.mkstemp(dir=cache_dir, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, images=images, labels=labels)
    os.replace(name, shard.path(cache_dir))


def _load(name: str, shards: list[_Shard], cache_dir: Path, factors: tuple[Factor, ...]) -> Part:
    loaded = [np.load(shard.path(cache_dir)) for shard in shards]
    images = np.concatenate([each["images"] for each in loaded])
    own = np.concatenate([each["labels"] for each in loaded])
    column_of = {factor.key: column for column, factor in enumerate(factors)}
    labels = np.full((len(images), len(factors)), UNKNOWN, dtype=np.int16)
    labels[:, column_of["part"]] = factors[0].levels.index(name)
    for column, factor in enumerate(part_factors(name)):
        labels[:, column_of[factor.key]] = own[:, column]
    return Part(name, images, labels)
