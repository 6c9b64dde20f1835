"""Validation: is an upload a labelled set? Every fault is named by row and column before anything is trained.

A zip whose images hold no metadata is kept as it came; any other, and a Parquet file, is written anew as the zip it is
kept as.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from heddle_platform import pixels
from heddle_platform.archive import LABELS_FILE, LABELS_MAX_BYTES, Archive, open_archive
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet
from heddle_platform.image_metadata import strip_metadata
from heddle_platform.labels import FaultReport, LabelTable, check_labels
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.ports import Part
from heddle_platform.settings import LimitSettings
from heddle_workers.fetch import Fetched
from heddle_workers.parquet_set import is_parquet, parquet_to_zip
from heddle_workers.plain_set import write_plain
from heddle_workers.progress import Report
from heddle_workers.set_report import Checked, report_document


@dataclass(frozen=True)
class Announced:
    """What the tenant said it would upload: length in bytes and SHA-256."""

    size: int
    sha256: str


# takes a set's zip, at its start, and its length; returns the parts it was sent in
Keep = Callable[[BinaryIO, int], tuple[Part, ...]]


@dataclass(frozen=True)
class Validation:
    """Outcome of a check.

    Attributes:
        report: what was found.
        manifest: of the set; None where something is wrong.
        images: how many there are.
        digest: SHA-256 of the zip the set is kept as.
        parts: what that zip was sent in; empty where the upload itself is kept.
    """

    report: dict[str, Any]
    manifest: bytes | None = None
    images: int = 0
    digest: str = ""
    parts: tuple[Part, ...] = ()


def validate_set(
    upload: Fetched,
    announced: Announced,
    factor_set: FactorSet,
    limits: LimitSettings,
    report_progress: Report,
    keep: Keep,
) -> Validation:
    """Check an uploaded labelled set; images are read one at a time.

    Args:
        upload: a zip or a Parquet file.
        announced: what it must be.
        factor_set: the factors its labels must match.
        limits: bounds on images.
        report_progress: told the share of images checked.
        keep: takes the zip of a good set that is not kept as it came.

    Returns:
        The outcome, its report as `report_document` gives it.
    """
    faults = FaultReport()
    if (upload.size, upload.sha256) != (announced.size, announced.sha256):
        faults.add(
            "upload_differs",
            f"{upload.size} bytes with SHA-256 {upload.sha256} arrived, {announced.size} with {announced.sha256} were "
            "announced; upload the file again",
        )
        return Validation(report_document(faults))
    if not is_parquet(upload.file):
        return _validate_zip(upload.file, upload.sha256, factor_set, limits, faults, report_progress, keep)
    with tempfile.TemporaryFile(prefix="heddle-") as converted:
        try:
            parquet_to_zip(upload.file, converted, limits, faults, report_progress)
        except InvalidInput as error:
            _note(faults, error)
            return Validation(report_document(faults))
        converted.flush()
        return _validate_zip(converted, None, factor_set, limits, faults, report_progress, keep)


def _validate_zip(
    source: BinaryIO,
    sha256: str | None,
    factor_set: FactorSet,
    limits: LimitSettings,
    faults: FaultReport,
    report_progress: Report,
    keep: Keep,
) -> Validation:
    """Check a zip; `sha256` is its digest if it may be kept as it is."""
    try:
        with open_archive(source, faults, max_images=limits.dataset_max_images) as archive:
            table, checked = _check(archive, factor_set, limits, faults, report_progress)
            document = report_document(faults, table, factor_set, checked)
            if faults.count:
                return Validation(document)
            parts: tuple[Part, ...] = ()
            if sha256 is None or checked.with_metadata:
                with tempfile.TemporaryFile(prefix="heddle-") as plain:
                    sha256 = write_plain(
                        archive, checked.rows, checked.unlabelled, factor_set.names, limits, plain, report_progress
                    )
                    parts = keep(plain, plain.seek(0, 2))
    except InvalidInput as error:  # nothing beyond this fault can be read
        _note(faults, error)
        return Validation(report_document(faults))
    manifest = Manifest(images=sha256, rows=tuple(checked.rows), unlabelled=tuple(checked.unlabelled))
    return Validation(document, manifest.to_bytes(), len(manifest.files), sha256, parts)


def describe(manifest: Manifest, factor_set: FactorSet, checked: Checked) -> dict[str, Any]:
    """Return the report of a set that is known to be valid, its images measured already."""
    return report_document(FaultReport(), manifest.table(factor_set), factor_set, checked)


def _check(
    archive: Archive, factor_set: FactorSet, limits: LimitSettings, faults: FaultReport, report_progress: Report
) -> tuple[LabelTable | None, Checked]:
    if len(archive.images) > limits.dataset_max_images:
        faults.add(
            "too_many_images",
            f"the zip holds {len(archive.images)} images, at most {limits.dataset_max_images} are taken; split the set",
        )
        return None, Checked()
    try:
        table = check_labels(archive.read(LABELS_FILE, max_bytes=LABELS_MAX_BYTES), factor_set, faults)
    except InvalidInput as error:
        _note(faults, error)
        table = None
    return table, _check_images(archive, table, limits, faults, report_progress)


def _check_images(
    archive: Archive, table: LabelTable | None, limits: LimitSettings, faults: FaultReport, report_progress: Report
) -> Checked:
    checked = Checked()
    named: set[str] = set()
    total = max(1, len(archive.images))
    for file, line, cells in zip(table.files, table.lines, table.cells, strict=True) if table else ():
        path = archive.find(file)
        if path is None:
            faults.add(
                "missing_file",
                f"there is no image {file[:100]!r} in the zip; add it or remove the row",
                row=line,
                column="file",
            )
            continue
        if path in named:  # the table knows texts, and one name can be spelt in two (Unicode NFC, NFD)
            faults.add(
                "duplicate_file", f"{path[:100]!r} stands in a row above, spelt otherwise", row=line, column="file"
            )
            continue
        named.add(path)
        _check_image(archive, path, line, cells, limits, faults, checked)
        report_progress("checking_images", len(named) / total)
    for done, path in enumerate(path for path in archive.images if path not in named):
        _check_image(archive, path, None, {}, limits, faults, checked)
        report_progress("checking_images", (len(named) + done) / total)
    return checked


def _check_image(
    archive: Archive,
    path: str,
    line: int | None,
    labels: Mapping[str, str],
    limits: LimitSettings,
    faults: FaultReport,
    checked: Checked,
) -> None:
    try:
        data = archive.read(path, max_bytes=limits.image_max_bytes)
        image_HWC = pixels.decode(data, max_bytes=limits.image_max_bytes, max_pixels=limits.image_max_pixels)
    except InvalidInput as error:
        if line is None:
            faults.add(error.code, f"{path[:100]!r}: {error.message}", file=path)
        else:
            faults.add(error.code, f"{path[:100]!r}: {error.message}", row=line, column="file")
        return
    plain = strip_metadata(data)
    checked.with_metadata += plain is not data
    image = ManifestImage(file=path, sha256=sha256_hex(plain), labels=dict(labels))
    checked.add(image, image_HWC, labelled=line is not None)


def _note(faults: FaultReport, error: InvalidInput) -> None:
    for detail in error.details:
        faults.add(detail.code, detail.detail, row=detail.row, column=detail.column)
    if not error.details:
        faults.add(error.code, error.message)
