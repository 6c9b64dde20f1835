"""The task of a chunk: many small fits on one base, one after the other, each with an outcome of its own.

It fetches what the next fits need while one is computed, and hands outcomes over twice a second. One fit that fails
fails alone. Each is computed exactly as it would be by itself, so that its files are the same bytes.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

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
_TELL_SECONDS: Final = 0.5
_AHEAD: Final = 3  # fits whose latents and labels are fetched before their turn


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
        from heddle_workers.fit import fit_set
        from heddle_workers.packed import packed
        from heddle_workers.trips import RoundTrips

        report("fetching", 0.0)
        runtime = load_base(request.base)
        settle()

        def fit(one: SmallFit, fetched: Future[tuple[Manifest, bytes]], unlogged: Report) -> Fitted:
            manifest, latents = fetched.result()
            factor_set = parse_factor_set(one.factor_set)
            images = UnopenedSet(manifest.files)
            trips = RoundTrips(runtime, images, unpack_latents(latents, rows=len(manifest.all)), remember=False)
            return packed(fit_set(manifest.table(factor_set), factor_set, trips, unlogged, kind="brief"))

        done: list[Done] = []
        told_at = time.monotonic()
        with ThreadPoolExecutor(_AHEAD) as pool:
            ahead = [pool.submit(_fetch, one) for one in request.fits[:_AHEAD]]
            for place, one in enumerate(request.fits):
                # its stages are not told, for a message costs as much as a stage; but a stop is heeded at each
                unlogged = partial(_nothing_new, report, place / len(request.fits))
                unlogged("fitting", 0.0)
                if place + _AHEAD < len(request.fits):
                    ahead.append(pool.submit(_fetch, request.fits[place + _AHEAD]))
                try:
                    done.append(Done(one.job_id, fit(one, ahead[place], unlogged)))
                except Exception as error:  # its own failure, told as such
                    done.append(Done(one.job_id, error))
                # a message costs as much as what it holds: some go together, and none waits for long
                if time.monotonic() - told_at >= _TELL_SECONDS or place + 1 == len(request.fits):
                    tell(tuple(done))
                    done, told_at = [], time.monotonic()
        return len(request.fits)

    yield from streamed_telling(work)


def _nothing_new(report: Report, share: float, _stage: str, _share: float) -> None:
    report("fitting", share)


def _fetch(one: SmallFit) -> tuple[Manifest, bytes]:
    manifest = Manifest.from_bytes(fetch_bytes(one.manifest_url, max_bytes=MANIFEST_MAX_BYTES))
    try:
        return manifest, fetch_bytes(one.latents_url, max_bytes=_LATENTS_MAX_BYTES)
    except DataCorrupt as error:
        if error.code != "object_missing":
            raise
        raise NotEncoded("the set is not encoded yet") from error
