"""Packing labelled sets: a folder, or pictures and labels in memory, as the zip that is uploaded."""

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heddle_api.client.pictures import Picture, picture_bytes
from heddle_platform.archive import LABELS_FILE, zip_entry
from heddle_platform.errors import InvalidInput
from heddle_platform.image_header import SUFFIXES, read_header


@contextmanager
def packed_folder(source: Path) -> Iterator[Path]:
    """Zip a folder of images with `labels.csv` into a temporary file; a file is passed on as it is.

    Hidden files and folders stay behind.

    Raises:
        ValueError: the folder has no `labels.csv`.
    """
    if source.is_file():
        yield source
        return
    if not (source / LABELS_FILE).is_file():
        raise ValueError(
            f"{source} has no {LABELS_FILE}; put one beside the images, with a column 'file' and one per factor"
        )
    with tempfile.TemporaryDirectory(prefix="heddle-") as folder:
        target = Path(folder) / f"{source.resolve().name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # images are compressed already
            for file in sorted(path for path in source.rglob("*") if path.is_file() and not _is_hidden(path, source)):
                archive.write(file, file.relative_to(source).as_posix())
        yield target


def packed_pictures(pictures: Sequence[Picture], labels: Sequence[Mapping[str, Any]]) -> bytes:
    """Return pictures and their labels as a zip.

    Args:
        pictures: files, bytes, arrays or PIL images.
        labels: one mapping of factor to level or number for each; a factor left out or None is not labelled.

    Raises:
        ValueError: there are not as many labels as pictures, with both numbers; or a picture is none, with its place.
    """
    if len(pictures) != len(labels):
        raise ValueError(f"there are {len(pictures)} pictures and {len(labels)} labels; there must be one for each")
    factors = list(dict.fromkeys(name for row in labels for name in row))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", *factors])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for place, (picture, row) in enumerate(zip(pictures, labels, strict=True)):
            try:
                data = picture_bytes(picture)
                name = f"{place:06d}{SUFFIXES[read_header(data).media_type]}"
            except (ValueError, InvalidInput) as error:
                raise ValueError(f"picture {place}: {error}") from error
            archive.writestr(zip_entry(name), data)
            writer.writerow([name, *("" if row.get(factor) is None else row[factor] for factor in factors)])
        archive.writestr(zip_entry(LABELS_FILE), table.getvalue())
    return out.getvalue()


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
