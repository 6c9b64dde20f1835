"""Bases in a Ray worker: fetched by presigned addresses, verified, and kept for the next task of the process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from heddle_platform.base.bundle import BaseBundle, parse_bundle
from heddle_platform.errors import DataCorrupt
from heddle_workers.fetch import fetch_bytes

if TYPE_CHECKING:
    from heddle_platform.base.runtime import BaseRuntime

_FILE_MAX_BYTES = 2 * 1024**3
_BASES_KEPT = 2  # the one being served, and the one being rolled out


@dataclass(frozen=True)
class BaseSource:
    """Where a base is to be had.

    Attributes:
        digest: of its manifest; sources of equal digest are equal.
        urls: file name -> presigned GET.
    """

    digest: str
    urls: Mapping[str, str] = field(compare=False)


@lru_cache(maxsize=_BASES_KEPT)
def load_base(source: BaseSource) -> "BaseRuntime":
    """Return the base's sessions, one ONNX Runtime thread each.

    Raises:
        DataCorrupt: the files are not the base of that digest.
        Unavailable: the store cannot be reached.
    """
    from heddle_platform.base.runtime import BaseRuntime  # here: the dispatcher names bases and never runs one

    return BaseRuntime.from_bundle(fetch_bundle(source), threads=1, parted=True)


def fetch_bundle(source: BaseSource) -> BaseBundle:
    """Fetch a base's files.

    Raises:
        DataCorrupt: the files are not the base of that digest.
        Unavailable: the store cannot be reached.
    """
    files = {name: fetch_bytes(url, max_bytes=_FILE_MAX_BYTES) for name, url in source.urls.items()}
    bundle = parse_bundle(files)
    if bundle.digest != source.digest:
        raise DataCorrupt(
            f"the base in the store has digest {bundle.digest}, the job asks for {source.digest}; publish it again",
            code="digest_mismatch",
        )
    return bundle
