"""Validation: is an uploaded zip a labelled set? Every fault is named by row and column before anything is trained."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from heddle_platform import pixels
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet, LevelledFactor
from heddle_platform.labels import FaultReport, LabelTable, check_labels
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.settings import LimitSettings
from heddle_workers.archive import LABELS_FILE, LABELS_MAX_BYTES, Archive, open_archive
from heddle_workers.fetch import Fetched
from heddle_workers.progress import Report

RARE_LEVEL = 5  # fewer labels than this say little about a level


@dataclass(frozen=True)
class Announced:
    """What the tenant said it would upload: length in bytes and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Validation:
    """Outcome: the report, and where nothing is wrong the manifest and the number of images."""

    report: dict[str, Any]
    manifest: bytes | None = None
    images: int = 0


@dataclass
class _Checked:
    rows: list[ManifestImage] = field(default_factory=list)
    unlabelled: list[ManifestImage] = field(default_factory=list)


def validate_set(
    upload: Fetched, announced: Announced, factor_set: FactorSet, limits: LimitSettings, report_progress: Report
) -> Validation:
    """Check an uploaded labelled set; images are read one at a time.

    Args:
        upload: the zip.
        announced: what it must be.
        factor_set: the factors its labels must match.
        limits: bounds on images.
        report_progress: told the share of images checked.

    Returns:
        The outcome; `report` holds {valid, fault_count, errors, warnings, images, labelled, unlabelled, levels,
        ranges, missing}.
    """
    faults = FaultReport()
    if (upload.size, upload.sha256) != (announced.size, announced.sha256):
        faults.add(
            "upload_differs",
            f"{upload.size} bytes with SHA-256 {upload.sha256} arrived, {announced.size} with {announced.sha256} were "
            "announced; upload the file again",
        )
        return Validation(_document(faults))
    try:
        with open_archive(upload.file, faults, max_images=limits.dataset_max_images) as archive:
            table, checked = _check(archive, factor_set, limits, faults, report_progress)
    except InvalidInput as error:  # nothing beyond this fault can be read
        _note(faults, error)
        return Validation(_document(faults))
    document = _document(faults, table, factor_set, checked)
    if faults.count:
        return Validation(document)
    manifest = Manifest(images=upload.sha256, rows=tuple(checked.rows), unlabelled=tuple(checked.unlabelled))
    return Validation(document, manifest.to_bytes(), len(manifest.files))


def describe(manifest: Manifest, factor_set: FactorSet) -> dict[str, Any]:
    """Return the report of a set that is known to be valid, from its manifest alone."""
    checked = _Checked(list(manifest.rows), list(manifest.unlabelled))
    return _document(FaultReport(), manifest.table(factor_set), factor_set, checked)


def _check(
    archive: Archive, factor_set: FactorSet, limits: LimitSettings, faults: FaultReport, report_progress: Report
) -> tuple[LabelTable | None, _Checked]:
    if len(archive.images) > limits.dataset_max_images:
        faults.add(
            "too_many_images",
            f"the zip holds {len(archive.images)} images, at most {limits.dataset_max_images} are taken; split the set",
        )
        return None, _Checked()
    try:
        table = check_labels(archive.read(LABELS_FILE, max_bytes=LABELS_MAX_BYTES), factor_set, faults)
    except InvalidInput as error:
        _note(faults, error)
        table = None
    return table, _check_images(archive, table, limits, faults, report_progress)


def _check_images(
    archive: Archive, table: LabelTable | None, limits: LimitSettings, faults: FaultReport, report_progress: Report
) -> _Checked:
    checked = _Checked()
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
        named.add(path)
        if digest := _check_image(archive, path, line, limits, faults):
            checked.rows.append(ManifestImage(file=path, sha256=digest, labels=dict(cells)))
        report_progress("checking_images", len(named) / total)
    for done, path in enumerate(path for path in archive.images if path not in named):
        if digest := _check_image(archive, path, None, limits, faults):
            checked.unlabelled.append(ManifestImage(file=path, sha256=digest))
        report_progress("checking_images", (len(named) + done) / total)
    return checked


def _check_image(
    archive: Archive, path: str, line: int | None, limits: LimitSettings, faults: FaultReport
) -> str | None:
    try:
        data = archive.read(path, max_bytes=limits.image_max_bytes)
        pixels.decode(data, max_bytes=limits.image_max_bytes, max_pixels=limits.image_max_pixels)
    except InvalidInput as error:
        if line is None:
            faults.add(error.code, f"{path[:100]!r}: {error.message}", file=path)
        else:
            faults.add(error.code, f"{path[:100]!r}: {error.message}", row=line, column="file")
        return None
    return sha256_hex(data)


def _note(faults: FaultReport, error: InvalidInput) -> None:
    for detail in error.details:
        faults.add(detail.code, detail.detail, row=detail.row, column=detail.column)
    if not error.details:
        faults.add(error.code, error.message)


def _document(
    faults: FaultReport,
    table: LabelTable | None = None,
    factor_set: FactorSet | None = None,
    checked: _Checked | None = None,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "valid": faults.count == 0,
        "fault_count": faults.count,
        "errors": [detail.as_json() for detail in faults.details],
        "warnings": [],
        "images": len(checked.rows) + len(checked.unlabelled) if checked else 0,
        "labelled": len(checked.rows) if checked else 0,
        "unlabelled": len(checked.unlabelled) if checked else 0,
        "levels": {},
        "ranges": {},
        "missing": {},
    }
    if table is not None and factor_set is not None:
        _count_labels(document, table, factor_set)
    if checked is not None:
        document["warnings"] += _warnings(document, checked)
    return document


def _count_labels(document: dict[str, Any], table: LabelTable, factor_set: FactorSet) -> None:
    for factor, values_N in zip(factor_set.factors, table.values_NF.T, strict=True):
        known = values_N[~np.isnan(values_N)]
        document["missing"][factor.name] = len(values_N) - len(known)
        if isinstance(factor, LevelledFactor):
            counts = np.bincount(known.astype(int), minlength=len(factor.level_names))
            document["levels"][factor.name] = dict(zip(factor.level_names, counts.tolist(), strict=True))
        elif len(known):
            document["ranges"][factor.name] = {
                "low": float(known.min()),
                "high": float(known.max()),
                "mean": float(known.mean()),
            }


def _warnings(document: dict[str, Any], checked: _Checked) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if checked.unlabelled:
        sentence = f"{len(checked.unlabelled)} images have no row in {LABELS_FILE}; they serve as unlabelled examples"
        warnings.append({"code": "unlabelled_images", "detail": sentence, "count": len(checked.unlabelled)})
    copies = Counter(image.sha256 for image in (*checked.rows, *checked.unlabelled))
    if repeated := sum(count - 1 for count in copies.values()):
        sentence = f"{repeated} images are byte for byte copies of others; they make the set look larger than it is"
        warnings.append({"code": "duplicate_images", "detail": sentence, "count": repeated})
    for factor, levels in document["levels"].items():
        for level, count in levels.items():
            if 0 < count < RARE_LEVEL:
                sentence = (
                    f"level {level!r} of {factor!r} has {count} labelled images, {RARE_LEVEL} or more tell it apart"
                )
                warnings.append({"code": "rare_level", "detail": sentence, "factor": factor, "count": count})
    return warnings
