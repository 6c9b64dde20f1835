"""Encoding of a set as a job does it, beside the bare ONNX session on the same images: what reading and decoding cost.

    python -m tests.bench.encode --images 2000

The bare session is given float arrays that are ready, in chunks of the same size, by as many threads.
"""

import argparse
import io
import statistics
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from heddle_platform import pixels
from heddle_platform.base import rendered
from heddle_platform.base.bundle import ENCODER, default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.settings import LimitSettings
from heddle_workers.encode import encode_rows
from heddle_workers.image_set import open_image_set
from heddle_workers.progress import silent

_CHUNK = 64


def bare(encoder: Any, images_NCHW: Any, threads: int) -> float:
    """Return images a second of the session alone."""
    chunks = [images_NCHW[start : start + _CHUNK] for start in range(0, len(images_NCHW), _CHUNK)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda chunk: encoder.run(None, {"image": chunk}), chunks))
    return len(images_NCHW) / (time.perf_counter() - begin)


def whole(archive: bytes, files: list[str], runtime: BaseRuntime, threads: int) -> float:
    """Return images a second from the zip to latents."""
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        begin = time.perf_counter()
        with open_image_set(file, files, LimitSettings()) as images:
            encode_rows(images, range(len(files)), runtime, silent, threads=threads)
        return len(files) / (time.perf_counter() - begin)


def main() -> None:
    """Print a table, a row for each number of threads; the two take turns, medians are shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    made = rendered.labelled_set(style="micah", n=min(asked.images, 500), seed=1, size=asked.size).images
    files = [f"{row:05d}.png" for row in range(asked.images)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for row, file in enumerate(files):
            archive.writestr(file, made[row % len(made)])
        archive.writestr("labels.csv", "file\n")
    bundle = load_bundle(default_bundle_path())
    runtime = BaseRuntime.from_bundle(bundle)
    small = [
        pixels.resize(pixels.decode(image, max_bytes=10**8, max_pixels=10**8), runtime.image_size) for image in made
    ]
    ready = np.stack([small[row % len(small)] for row in range(asked.images)]).transpose(0, 3, 1, 2)
    ready_NCHW = np.ascontiguousarray(ready, dtype=np.float32) / np.float32(255)
    encoder = runtime._encoder  # the bare session of the very same runtime
    print(f"{asked.images} PNGs of {asked.size} x {asked.size}, {ENCODER}, {runtime.provider}; images a second")
    print(f"{'threads':>8} {'bare session':>13} {'zip to latents':>15} {'ratio':>7}")
    for threads in (1, 2):
        pairs = [
            (bare(encoder, ready_NCHW, threads), whole(buffer.getvalue(), files, runtime, threads))
            for _ in range(asked.rounds)
        ]
        alone, job = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(job / alone for alone, job in pairs)
        print(f"{threads:8} {alone:13,.0f} {job:15,.0f} {ratio:7.2f}")


if __name__ == "__main__":
    main()
