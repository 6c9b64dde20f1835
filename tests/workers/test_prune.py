"""Pruning on bytes: what stays is what was uploaded, what goes leaves nothing, and the same gives the same zip."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from heddle_platform.archive import open_archive
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import TooLarge, Unavailable
from heddle_platform.factors import FactorSet
from heddle_platform.labels import FaultReport
from heddle_platform.manifest import Manifest
from heddle_platform.ports import Part
from heddle_platform.settings import LimitSettings
from heddle_workers.image_set import ImageSet, open_image_set
from heddle_workers.progress import silent
from heddle_workers.prune import prune, send_parts
from heddle_workers.set_report import Checked
from heddle_workers.validate import Announced, describe, validate_set
from tests.api.live import served

from .conftest import labels, packed, png, upload_of
from .validation import kept

ENTRIES = {
    "set/labels.csv": labels(["a/0.png,none,1,10", "ü.png,round,0,20", '"b, c.png",square,1,', "3.png,none,0,5"]),
    "set/a/0.png": png(0),
    "set/u\u0308.png": png(1),  # spelt apart, as a Mac does
    "set/b, c.png": png(2),
    "set/3.png": png(3),
    "set/pool.png": png(4),
    "set/copy.png": png(0),
    "set/.DS_Store": b"a thumbnail, perhaps",
}


@contextmanager
def opened(data: bytes, factor_set: FactorSet) -> Iterator[tuple[Manifest, ImageSet]]:
    """Validate a zip and open its images."""
    upload = upload_of(data)
    found = validate_set(upload, Announced(upload.size, upload.sha256), factor_set, LimitSettings(), silent, kept)
    assert found.manifest is not None, found.report
    manifest = Manifest.from_bytes(found.manifest)
    with open_image_set(upload.file, manifest.files, LimitSettings()) as images:
        yield manifest, images


def pruned(data: bytes, factor_set: FactorSet, *gone: bytes) -> bytes:
    target = io.BytesIO()
    with opened(data, factor_set) as (manifest, images):
        digests = {sha256_hex(image) for image in gone}
        checked = prune(images, manifest, digests, factor_set.names, target, silent)
        assert checked.all == [image for image in manifest.all if image.sha256 not in digests]
    return target.getvalue()


def test_what_stays_is_a_valid_set_of_the_same_bytes(factor_set: FactorSet) -> None:
    data = pruned(packed(ENTRIES), factor_set, png(0))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["labels.csv", "ü.png", "b, c.png", "3.png", "pool.png"], "every copy went"
        assert archive.read("pool.png") == png(4)
        assert archive.read("labels.csv").decode().splitlines() == [
            "file,glasses,smile,age",
            "ü.png,round,0,20",
            '"b, c.png",square,1,',
            "3.png,none,0,5",
        ]
    with opened(packed(ENTRIES), factor_set) as (before, _), opened(data, factor_set) as (after, _):
        assert after == before.without({sha256_hex(png(0))}, sha256_hex(data))


def test_the_same_rows_leave_the_same_zip_however_it_was_packed(factor_set: FactorSet) -> None:
    other = packed(dict(reversed([(name.removeprefix("set/"), data) for name, data in ENTRIES.items()])))
    assert pruned(packed(ENTRIES), factor_set, png(4)) == pruned(other, factor_set, png(4))


def test_nothing_may_stay(factor_set: FactorSet) -> None:
    data = pruned(packed(ENTRIES), factor_set, *(png(seed) for seed in range(5)))
    faults = FaultReport()
    with upload_of(data).file as file, open_archive(file, faults, max_images=9) as archive:
        assert (archive.images, faults.count) == ((), 0)
    empty = Manifest(images=sha256_hex(data), rows=())
    assert describe(empty, factor_set, Checked())["images"] == 0


class Parts:
    """A store that takes parts, until it is told to fail."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.taken[request.url.path] = await request.body()
        await Response(status_code=self.status, headers={"ETag": f'"{request.url.path}"'})(scope, receive, send)


def test_parts_are_sent_in_order_and_no_more_than_are_needed() -> None:
    store = Parts()
    with served(store) as url:
        urls = [f"{url}/{number}" for number in range(1, 5)]
        sent = send_parts(io.BytesIO(b"abcdefg"), 7, urls, 3)
        assert sent == (Part(1, '"/1"'), Part(2, '"/2"'), Part(3, '"/3"'))
        assert store.taken == {"/1": b"abc", "/2": b"def", "/3": b"g"}
        with pytest.raises(TooLarge, match="3 parts, there are 2"):
            send_parts(io.BytesIO(b"abcdefg"), 7, urls[:2], 3)
        store.status = 503
        with pytest.raises(Unavailable, match="503"):
            send_parts(io.BytesIO(b"a"), 1, urls, 3)
    with pytest.raises(Unavailable) as error:
        send_parts(io.BytesIO(b"a"), 1, urls, 3)
    assert isinstance(error.value.__cause__, httpx.TransportError)


def test_weights_stay_with_the_images_that_stay(factor_set: FactorSet) -> None:
    header, *lines = ENTRIES["set/labels.csv"].decode().splitlines()
    rows = [f"{line},{weight}" for line, weight in zip(lines, ("1", "2", "3", ""), strict=True)]
    weighted = {**ENTRIES, "set/labels.csv": "\n".join([f"{header},weight", *rows]).encode()}
    left = pruned(packed(weighted), factor_set, png(0))
    with opened(left, factor_set) as (manifest, _):
        weight_N = manifest.table(factor_set).weight_N
    assert weight_N is not None
    assert weight_N.tolist() == [2.0, 3.0, 1.0]
