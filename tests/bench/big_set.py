"""A labelled set of 100,000 images: how long its validation takes, and how much memory.

    python -m tests.bench.big_set [--images 100000]

Writes a zip and a Parquet file of real avatars (repeated with a changed pixel where there are fewer), validates both in
a child process, and prints seconds, images/s and the child's peak memory beside the upload's size. Nothing is encoded.
"""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from heddle_platform.factors import parse_factor_set
from heddle_platform.pixels import encode
from heddle_platform.settings import LimitSettings
from heddle_workers.fetch import Fetched
from heddle_workers.progress import silent
from heddle_workers.validate import Announced, validate_set
from tests.bench.avatars import SHARED

FACTORS = {
    "name": "avatars",
    "factors": [{"name": "background", "kind": "categorical", "levels": [str(level) for level in range(8)]}],
}


def images(count: int) -> Iterator[tuple[bytes, str]]:
    """Yield PNG files and a label each, all different."""
    stored = np.load(SHARED / "avatars.npz")
    pictures, column = stored["images"], list(stored["factor_names"]).index("background")
    labels = stored["factors"][:, column]
    for index in range(count):
        row = index % len(pictures)
        picture = pictures[row].copy()
        picture[0, 0] = (index >> 16 & 255, index >> 8 & 255, index & 255)
        yield encode(picture, "image/png"), str(labels[row])


def write_zip(path: Path, count: int) -> None:
    """Write the set as a zip."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "background"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index, (data, label) in enumerate(images(count)):
            archive.writestr(f"{index}.png", data)
            writer.writerow([f"{index}.png", label])
        archive.writestr("labels.csv", table.getvalue())


def write_parquet(path: Path, count: int) -> None:
    """Write the set as a Parquet file of row groups of 1,000."""
    schema = pa.schema([("image", pa.binary()), ("background", pa.string())])
    rows: list[dict[str, object]] = []
    with pq.ParquetWriter(path, schema) as writer:
        for data, label in images(count):
            rows.append({"image": data, "background": label})
            if len(rows) == 1_000:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def peak_kb(*, anew: bool = False) -> int:
    """Return the most memory this process has held at one time, since it began or (`anew`) from now on.

    Not by getrusage: what that tells goes on across fork and exec, so it tells the parent's, who wrote the set.
    """
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def validate(path: Path) -> None:
    """Validate a file in this process and print what it took as JSON."""
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        before = peak_kb(anew=True)
        started = time.perf_counter()
        kept: list[int] = []

        def keep(_plain: object, length: int) -> tuple[()]:
            kept.append(length)
            return ()

        found = validate_set(
            Fetched(file, size, digest),
            Announced(size, digest),
            parse_factor_set(FACTORS),
            LimitSettings(dataset_max_images=1_000_000),
            silent,
            keep,
        )
    seconds = time.perf_counter() - started
    peak = peak_kb()
    report = found.report
    line = {"seconds": seconds, "peak_mb": peak / 1024, "before_mb": before / 1024, "images": found.images}
    print(json.dumps({**line, "size_mb": size / 1e6, "twins": report["twins"]["count"], "valid": report["valid"]}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--validate", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.validate:
        validate(options.validate)
        return
    print("| upload | MB | images | seconds | images/s | peak memory above import, MB | look-alikes |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("set.zip", write_zip), ("set.parquet", write_parquet)):
            path = Path(folder, name)
            write(path, options.images)
            command = [sys.executable, "-m", "tests.bench.big_set", "--validate", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            path.unlink()
            assert told["valid"], told
            print(
                f"| {name} | {told['size_mb']:.0f} | {told['images']:,} | {told['seconds']:.1f} "
                f"| {told['images'] / told['seconds']:.0f} | {told['peak_mb'] - told['before_mb']:.0f} "
                f"| {told['twins']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
