"""Plain sets: a checked set written anew as the zip it is kept as, every image without its metadata."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

from heddle_platform.archive import LABELS_FILE, Archive, zip_entry
from heddle_platform.image_metadata import strip_metadata
from heddle_platform.labels import WEIGHT_COLUMN
from heddle_platform.manifest import ManifestImage
from heddle_platform.settings import LimitSettings
from heddle_workers.progress import Report

_BLOCK_BYTES: Final = 1024**2


def write_plain(
    archive: Archive,
    rows: Sequence[ManifestImage],
    unlabelled: Sequence[ManifestImage],
    columns: Sequence[str],
    limits: LimitSettings,
    target: BinaryIO,
    report_progress: Report,
) -> str:
    """Write a set's labels and its images without metadata, and nothing else the upload held.

    Args:
        archive: the checked upload.
        rows, unlabelled: its images.
        columns: names of the factors.
        limits: those of the check.
        target: takes the zip; left at its start.
        report_progress: told the share of images written.

    Returns:
        The zip's SHA-256.
    """
    images = [*rows, *unlabelled]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as written:
        written.writestr(zip_entry(LABELS_FILE, zipfile.ZIP_DEFLATED), labels_text(rows, columns))
        for done, image in enumerate(images, 1):
            data = archive.read(image.file, max_bytes=limits.image_max_bytes)
            written.writestr(zip_entry(image.file), strip_metadata(data))
            report_progress("removing_metadata", done / len(images))
    target.seek(0)
    digest = hashlib.sha256()
    while block := target.read(_BLOCK_BYTES):
        digest.update(block)
    target.seek(0)
    return digest.hexdigest()


def labels_text(rows: Iterable[ManifestImage], columns: Sequence[str]) -> str:
    """Return the `labels.csv` of these images; weights are among them where there are any."""
    rows, table = tuple(rows), io.StringIO()
    if any(WEIGHT_COLUMN in row.labels for row in rows):
        columns = (*columns, WEIGHT_COLUMN)
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", *columns])
    for row in rows:
        writer.writerow([row.file, *(row.labels.get(name, "") for name in columns)])
    return table.getvalue()
