"""Prepared shards: any source's images at the base's size, its labels, and an index; what training streams.

A shard is a WebDataset tar of PNGs and JSON labels, so other tools read it too. One image in twenty, spread over the
whole source, goes into shards held out for measuring.
"""

import io
import tarfile
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from heddle_platform import pixels
from heddle_platform.base.sources.place import Place
from heddle_platform.base.sources.sample import as_channels, as_size, sample_pixels
from heddle_platform.base.sources.webdataset import read_tar
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import DataCorrupt, HeddleError

INDEX: Final = "corpus.json"
UNKNOWN: Final = -1

Loaded = tuple[NDArray[np.uint8], NDArray[np.int16]]
"""Images uint8 [N, S, S, 3] and labels int16 [N, F], -1 where unknown."""


class Shard(BaseModel):
    """One shard: its file, how many images it holds, and the SHA-256 of its bytes."""

    model_config = ConfigDict(frozen=True)

    file: str
    images: int
    sha256: str


class ShardIndex(BaseModel):
    """What a set of shards holds.

    Attributes:
        format: of this document.
        source: digest of what the shards were made of and how; equal ones would give equal shards.
        size: side of the square images in pixels.
        channels: 1 grey, 3 RGB.
        factors: column -> its levels.
        train: shards for training.
        held_out: shards for measuring.
        left_out: column -> why it is no factor.
        skipped: images that could not be decoded.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    source: str
    size: int
    channels: Literal[1, 3]
    factors: dict[str, tuple[str, ...]]
    train: tuple[Shard, ...]
    held_out: tuple[Shard, ...]
    left_out: dict[str, str] = {}
    skipped: int = 0

    def to_bytes(self) -> bytes:
        """Return the one spelling of this index as JSON."""
        return canonical_json(self.model_dump(mode="json"))


def read_index(place: Place) -> ShardIndex | None:
    """Read the index of a place, or None if it holds no prepared shards (or not all of them yet).

    Raises:
        DataCorrupt: code `corpus_corrupt`.
    """
    data = place.read(INDEX)
    if data is None:
        return None
    try:
        return ShardIndex.model_validate_json(data)
    except ValidationError as error:
        raise DataCorrupt(
            f"{place}: {INDEX} has {error.error_count()} fault(s); write the shards again", code="corpus_corrupt"
        ) from error


def pack_shard(images: list[NDArray[np.uint8]], labels: list[dict[str, str]], first: int) -> bytes:
    """Pack images uint8 [S, S, 1 or 3] and their labels as a tar; equal input gives equal bytes.

    Args:
        images: N of them.
        labels: column -> level of each.
        first: number of the first image; members are named by number.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (image, row) in enumerate(zip(images, labels, strict=True), start=first):
            picture = image[..., 0] if image.shape[-1] == 1 else image
            for kind, data in (("png", pixels.encode(picture, "image/png")), ("json", canonical_json(row))):
                member = tarfile.TarInfo(f"{number:09d}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


class ShardSet:
    """Prepared shards, opened for reading.

    Args:
        place: where they lie.
        index: their index.
        size: side the images are wanted in; the shards' own is best, others are scaled while loading.
    """

    def __init__(self, place: Place, index: ShardIndex, *, size: int) -> None:
        self.index = index
        self._place, self._size = place, size
        self._levels = [
            (column, {level: number for number, level in enumerate(levels)}) for column, levels in index.factors.items()
        ]

    def load(self, shard: Shard) -> Loaded:
        """Read one shard whole.

        Raises:
            DataCorrupt: code `corpus_corrupt`: its bytes are gone or not those that were written.
        """
        data = self._place.read(shard.file)
        if data is None or sha256_hex(data) != shard.sha256:
            fault = "is missing" if data is None else "is damaged"
            raise self._corrupt(shard, fault)
        try:
            samples = list(read_tar(io.BytesIO(data), shard.file))
            images = [sample_pixels(each, self.index.size, self.index.channels) for each in samples]
        except HeddleError as error:
            raise self._corrupt(shard, f"cannot be read ({error.message})") from error
        if len(samples) != shard.images:
            raise self._corrupt(shard, f"holds {len(samples)} images, the index says {shard.images}")
        labels = np.full((len(samples), len(self._levels)), UNKNOWN, dtype=np.int16)
        for row, sample in enumerate(samples):
            for column, (name, numbers) in enumerate(self._levels):
                labels[row, column] = numbers.get(str(sample.labels.get(name, "")), UNKNOWN)
        shape = (len(samples), self.index.size, self.index.size, self.index.channels)
        stacked = np.stack(images) if images else np.empty(shape, dtype=np.uint8)
        return as_size(as_channels(stacked, 3), self._size), labels

    def load_held_out(self, most: int) -> Loaded:
        """Read up to `most` held-out images, spread over all shards that hold some."""
        shards = self.index.held_out
        wanted = [most // len(shards) + (number < most % len(shards)) for number in range(len(shards))]
        loaded = [self.load(shard) for shard, count in zip(shards, wanted, strict=True) if count]
        counts = [count for count in wanted if count]
        rows = [
            np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
            for (images, _), count in zip(loaded, counts, strict=True)
        ]
        return (
            np.concatenate([images[each] for (images, _), each in zip(loaded, rows, strict=True)]),
            np.concatenate([labels[each] for (_, labels), each in zip(loaded, rows, strict=True)]),
        )

    def _corrupt(self, shard: Shard, fault: str) -> DataCorrupt:
        return DataCorrupt(f"{self._place}: {shard.file} {fault}; write the shards again", code="corpus_corrupt")
