"""Pruning: the archive of a labelled set without some of its images, sent to the store without credentials."""

import zipfile
from collections.abc import Sequence, Set
from typing import BinaryIO, Final

import httpx

from heddle_platform.archive import LABELS_FILE, zip_entry
from heddle_platform.errors import TooLarge, Unavailable
from heddle_platform.manifest import Manifest
from heddle_platform.ports import Part
from heddle_workers.image_set import ImageSet
from heddle_workers.plain_set import labels_text
from heddle_workers.progress import Report
from heddle_workers.set_report import Checked

_TIMEOUT_SECONDS: Final = 60.0


def prune(
    images: ImageSet, manifest: Manifest, gone: Set[str], columns: Sequence[str], target: BinaryIO, report: Report
) -> Checked:
    """Write the set as a zip of its own: the images that stay as they were uploaded, and their rows of labels.

    Whatever else lay in the upload (desktops leave thumbnails there) does not come along.

    Args:
        images: the set.
        manifest: of the set.
        gone: SHA-256 of the images that go.
        columns: names of the factors.
        target: takes the zip.
        report: told the share of images looked at.

    Returns:
        The images that stay, measured anew for the set's report.
    """
    checked = Checked()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        kept = (row for row in manifest.rows if row.sha256 not in gone)
        archive.writestr(zip_entry(LABELS_FILE, zipfile.ZIP_DEFLATED), labels_text(kept, columns))
        for row, image in enumerate(manifest.all):
            if image.sha256 not in gone:
                archive.writestr(zip_entry(image.file, zipfile.ZIP_DEFLATED), images.file(row))
                checked.add(image, images.original(row), labelled=row < len(manifest.rows))
            report("rewriting", (row + 1) / len(images))
    return checked


def send_parts(source: BinaryIO, size: int, urls: Sequence[str], part_bytes: int) -> tuple[Part, ...]:
    """Send a file in parts to presigned addresses.

    Args:
        source: the file, at its start.
        size: its length in bytes.
        urls: where part 1, 2, ... goes; may be more than are needed.
        part_bytes: length of every part but the last.

    Raises:
        TooLarge: code `object_too_large`: there are too few addresses.
        Unavailable: the store cannot be reached.
    """
    count = max(1, -(-size // part_bytes))
    if count > len(urls):
        raise TooLarge(f"{size} bytes are {count} parts, there are {len(urls)} addresses", code="object_too_large")
    parts = []
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        for number, url in enumerate(urls[:count], start=1):
            try:
                answer = client.put(url, content=source.read(part_bytes))
            except httpx.HTTPError as error:
                raise Unavailable(f"the object store cannot be reached ({type(error).__name__})") from error
            if answer.status_code != httpx.codes.OK:
                raise Unavailable(f"the object store answered {answer.status_code}; the job will be tried again")
            parts.append(Part(number, answer.headers["etag"]))
    return tuple(parts)
