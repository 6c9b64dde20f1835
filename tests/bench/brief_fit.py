"""What a small fit costs a worker: the work of a chunk's task, in this process and without Ray, store or network.

    python -m tests.bench.brief_fit [--fits 100] [--rows 300] [--profile]

Each fit has a set of its own, drawn from 1,000 avatars with four factors, and starts from the bytes that a task
fetches: manifest and latents. Printed: processor time (all threads) and wall time of a fit, and a digest of all files
made, which must not depend on the number of threads or on what was fitted before.
"""

import argparse
import cProfile
import hashlib
import pstats
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np

from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import pack_latents, unpack_latents
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_workers.fit import fit_set
from heddle_workers.fitted import Fitted
from heddle_workers.image_set import UnopenedSet
from heddle_workers.packed import packed
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips
from tests.bench.stage import Pictures, draw


def sets_of(pictures: Pictures, count: int, rows: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (manifest, latents) of sets, as the store holds them."""
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
        yield Manifest(images="0" * 64, rows=images).to_bytes(), pack_latents(pictures.latents_NL[part])


def fit(runtime: BaseRuntime, document: dict[str, object], manifest_bytes: bytes, latents: bytes) -> Fitted:
    """Fit one set, as a chunk's task does."""
    manifest, factor_set = Manifest.from_bytes(manifest_bytes), parse_factor_set(document)
    latents_NL = unpack_latents(latents, rows=len(manifest.all))
    trips = RoundTrips(runtime, UnopenedSet(manifest.files), latents_NL, remember=False)
    return packed(fit_set(manifest.table(factor_set), factor_set, trips, silent, kind="brief"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=100)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--profile", action="store_true", help="functions by the time spent in them")
    asked = parser.parse_args()
    pictures = draw(max(1_000, asked.rows))
    runtime = BaseRuntime.from_bundle(load_bundle(default_bundle_path()))
    sets = list(sets_of(pictures, asked.fits + 5, asked.rows))
    made, verdicts, stages = hashlib.sha256(), Counter[str](), Counter[str]()
    for one in sets[:5]:
        fit(runtime, pictures.factor_set, *one)
    profiler = cProfile.Profile()
    if asked.profile:
        profiler.enable()
    wall, processor = time.perf_counter(), time.process_time()
    for one in sets[5:]:
        fitted = fit(runtime, pictures.factor_set, *one)
        verdicts[fitted.verdict] += 1
        stages.update(fitted.seconds)
        for name in sorted(fitted.files):
            made.update(fitted.files[name])
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    profiler.disable()
    print(f"{asked.fits} brief fits of {asked.rows} rows, {len(pictures.factors)} factors")
    print(f"{'processor, ms a fit':<28}{1e3 * processor / asked.fits:>8.2f}")
    print(f"{'wall, ms a fit':<28}{1e3 * wall / asked.fits:>8.2f}")
    for name, seconds in stages.items():
        print(f"{'  ' + name.removesuffix('_seconds'):<28}{1e3 * seconds / asked.fits:>8.2f}")
    print(f"{'verdicts':<28}{dict(verdicts)}")
    print(f"{'files':<28}{made.hexdigest()[:16]}")
    if asked.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(110)


if __name__ == "__main__":
    main()
