"""The tasks Ray runs: generators of progress that end with a result; a thin skin over plain functions.

They hold no credential: a few presigned addresses come in, bytes go out, and the dispatcher alone writes what rows name
(an archive too long for one message goes to a presigned scratch object). The names `heddle_validate`, `heddle_encode`,
`heddle_fit`, `heddle_prune`, `heddle_refit`, `heddle_pretrain` are what `ps` shows while they run. What computes is
imported inside them: the dispatcher imports this module to submit tasks, and would carry a hundred megabytes of
libraries for nothing.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.packs import unpacked
from heddle_platform.ports import Part
from heddle_platform.settings import LimitSettings
from heddle_platform.settled import settle
from heddle_workers.base_source import BaseSource, load_base
from heddle_workers.encode import encode_rows
from heddle_workers.fetch import fetch_bytes, fetched_file
from heddle_workers.fitted import STATISTICS_FILE, Fitted, Refitted
from heddle_workers.image_set import open_image_set
from heddle_workers.pretrained import Pretrained, PretrainRequest
from heddle_workers.progress import Failed, Progress, Report, Tell, Told, streamed, streamed_telling
from heddle_workers.prune import prune, send_parts
from heddle_workers.validate import Announced, Validation, describe, validate_set

MANIFEST_MAX_BYTES = 512 * 1024**2
LATENTS_MAX_BYTES = 2 * 1024**3
_CHECKPOINT_MAX_BYTES = 16 * 1024**3
ARTIFACT_MAX_BYTES = 256 * 1024**2
# what full cards import when they come to it, and brief ones do without: .6 s that no first fit shall wait for
_FULL_CARDS_ASK_FOR = ("scipy.stats", "sklearn.ensemble", "sklearn.linear_model")


@dataclass(frozen=True)
class ValidateRequest:
    """An upload to be checked.

    Attributes:
        url: its address.
        announced: what it must be.
        factor_set: the factor set's document.
        part_urls: presigned PUTs for a set that is written anew; all parts but the last take `part_bytes`.
    """

    url: str
    announced: Announced
    factor_set: dict[str, Any]
    part_urls: tuple[str, ...]
    part_bytes: int
    limits: LimitSettings


@dataclass(frozen=True)
class SetSource:
    """A validated set: addresses of its manifest and of its zip, and the zip's SHA-256."""

    manifest_url: str
    images_url: str
    digest: str


@dataclass(frozen=True)
class EncodeRequest:
    """Rows [start, stop) of a set to be encoded with a base."""

    source: SetSource
    base: BaseSource
    start: int
    stop: int
    limits: LimitSettings
    threads: int


@dataclass(frozen=True)
class FitRequest:
    """A set whose latents are stored, to be fitted and scored."""

    source: SetSource
    base: BaseSource
    latents_url: str
    factor_set: dict[str, Any]
    limits: LimitSettings
    threads: int


@dataclass(frozen=True)
class PruneRequest:
    """A set to be stored anew without some images.

    Attributes:
        source: the set.
        gone: SHA-256 of the images that go.
        factor_sets: documents of the factor sets that its labels are read with; their names are its columns.
        part_urls: presigned PUTs for the parts of the new zip; all but the last take `part_bytes`.
    """

    source: SetSource
    gone: frozenset[str]
    factor_sets: tuple[dict[str, Any], ...]
    part_urls: tuple[str, ...]
    part_bytes: int
    limits: LimitSettings


@dataclass(frozen=True)
class Pruned:
    """What was sent: the new zip's SHA-256, its parts, its manifest, and its report by each of the factor sets."""

    digest: str
    parts: tuple[Part, ...]
    manifest: Manifest
    reports: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class RefitRequest:
    """A version to be fitted without some rows.

    Attributes:
        before: the set with the rows; its images are not read.
        after: the set without them.
        base: what encoded both.
        latents_url, after_latents_url: their latents.
        adapter_url, statistics_url: the version's; None where it has no such file.
        packed: the statistics lie in a pack, which is what `statistics_url` reads.
        gone: SHA-256 of the images that go.
    """

    before: SetSource
    after: SetSource
    base: BaseSource
    latents_url: str
    after_latents_url: str
    adapter_url: str
    statistics_url: str | None
    packed: bool
    gone: frozenset[str]
    factor_set: dict[str, Any]
    limits: LimitSettings
    threads: int


def heddle_validate(request: ValidateRequest) -> Iterator[Progress | Failed | Validation]:
    """Check an upload."""

    def work(report: Report) -> Validation:
        factor_set = parse_factor_set(request.factor_set)
        report("fetching", 0.0)
        with fetched_file(request.url, max_bytes=request.limits.upload_max_bytes) as upload:

            def keep(plain: BinaryIO, size: int) -> tuple[Part, ...]:
                plain.seek(0)
                return send_parts(plain, size, request.part_urls, request.part_bytes)

            return validate_set(upload, request.announced, factor_set, request.limits, report, keep)

    yield from streamed(work)


