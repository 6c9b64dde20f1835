"""What a recipe says of a source, and reading it whatever kind it turns out to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from heddle_platform.base.sources.arrays import read_arrays
from heddle_platform.base.sources.images import read_folder, read_zips
from heddle_platform.base.sources.place import LocalPlace, Place, StoredPlace
from heddle_platform.base.sources.sample import Sample
from heddle_platform.base.sources.webdataset import read_tars
from heddle_platform.errors import InvalidInput
from heddle_platform.ports import ObjectStore

_CONTAINERS: Final = (".parquet", ".tar", ".npz", ".zip")
_COMPRESSED_TARS: Final = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


class SourceConfig(BaseModel):
    """A corpus made by others. Exactly one of `path` and `stored` says where it lies.

    What it is shows in the files found there: Parquet (`.parquet`), WebDataset (`.tar`), arrays (`.npz`), zips of
    images, or, where there is none of these, images; or shards that `heddle base shards` wrote.

    Attributes:
        path: folder or file of this machine, relative to where the training is started.
        stored: name of a corpus in the object store.
        labels: the columns that are factors; None takes every column that can be one.
        image: the Parquet column that holds the images.
        skip_broken: leave images out that cannot be decoded, instead of refusing the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    stored: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    labels: tuple[str, ...] | None = None
    image: str = "image"
    skip_broken: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> "SourceConfig":
        if (self.path is None) == (self.stored is None):
            raise ValueError("give exactly one of path and stored")
        return self


def open_place(config: SourceConfig, store: ObjectStore | None) -> Place:
    """Find where a source lies.

    Raises:
        InvalidInput: code `no_object_store`: it lies in the object store, and there is none here.
    """
    if config.path is not None:
        return LocalPlace(config.path)
    if store is None:
        raise InvalidInput(
            f"the corpus {config.stored!r} lies in the object store, and none is at hand; set HEDDLE_S3_ENDPOINT_URL",
            code="no_object_store",
        )
    return StoredPlace(store, str(config.stored))


def read_samples(place: Place, config: SourceConfig) -> Iterator[Sample]:
    """Read a source's samples, one at a time, always in the same order.

    Raises:
        InvalidInput: code `mixed_source` and those of the readers.
    """
    entries = place.entries()
    for entry in entries:
        if entry.name.lower().endswith(_COMPRESSED_TARS):
            raise InvalidInput(
                f"{place}: {entry.name} is compressed; unpack it to .tar (its images are compressed already)",
                code="compressed_shard",
            )
    suffixes = [suffix for suffix in _CONTAINERS if any(entry.suffix == suffix for entry in entries)]
    if len(suffixes) > 1:
        raise InvalidInput(
            f"{place} holds files of several kinds ({', '.join(suffixes)}); put each into a folder of its own",
            code="mixed_source",
        )
    if not suffixes:
        return read_folder(place)
    files = tuple(entry for entry in entries if entry.suffix == suffixes[0])
    match suffixes[0]:
        case ".parquet":
            try:
                from heddle_platform.base.sources.parquet import read_parquet
            except ModuleNotFoundError as error:
                raise InvalidInput(
                    f"{place} holds Parquet files and the package {error.name} is missing; install it: "
                    "pip install 'heddle[workers]'",
                    code="parquet_not_installed",
                ) from error
            return read_parquet(place, files, config.image)
        case ".tar":
            return read_tars(place, files)
        case ".npz":
            return read_arrays(place, files)
        case _:
            return read_zips(place, files)
