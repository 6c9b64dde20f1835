"""Writing shards: any source becomes prepared shards, once; interrupted, it goes on where it stood."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from heddle_platform.base.sources.columns import Columns
from heddle_platform.base.sources.place import Place
from heddle_platform.base.sources.read import SourceConfig, read_samples
from heddle_platform.base.sources.sample import Sample, sample_pixels
from heddle_platform.base.sources.shards import INDEX, Shard, ShardIndex, pack_shard, read_index
from heddle_platform.base.sources.webdataset import read_tar
from heddle_platform.digest import json_digest, sha256_hex
from heddle_platform.errors import InvalidInput

SHARD_IMAGES: Final = 500
HELD_OUT_ONE_IN: Final = 20

_log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Called with (images ready, images expected)."""


def source_digest(source: Place, config: SourceConfig, size: int, channels: int) -> str:
    """Digest of what shards are made of and how: the source's files by name, size and version, and the settings."""
    settings = config.model_dump(mode="json", exclude={"path", "stored"})
    files = [(entry.name, entry.size, entry.version) for entry in source.entries()]
    return json_digest({"files": files, "settings": settings, "size": size, "channels": channels})


def write_shards(
    source: Place, config: SourceConfig, target: Place, *, size: int, channels: int, progress: Progress | None = None
) -> ShardIndex:
    """Turn a source into shards.

    A shard is there whole or not at all, the index comes last, and shards that are there already are kept: a killed
    writer goes on where it stood when it is run again.

    Args:
        source: where the images lie.
        config: what is said of them.
        target: where the shards go.
        size: side of the square images in pixels.
        channels: 1 grey, 3 RGB.
        progress: called after every shard, and at the end.

    Returns:
        The index, also written to the target.

    Raises:
        InvalidInput: what is wrong with the source and where; code `corpus_exists` if the target holds other shards.
    """
    digest = source_digest(source, config, size, channels)
    if (done := read_index(target)) is not None:
        if done.source != digest:
            raise InvalidInput(
                f"{target} holds shards of another source or of other settings; write to another place or remove them",
                code="corpus_exists",
            )
        return done
    writer = _Writer(target, digest, config, size, channels)
    for number, sample in enumerate(read_samples(source, config), start=1):
        if writer.take(sample) and progress:
            progress(number, round(number / sample.share))
    index = writer.finish(source)
    if progress:
        total = sum(shard.images for shard in (*index.train, *index.held_out))
        progress(total, total)
    return index


@dataclass
class _Split:
    """The shards of one purpose, and the images of the one that is being filled."""

    name: str
    shards: list[Shard] = field(default_factory=list)
    seen: int = 0
    kept: Shard | None = None
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)


class _Writer:
    def __init__(self, target: Place, digest: str, config: SourceConfig, size: int, channels: int) -> None:
        self.target, self.digest, self.config = target, digest, config
        self.size, self.channels = size, channels
        self.columns = Columns(config.labels)
        self.train, self.held_out = _Split("train"), _Split("held-out")
        self.seen = 0
        self.held_place = 0

    def take(self, sample: Sample) -> bool:
        """Take the next sample; tells whether a shard has been finished by it."""
        place = self.seen % HELD_OUT_ONE_IN
        if place == 0:
            # At a random place of each block: sources are often sorted, or periodic in some factor.
            self.held_place = int(np.random.default_rng([7, self.seen]).integers(HELD_OUT_ONE_IN))
        self.seen += 1
        split = self.held_out if place == self.held_place else self.train
        if split.seen % SHARD_IMAGES == 0:
            split.kept = self.find(self.file(split))
        split.seen += 1
        labels = self.columns.take(sample)
        if split.kept is None:
            self.add(split, sample, labels)
        if split.seen % SHARD_IMAGES:
            return False
        self.close(split)
        return True

    def file(self, split: _Split) -> str:
        return f"{self.digest[:12]}-{split.name}-{split.seen // SHARD_IMAGES:05d}.tar"

    def find(self, file: str) -> Shard | None:
        """A shard that an earlier, interrupted run wrote."""
        data = self.target.read(file)
        if data is None:
            return None
        try:
            images = sum(1 for _ in read_tar(io.BytesIO(data), file))
        except InvalidInput:
            return None  # torn by a power cut; written anew
        return Shard(file=file, images=images, sha256=sha256_hex(data)) if images else None

    def add(self, split: _Split, sample: Sample, labels: dict[str, str]) -> None:
        try:
            image = sample_pixels(sample, self.size, self.channels)
        except InvalidInput as error:
            if not self.config.skip_broken:
                raise
            _log.warning("image_skipped", where=sample.where, code=error.code)
            return
        split.images.append(image)
        split.labels.append(labels)

    def close(self, split: _Split) -> None:
        """Write the shard that is being filled, unless it is there already or holds nothing."""
        if split is self.train:
            self.columns.check_named()
        first = (split.seen - 1) // SHARD_IMAGES * SHARD_IMAGES
        if split.kept is None and split.images:
            file = f"{self.digest[:12]}-{split.name}-{first // SHARD_IMAGES:05d}.tar"
            data = pack_shard(split.images, split.labels, first)
            self.target.write(file, data)
            split.kept = Shard(file=file, images=len(split.images), sha256=sha256_hex(data))
        if split.kept is not None:
            split.shards.append(split.kept)
        split.kept, split.images, split.labels = None, [], []

    def finish(self, source: Place) -> ShardIndex:
        for split in (self.train, self.held_out):
            if split.seen % SHARD_IMAGES:
                self.close(split)
        self.columns.check_named()
        images = sum(shard.images for shard in (*self.train.shards, *self.held_out.shards))
        if not self.train.shards or not self.held_out.shards:
            raise InvalidInput(
                f"{source} has {images} usable image(s), at least {HELD_OUT_ONE_IN} are needed: one in "
                f"{HELD_OUT_ONE_IN} is held out for measuring",
                code="too_few_images",
            )
        factors = self.columns.factors()
        index = ShardIndex(
            source=self.digest,
            size=self.size,
            channels=1 if self.channels == 1 else 3,
            factors=factors,
            train=tuple(self.train.shards),
            held_out=tuple(self.held_out.shards),
            left_out=self.columns.left_out,
            skipped=self.seen - images,
        )
        self.target.write(INDEX, index.to_bytes())
        return index