def heddle_encode(request: EncodeRequest) -> Iterator[Progress | Failed | NDArray[np.float32]]:
    """Encode a slice of a set."""

    def work(report: Report) -> NDArray[np.float32]:
        report("fetching", 0.0)
        runtime = load_base(request.base)
        manifest = _manifest(request.source)
        with (
            fetched_file(request.source.images_url, max_bytes=request.limits.upload_max_bytes) as fetched,
            open_image_set(fetched.file, manifest.files, request.limits) as images,
        ):
            rows = range(request.start, request.stop)
            return encode_rows(images, rows, runtime, report, threads=request.threads)

    yield from streamed(work)


def heddle_fit(request: FitRequest) -> Iterator[Progress | Failed | Fitted]:
    """Fit, score, gate and export an adapter."""

    def work(report: Report) -> Fitted:
        from heddle_workers.fit import fit_set
        from heddle_workers.trips import RoundTrips

        report("fetching", 0.0)
        runtime = load_base(request.base)
        manifest = _manifest(request.source)
        latents = fetch_bytes(request.latents_url, max_bytes=LATENTS_MAX_BYTES)
        factor_set = parse_factor_set(request.factor_set)
        with (
            fetched_file(request.source.images_url, max_bytes=request.limits.upload_max_bytes) as fetched,
            open_image_set(fetched.file, manifest.files, request.limits) as images,
        ):
            latents_NL = unpack_latents(latents, rows=len(images))
            trips = RoundTrips(runtime, images, latents_NL, request.threads)
            return fit_set(manifest.table(factor_set), factor_set, trips, report)

    yield from streamed(work)


def heddle_prune(request: PruneRequest) -> Iterator[Progress | Failed | Pruned]:
    """Write a set's zip without some images and send it to the store."""

    def work(report: Report) -> Pruned:
        factor_sets = [parse_factor_set(document) for document in request.factor_sets]
        report("fetching", 0.0)
        manifest = _manifest(request.source)
        with (
            fetched_file(request.source.images_url, max_bytes=request.limits.upload_max_bytes) as fetched,
            open_image_set(fetched.file, manifest.files, request.limits) as images,
            tempfile.TemporaryFile(prefix="heddle-") as target,
        ):
            checked = prune(images, manifest, request.gone, factor_sets[0].names, target, report)
            size = target.tell()
            target.seek(0)
            digest = hashlib.file_digest(target, "sha256").hexdigest()
            target.seek(0)
            parts = send_parts(target, size, request.part_urls, request.part_bytes)
        kept = manifest.without(request.gone, digest)
        return Pruned(digest, parts, kept, tuple(describe(kept, each, checked) for each in factor_sets))

    yield from streamed(work)


def heddle_refit(request: RefitRequest) -> Iterator[Progress | Failed | Refitted]:
    """Fit a version without some rows."""

    def work(report: Report) -> Refitted:
        from heddle_workers.refit import Before, refit_without
        from heddle_workers.trips import RoundTrips

        report("fetching", 0.0)
        runtime = load_base(request.base)
        manifest, kept = _manifest(request.before), _manifest(request.after)
        before = Before(
            fetch_bytes(request.adapter_url, max_bytes=ARTIFACT_MAX_BYTES),
            _statistics(request),
            manifest,
            unpack_latents(fetch_bytes(request.latents_url, max_bytes=LATENTS_MAX_BYTES), rows=len(manifest.all)),
        )
        after = fetch_bytes(request.after_latents_url, max_bytes=LATENTS_MAX_BYTES)
        with (
            fetched_file(request.after.images_url, max_bytes=request.limits.upload_max_bytes) as fetched,
            open_image_set(fetched.file, kept.files, request.limits) as images,
        ):
            trips = RoundTrips(runtime, images, unpack_latents(after, rows=len(images)), request.threads)
            factor_set = parse_factor_set(request.factor_set)
            return refit_without(before, request.gone, factor_set, trips, datetime.now(UTC), report)

    yield from streamed(work)


def _statistics(request: RefitRequest) -> bytes:
    if not request.statistics_url:
        return b""
    found = fetch_bytes(request.statistics_url, max_bytes=ARTIFACT_MAX_BYTES)
    return unpacked(found, STATISTICS_FILE) if request.packed else found


def heddle_pretrain(request: PretrainRequest) -> Iterator[Progress | Failed | Told | Pretrained]:
    """Train a base, alone or with others, telling checkpoints and measurements as they come."""

    def work(report: Report, tell: Tell) -> Pretrained:
        from heddle_workers.pretrain import pretrain

        report("fetching", 0.0)
        url = request.checkpoint_url
        checkpoint = fetch_bytes(url, max_bytes=_CHECKPOINT_MAX_BYTES) if url else None
        return pretrain(request, checkpoint, report, tell)

    yield from streamed_telling(work)


def heddle_warm(seconds: float) -> Iterator[bool]:
    """Import what the other tasks need, and linger, so that every idle worker process takes one of these."""
    for name in ("heddle_workers.fit", *_FULL_CARDS_ASK_FOR):
        import_module(name)
    settle()
    time.sleep(seconds)
    yield True


def _manifest(source: SetSource) -> Manifest:
    return Manifest.from_bytes(fetch_bytes(source.manifest_url, max_bytes=MANIFEST_MAX_BYTES))
