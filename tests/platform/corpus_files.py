"""Small corpora of every kind, all holding the same images and labels."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from heddle_platform import pixels

COUNT = 60
HUES = ("blue", "green", "red")
SIDES = ("9", "10")


def pictures(size: int = 64) -> NDArray[np.uint8]:
    """COUNT images, each of one random colour, unlike any other."""
    colours = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 1, 3), dtype=np.uint8)
    return np.tile(colours, (1, size, size, 1))


def labels() -> list[dict[str, str]]:
    """Labels of each picture; every fifth lacks its hue."""
    return [{"hue": "" if n % 5 == 0 else HUES[n % 3], "side": SIDES[n % 2]} for n in range(COUNT)]


def png(image: NDArray[np.uint8]) -> bytes:
    return pixels.encode(image, "image/png")


def named() -> dict[str, bytes]:
    return {f"sub/{n:03d}.png": png(image) for n, image in enumerate(pictures())}


def table(rows: dict[str, dict[str, str]]) -> bytes:
    lines = ["file,hue,side", *(f"{name},{row['hue']},{row['side']}" for name, row in rows.items())]
    return "\n".join(lines).encode()


def folder(root: Path) -> Path:
    files = named()
    for name, data in {**files, "labels.csv": table(dict(zip(files, labels(), strict=True)))}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "notes.txt").write_text("passed over")
    (root / ".hidden.png").write_bytes(b"no image")
    return root


def zipped(root: Path) -> Path:
    files = named()
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        for name, data in {**files, "labels.csv": table(dict(zip(files, labels(), strict=True)))}.items():
            archive.writestr(name, data)
    return root / "set.zip"


def parquet(root: Path, *, struct: bool = False) -> Path:
    """Two files with several row groups each; images bare or as Hugging Face writes them."""
    images = [png(image) for image in pictures()]
    column = [{"bytes": data, "path": None} for data in images] if struct else images
    rows = labels()
    whole = pa.table(
        {
            "image": column,
            "hue": pa.array([row["hue"] or None for row in rows]).dictionary_encode(),
            "side": [int(row["side"]) for row in rows],
        }
    )
    pq.write_table(whole.slice(0, 25), root / "a.parquet", row_group_size=10)
    pq.write_table(whole.slice(25), root / "b.parquet", row_group_size=10)
    return root


def tars(root: Path) -> Path:
    rows, images = labels(), pictures()
    for start in range(0, COUNT, 20):
        with tarfile.open(root / f"{start:03d}.tar", "w") as tar:
            for n in range(start, start + 20):
                row = {"hue": rows[n]["hue"] or None, "side": int(rows[n]["side"])}
                members = ((f"{n:03d}.png", png(images[n])), (f"{n:03d}.json", json.dumps(row).encode()))
                for name, data in (*members, (f"{n:03d}.txt", b"a caption")):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return root


def arrays(root: Path) -> Path:
    factors = [[HUES.index(row["hue"]) if row["hue"] else -1, SIDES.index(row["side"])] for row in labels()]
    np.savez_compressed(
        root / "set.npz",
        images=pictures(),
        factors=np.array(factors),
        factor_names=np.array(["hue", "side"]),
        factor_values=np.array(json.dumps([HUES, SIDES])),
    )
    return root / "set.npz"


KINDS: dict[str, Callable[[Path], Path]] = {
    "folder": folder,
    "zip": zipped,
    "parquet": parquet,
    "parquet-struct": lambda root: parquet(root, struct=True),
    "webdataset": tars,
    "npz": arrays,
}
