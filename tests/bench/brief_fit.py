"""What a fit costs a worker: the work of a task, in this process and without Ray, store or network.

    python -m tests.bench.brief_fit [--fits 100] [--rows 300] [--factors 4] [--together 4] [--threads 1] [--profile]
    python -m tests.bench.brief_fit --card full --fits 5 --rows 1000 --factors 6 --threads 2

Each fit has a set of its own, drawn from avatars, and starts from the bytes that a task fetches: manifest, latents and,
for a full card, the zip. Printed: processor time (all threads) and wall time of a fit, and digests of the files made
(of all, and of adapter, graph, core and statistics), which must not depend on the number of threads or on what was
fitted before.
"""

import argparse
import cProfile
import hashlib
import pstats
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np

from heddle_adapters.steps import Steps, driven_together
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import pack_latents, unpack_latents
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.settings import LimitSettings
from heddle_workers.fit import fit_briefly, fit_set
from heddle_workers.fitted import ADAPTER_FILE, CORE_FILE, GRAPH_FILE, STATISTICS_FILE, Fitted
from heddle_workers.image_set import UnopenedSet, open_image_set
from heddle_workers.packed import packed
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips
from tests.bench.stage import FACTORS, Pictures, archive_of, draw

_MATRICES = (ADAPTER_FILE, GRAPH_FILE, CORE_FILE, STATISTICS_FILE)


@dataclass(frozen=True)
class Stored:
    """A set, as the store holds it."""

    manifest: bytes
    latents: bytes
    archive: bytes


def sets_of(pictures: Pictures, count: int, rows: int) -> Iterator[Stored]:
    """Yield sets."""
    random = np.random.default_rng(0)
    for _ in range(count):
        part = np.sort(random.permutation(len(pictures.images))[:rows])
        images = tuple(
            ManifestImage(
                file=f"{row:05d}.png",
                sha256=sha256_hex(pictures.images[row]),
                labels={
                    name: pictures.levels[index][pictures.labels[row, index]]
                    for index, name in enumerate(pictures.factors)
                },
            )
            for row in part.tolist()
        )
        manifest = Manifest(images="0" * 64, rows=images).to_bytes()
        yield Stored(manifest, pack_latents(pictures.latents_NL[part]), archive_of(pictures, part))


def fit_brief(runtime: BaseRuntime, document: dict[str, object], one: Stored) -> Steps[Fitted]:
    """Fit one set, as a chunk's task does."""
    manifest, factor_set = Manifest.from_bytes(one.manifest), parse_factor_set(document)
    latents_NL = unpack_latents(one.latents, rows=len(manifest.all))
    trips = RoundTrips(runtime, UnopenedSet(manifest.files), latents_NL, remember=False)
    return packed((yield from fit_briefly(manifest.table(factor_set), factor_set, trips, silent)))


def fit_full(runtime: BaseRuntime, document: dict[str, object], one: Stored, threads: int) -> Fitted:
    """Fit one set with a full card, as a fit's own task does."""
    manifest, factor_set = Manifest.from_bytes(one.manifest), parse_factor_set(document)
    with TemporaryFile() as file:
        file.write(one.archive)
        file.seek(0)
        with open_image_set(file, manifest.files, LimitSettings()) as images:
            trips = RoundTrips(runtime, images, unpack_latents(one.latents, rows=len(manifest.all)), threads)
            return fit_set(manifest.table(factor_set), factor_set, trips, silent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", choices=("brief", "full"), default="brief")
    parser.add_argument("--fits", type=int, default=100)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--factors", type=int, default=FACTORS)
    parser.add_argument("--together", type=int, default=4, help="brief fits whose pictures are drawn together")
    parser.add_argument("--threads", type=int, default=1, help="that draw pictures of a full card")
    parser.add_argument("--profile", action="store_true", help="functions by the time spent in them")
    asked = parser.parse_args()
    pictures = draw(max(1_000, asked.rows + 200), asked.factors)
    runtime = BaseRuntime.from_bundle(load_bundle(default_bundle_path()), parted=True)
    warm = 5 if asked.card == "brief" else 1
    sets = list(sets_of(pictures, asked.fits + warm, asked.rows))
    made, matrices, verdicts, stages = hashlib.sha256(), hashlib.sha256(), Counter[str](), Counter[str]()

    def fit(some: list[Stored]) -> Iterator[Fitted]:
        if asked.card == "full":
            yield from (fit_full(runtime, pictures.factor_set, one, asked.threads) for one in some)
            return
        for start in range(0, len(some), asked.together):
            group = [fit_brief(runtime, pictures.factor_set, one) for one in some[start : start + asked.together]]
            for found in driven_together(group, runtime.seen_again):
                if isinstance(found, Exception):
                    raise found
                yield found

    for _ in fit(sets[:warm]):
        pass
    profiler = cProfile.Profile()
    if asked.profile:
        profiler.enable()
    wall, processor = time.perf_counter(), time.process_time()
    for fitted in fit(sets[warm:]):
        verdicts[fitted.verdict] += 1
        stages.update(fitted.seconds)
        for name in sorted(fitted.files):
            made.update(fitted.files[name])
            if name in _MATRICES:
                matrices.update(fitted.files[name])
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    profiler.disable()
    print(f"{asked.fits} {asked.card} fits of {asked.rows} rows, {len(pictures.factors)} factors")
    print(f"{'processor, ms a fit':<28}{1e3 * processor / asked.fits:>8.2f}")
    print(f"{'wall, ms a fit':<28}{1e3 * wall / asked.fits:>8.2f}")
    for name, seconds in stages.items():
        print(f"{'  ' + name.removesuffix('_seconds'):<28}{1e3 * seconds / asked.fits:>8.2f}")
    print(f"{'verdicts':<28}{dict(verdicts)}")
    print(f"{'files':<28}{made.hexdigest()[:16]}")
    print(f"{'matrices, graph, sums':<28}{matrices.hexdigest()[:16]}")
    if asked.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(110)


if __name__ == "__main__":
    main()
