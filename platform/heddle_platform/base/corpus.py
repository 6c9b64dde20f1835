"""The corpus the base learns from: parts it renders itself, and parts made by others, with every label that is known.

Each part is prepared once into shards: rendered, or read from its source, decoded and scaled. Parts that fit into a
window are held in memory, larger ones are streamed through it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from heddle_platform.base.rendering import DSPRITES as DSPRITES
from heddle_platform.base.rendering import DSPRITES_EXACT as DSPRITES_EXACT
from heddle_platform.base.rendering import GLYPHS as GLYPHS
from heddle_platform.base.rendering import PARTS, RenderedShard, render_missing, rendered_levels, rendered_shards
from heddle_platform.base.sources.place import LocalPlace
from heddle_platform.base.sources.read import SourceConfig, open_place
from heddle_platform.base.sources.sample import as_size
from heddle_platform.base.sources.shards import UNKNOWN as UNKNOWN
from heddle_platform.base.sources.shards import Loaded, ShardSet, read_index
from heddle_platform.base.sources.write import source_digest, write_shards
from heddle_platform.base.stream import StreamedPart
from heddle_platform.errors import InvalidInput
from heddle_platform.ports import ObjectStore

_HELD_OUT_SEED_OFFSET = 1_000_003

Progress = Callable[[int, int], None]
"""Called with (images ready, images wanted)."""


class CorpusConfig(BaseModel):
    """What the corpus holds.

    Attributes:
        images: images per rendered part; these are the styles of `styles.STYLES`, "dsprites", "dsprites-exact" and
            "glyphs".
        sources: parts made by others, by names of their own.
        weights: part -> how much more often one of its images is drawn than others'; 1 where not named.
        held_out: images per part kept for measuring: rendered from another seed, at most one in twenty of a source.
        image_size: side of all images in pixels; rendered parts are drawn at 64 and scaled.
        window: most images of one part in memory at once; a larger part is streamed.
        seed: seed of every draw.
        processes: how many processes render.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: dict[str, int] = Field(default_factory=dict)
    sources: dict[str, SourceConfig] = Field(default_factory=dict)
    weights: dict[str, float] = Field(default_factory=dict)
    held_out: int = Field(default=250, ge=1)
    image_size: int = Field(default=64, ge=8, le=512)
    window: int = Field(default=50_000, ge=1)
    seed: int = 0
    processes: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _some_parts(self) -> "CorpusConfig":
        if not self.images and not self.sources:
            raise ValueError("a corpus has at least one part; name some in images or in sources")
        for name in self.sources:
            if name in PARTS:
                raise ValueError(f"{name!r} is a rendered part; give the source another name")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All parts, in order: rendered ones first."""
        return (*self.images, *self.sources)


@dataclass(frozen=True)
class Factor:
    """A labelled factor of the whole corpus: its key and its level names."""

    key: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part held in memory: images uint8 [N, S, S, 3] and labels int16 [N, F], -1 where unknown."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int16]

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.images)

    def at(self, drawn: float) -> "Part":
        """What of it is in memory after `drawn` images: all, always; see `StreamedPart.at`."""
        return self


@dataclass(frozen=True)
class Corpus:
    """All parts for training, the same parts held out, and the factors their labels refer to."""

    factors: tuple[Factor, ...]
    parts: tuple[Part | StreamedPart, ...]
    held_out: tuple[Part, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Training images per part."""
        return {part.name: part.count for part in self.parts}


def resident_parts(corpus: Corpus) -> list[Part]:
    """All parts, if all are in memory.

    Raises:
        InvalidInput: code `part_is_streamed`.
    """
    for part in corpus.parts:
        if isinstance(part, StreamedPart):
            raise InvalidInput(
                f"pairs and a labelled fraction need whole parts in memory, and {part.name!r} has {part.count} images "
                f"and is streamed; raise corpus.window to {part.count} or leave them out",
                code="part_is_streamed",
            )
    return [part for part in corpus.parts if isinstance(part, Part)]


