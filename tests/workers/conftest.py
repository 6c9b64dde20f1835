"""What the workers' tests share: labelled sets as tenants would upload them."""

import hashlib
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import pixels
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings
from heddle_workers.fetch import Fetched

from .ray_head import RayHead, keep_ray_to_loopback, ray_head

keep_ray_to_loopback()  # Ray reads it when it is imported

LEVELS = ("none", "round", "square")
DOCUMENT: dict[str, Any] = {
    "name": "avatars",
    "factors": [
        {"name": "glasses", "kind": "categorical", "levels": list(LEVELS)},
        {"name": "smile", "kind": "binary"},
        {"name": "age", "kind": "continuous", "range": [0, 90]},
    ],
}
HEADER = "file,glasses,smile,age"


def png(seed: int = 0, size: int = 8) -> bytes:
    """Return a small PNG of random pixels."""
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return pixels.encode(image, "image/png")


def packed(entries: Mapping[str, bytes] | Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip of these entries, in order, duplicates and odd names included."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items() if isinstance(entries, Mapping) else entries:
            archive.writestr(name, data)
    return out.getvalue()


def rows(count: int = 6) -> list[str]:
    """Return label rows for images 0.png, 1.png, ... with every level present."""
    return [f"{index}.png,{LEVELS[index % 3]},{index % 2},{10 * index}" for index in range(count)]


def labels(lines: Sequence[str], header: str = HEADER) -> bytes:
    """Return a labels.csv."""
    return "\n".join([header, *lines]).encode()


def good_set(count: int = 6) -> dict[str, bytes]:
    """Return the entries of a small set without a fault."""
    images = {f"{index}.png": png(index) for index in range(count)}
    return {"labels.csv": labels(rows(count)), **images}


def upload_of(data: bytes) -> Fetched:
    """Return bytes as if they had been fetched."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the test
    file.write(data)
    file.flush()
    file.seek(0)
    return Fetched(file, len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def factor_set() -> FactorSet:
    return parse_factor_set(DOCUMENT)


@pytest.fixture(scope="session")
def head() -> Iterator[RayHead]:
    with ray_head() as running:
        yield running


@pytest.fixture(scope="session")
async def cluster(head: RayHead) -> AsyncIterator[Any]:
    from .world import CountingCluster

    joined = CountingCluster(head.settings)
    await joined.connect()
    yield joined
    await joined.close()


@pytest.fixture
async def world(empty_postgres_url: str, seaweed_settings: ObjectStoreSettings, cluster: Any) -> AsyncIterator[Any]:
    from .world import new_world

    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    yield await new_world(database, S3ObjectStore(seaweed_settings), cluster)
    await database.close()


@pytest.fixture(scope="session")
def study() -> Iterator[Any]:
    from .study import open_study

    with open_study() as opened:
        yield opened
