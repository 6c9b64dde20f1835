"""The task of a chunk: many small fits on one base, a few at a time, each with an outcome of its own.

The pictures of a few fits are drawn together (`heddle_adapters.steps`); what the next ones need is fetched meanwhile,
and outcomes are handed over once a second. One fit that fails fails alone. Each is computed exactly as it would be by
itself, so that its files are the same bytes.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from heddle_platform.base.allocator import keep_freed_memory
from heddle_platform.errors import DataCorrupt, NotFound
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.settled import settle
from heddle_workers.base_source import BaseSource, load_base
from heddle_workers.fetch import fetch_bytes
from heddle_workers.fitted import Fitted
from heddle_workers.image_set import UnopenedSet
from heddle_workers.progress import Failed, Progress, Report, Tell, Told, streamed_telling
from heddle_workers.tasks import MANIFEST_MAX_BYTES

_LATENTS_MAX_BYTES: Final = 64 * 1024**2
_TELL_SECONDS: Final = 1.0
_TOGETHER: Final = 4  # fits whose pictures are drawn together, and whose latents are fetched before their turn
_FETCHES_AT_ONCE: Final = 3


@dataclass(frozen=True)
class SmallFit:
    """One fit of a chunk: addresses of its set's manifest and latents, and its factor set's document."""

    job_id: str
    manifest_url: str
    latents_url: str
    factor_set: dict[str, Any]


@dataclass(frozen=True)
class ChunkRequest:
    """Fits that go together."""

    base: BaseSource
    fits: tuple[SmallFit, ...]


@dataclass(frozen=True)
class Done:
    """What became of one fit: its files, or what it raised."""

    job_id: str
    outcome: Fitted | Exception


class NotEncoded(NotFound):
    """The set's latents are not in the store yet."""

    default_code = "latents_missing"


def heddle_fit_chunk(request: ChunkRequest) -> Iterator[Progress | Failed | Told | int]:
    """Fit a chunk; tells tuples of `Done`, one per fit, and ends with how many there were."""

    def work(report: Report, tell: Tell) -> int:
        from heddle_adapters.steps import Steps, driven_together
        from heddle_workers.fit import fit_briefly
        from heddle_workers.packed import packed
        from heddle_workers.trips import RoundTrips

        # their stages are not told, for a message costs as much as a stage; but a stop is heeded at each
        unlogged = partial(_nothing_new, report)
        keep_freed_memory()
        runtime = load_base(request.base)
        settle()

        def begun(one: SmallFit, fetched: Future[tuple[Manifest, bytes]]) -> Steps[Fitted]:
            manifest, latents = fetched.result()
            factor_set = parse_factor_set(one.factor_set)
            images = UnopenedSet(manifest.files)
            trips = RoundTrips(runtime, images, unpack_latents(latents, rows=len(manifest.all)), remember=False)
            return packed((yield from fit_briefly(manifest.table(factor_set), factor_set, trips, unlogged)))

        done: list[Done] = []
        told_at = time.monotonic()
        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            ahead = [pool.submit(_fetch, one) for one in request.fits[:_TOGETHER]]
            for start in range(0, len(request.fits), _TOGETHER):
                end = start + _TOGETHER
                fetched, ahead = ahead, [pool.submit(_fetch, one) for one in request.fits[end : end + _TOGETHER]]
                group = request.fits[start:end]
                many = [begun(one, data) for one, data in zip(group, fetched, strict=True)]
                outcomes = driven_together(many, runtime.seen_again)
                done += [Done(one.job_id, outcome) for one, outcome in zip(group, outcomes, strict=True)]
                # a message costs as much as what it holds: some go together, and none waits for long
                if time.monotonic() - told_at >= _TELL_SECONDS or end >= len(request.fits):
                    tell(tuple(done))
                    done, told_at = [], time.monotonic()
        return len(request.fits)

    yield from streamed_telling(work)


def _nothing_new(report: Report, _stage: str, _share: float) -> None:
    report("fitting", 0.0)


def _fetch(one: SmallFit) -> tuple[Manifest, bytes]:
    manifest = Manifest.from_bytes(fetch_bytes(one.manifest_url, max_bytes=MANIFEST_MAX_BYTES))
    try:
        return manifest, fetch_bytes(one.latents_url, max_bytes=_LATENTS_MAX_BYTES)
    except DataCorrupt as error:
        if error.code != "object_missing":
            raise
        raise NotEncoded("the set is not encoded yet") from error