def default_cache_dir() -> Path:
    """The user's cache directory for prepared shards (XDG_CACHE_HOME or ~/.cache)."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "heddle" / "corpus"


def part_factors(part: str) -> tuple[Factor, ...]:
    """The factors one rendered part is labelled with, in its own column order."""
    return tuple(Factor(key, levels) for key, levels in rendered_levels(part))


def source_factors(part: str, shards: ShardSet) -> tuple[Factor, ...]:
    """The factors a source is labelled with, in the column order of its shards; keys are `<part>/<column>`."""
    return tuple(Factor(f"{part}/{column}", levels) for column, levels in shards.index.factors.items())


def corpus_factors(parts: Iterable[str], sources: Mapping[str, ShardSet] | None = None) -> tuple[Factor, ...]:
    """Every factor of the given parts once: first a factor "part" that says which part an image is from."""
    names, opened = tuple(parts), sources or {}
    merged: dict[str, Factor] = {"part": Factor("part", names)}
    for name in names:
        for factor in source_factors(name, opened[name]) if name in opened else part_factors(name):
            merged.setdefault(factor.key, factor)
    return tuple(merged.values())


def build_corpus(
    config: CorpusConfig,
    *,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    store: ObjectStore | None = None,
) -> Corpus:
    """Prepare what is missing and open the corpus.

    Args:
        config: what it holds.
        cache_dir: where shards live; the user's cache directory if None.
        progress: called after every shard.
        store: where sources named `stored` lie.
    Returns:
        The corpus; 12 kB of memory an image at 64 px, up to `window` images a part.
    Raises:
        InvalidInput: a source cannot be read; the sentence says what is wrong and where.
        DataCorrupt: prepared shards are damaged.
    """
    cache = cache_dir or default_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    held_seed = config.seed + _HELD_OUT_SEED_OFFSET
    train = {name: rendered_shards(name, count, config.seed) for name, count in config.images.items()}
    held = {name: rendered_shards(name, config.held_out, held_seed) for name in config.images}
    if train:
        render_missing((held, train), cache, config.processes, progress)
    sources = {name: _opened(source, config, cache, progress, store) for name, source in config.sources.items()}
    factors = corpus_factors(config.names, sources)
    readers = {name: _Reader(name, factors, sources.get(name), config) for name in config.names}
    rendered = [readers[name].rendered(train[name], held[name], cache) for name in config.images]
    others = [readers[name].streamed(shards) for name, shards in sources.items()]
    parts, held_out = zip(*rendered, *others, strict=True)
    return Corpus(factors=factors, parts=parts, held_out=held_out)


def _opened(
    source: SourceConfig, config: CorpusConfig, cache: Path, progress: Progress | None, store: ObjectStore | None
) -> ShardSet:
    """The source's shards: its own if it is prepared already, else those in the cache, written now if need be."""
    place = open_place(source, store)
    index = read_index(place)
    if index is None:
        digest = source_digest(place, source, config.image_size, 3)
        target = LocalPlace(cache / f"source-{digest[:16]}")
        index = write_shards(place, source, target, size=config.image_size, channels=3, progress=progress)
        place = target
    return ShardSet(place, index, size=config.image_size)


class _Reader:
    """Loads one part's shards as the corpus has them: its side in pixels, its factors as label columns."""

    def __init__(self, name: str, factors: tuple[Factor, ...], source: ShardSet | None, config: CorpusConfig) -> None:
        self._name, self._config, self._width = name, config, len(factors)
        column_of = {factor.key: column for column, factor in enumerate(factors)}
        own = source_factors(name, source) if source else part_factors(name)
        self._columns = [column_of[factor.key] for factor in own]
        self._number = factors[0].levels.index(name)

    def rendered(
        self, train: list[RenderedShard], held: list[RenderedShard], cache: Path
    ) -> tuple[Part | StreamedPart, Part]:
        counts = [shard.count for shard in train]
        return (
            self._part(counts, lambda number: self._fit(train[number].load(cache))),
            self._joined([self._fit(shard.load(cache)) for shard in held]),
        )

    def streamed(self, source: ShardSet) -> tuple[Part | StreamedPart, Part]:
        shards = source.index.train
        return (
            self._part([shard.images for shard in shards], lambda number: self._fit(source.load(shards[number]))),
            self._joined([self._fit(source.load_held_out(self._config.held_out))]),
        )

    def _part(self, counts: list[int], load: Callable[[int], Loaded]) -> Part | StreamedPart:
        if sum(counts) <= self._config.window:
            return self._joined([load(number) for number in range(len(counts))])
        return StreamedPart(self._name, counts, load, window=self._config.window, seed=self._config.seed)

    def _fit(self, loaded: Loaded) -> Loaded:
        images, own = loaded
        labels = np.full((len(images), self._width), UNKNOWN, dtype=np.int16)
        labels[:, 0] = self._number
        labels[:, self._columns] = own
        return as_size(images, self._config.image_size), labels

    def _joined(self, loaded: list[Loaded]) -> Part:
        images = np.concatenate([images for images, _ in loaded])
        return Part(self._name, images, np.concatenate([labels for _, labels in loaded]))
