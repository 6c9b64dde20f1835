"""The report of a validation: what a labelled set holds, what is wrong with it, and what will hold a fit back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from heddle_platform.archive import LABELS_FILE
from heddle_platform.factors import FactorSet, LevelledFactor
from heddle_platform.labels import WEIGHT_COLUMN, FaultReport, LabelTable
from heddle_platform.manifest import ManifestImage
from heddle_workers.twins import Thumbnails

if TYPE_CHECKING:
    from heddle_adapters.associations import Association

RARE_LEVEL: Final = 5  # fewer labels than this say little about a level
UNBALANCED_SHARE: Final = 0.9  # of a factor's labels in one level
CORRELATED: Final = 0.3  # as the scorecard warns
SMALL_SIDE: Final = 64  # pixels: what bases see; smaller pictures are scaled up, and edits of them are soft
_SHOWN_TWINS: Final = 50
_SHOWN_CELLS: Final = 400


@dataclass
class Checked:
    """What was found of the images while they went by.

    Attributes:
        rows: images with a row of labels.
        unlabelled: the others.
        thumbnails: of all.
        with_metadata: how many files hold metadata.
        smallest, largest: shorter side of the smallest and longer side of the largest image, pixels.
        small: how many images have a side below `SMALL_SIDE`.
    """

    rows: list[ManifestImage] = field(default_factory=list)
    unlabelled: list[ManifestImage] = field(default_factory=list)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    with_metadata: int = 0
    smallest: int | None = None
    largest: int | None = None
    small: int = 0

    @property
    def all(self) -> list[ManifestImage]:
        """All images, labelled ones first."""
        return [*self.rows, *self.unlabelled]

    def add(self, image: ManifestImage, image_HWC: NDArray[np.uint8], *, labelled: bool) -> None:
        """Note an image, its size and its thumbnail."""
        (self.rows if labelled else self.unlabelled).append(image)
        short, long = sorted(image_HWC.shape[:2])
        self.smallest = short if self.smallest is None else min(self.smallest, short)
        self.largest = long if self.largest is None else max(self.largest, long)
        self.small += short < SMALL_SIDE
        self.thumbnails.add(image.file, image.sha256, image_HWC)


def report_document(
    faults: FaultReport,
    table: LabelTable | None = None,
    factor_set: FactorSet | None = None,
    checked: Checked | None = None,
) -> dict[str, Any]:
    """Return the report as it is stored and served.

    Keys: valid, fault_count, errors, warnings, images, labelled, unlabelled, levels {factor: {level: count}}, ranges
    {factor: {low, high, mean}}, missing {factor: count}, balance {factor: {most, share, evenness}} with evenness the
    entropy over its maximum, associations [{first, second, value, measure, p, rows, cells, empty_cells, thin_cells,
    table}], twins {count, differently_labelled, pairs}, sizes {smallest, largest, small}, stripped; where the table has
    weights, also weights {rows: whose weight is not 1, effective_rows: sum(w)^2 / sum(w^2), least, most}.
    """
    document: dict[str, Any] = {
        "valid": faults.count == 0,
        "fault_count": faults.count,
        "errors": [detail.as_json() for detail in faults.details],
        "warnings": [],
        "images": len(checked.all) if checked else 0,
        "labelled": len(checked.rows) if checked else 0,
        "unlabelled": len(checked.unlabelled) if checked else 0,
        "levels": {},
        "ranges": {},
        "missing": {},
        "balance": {},
        "associations": [],
    }
    if table is not None and factor_set is not None:
        _count_labels(document, table, factor_set)
        if table.weight_N is not None and len(table.weight_N):
            document["weights"] = _weights(table.weight_N)
        if not faults.count:
            document["associations"] = _together(table, factor_set)
    if checked is not None:
        if checked.smallest is not None:
            sizes = {"smallest": checked.smallest, "largest": checked.largest, "small": checked.small}
            document |= {"sizes": sizes, "stripped": checked.with_metadata, "twins": _twins(checked)}
        document["warnings"] = [*_image_warnings(document, checked), *_label_warnings(document)]
    return document


def _count_labels(document: dict[str, Any], table: LabelTable, factor_set: FactorSet) -> None:
    for factor, values_N in zip(factor_set.factors, table.values_NF.T, strict=True):
        known = values_N[~np.isnan(values_N)]
        document["missing"][factor.name] = len(values_N) - len(known)
        if isinstance(factor, LevelledFactor):
            counts = np.bincount(known.astype(int), minlength=len(factor.level_names))
            document["levels"][factor.name] = dict(zip(factor.level_names, counts.tolist(), strict=True))
            if len(known):
                share_K = counts[counts > 0] / len(known)
                even = float(-(share_K * np.log(share_K)).sum() / np.log(max(2, len(counts))))
                most = factor.level_names[int(counts.argmax())]
                document["balance"][factor.name] = {
                    "most": most,
                    "share": round(float(share_K.max()), 4),
                    "evenness": round(even, 4),
                }
        elif len(known):
            document["ranges"][factor.name] = {
                "low": float(known.min()),
                "high": float(known.max()),
                "mean": float(known.mean()),
            }


def _weights(weight_N: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "rows": int(np.count_nonzero(weight_N != 1.0)),
        "effective_rows": round(float(weight_N.sum() ** 2 / np.square(weight_N).sum()), 1),
        "least": float(weight_N.min()),
        "most": float(weight_N.max()),
    }


def _together(table: LabelTable, factor_set: FactorSet) -> list[dict[str, Any]]:
    if len(factor_set.factors) < 2 or len(table.files) < 2:
        return []
    from heddle_adapters.associations import associations  # the dispatcher reads reports and needs no SciPy for it

    return [_pair(pair, table, factor_set) for pair in associations(table.values_NF, factor_set)]


def _pair(pair: "Association", table: LabelTable, factor_set: FactorSet) -> dict[str, Any]:
    one, other = factor_set.factors[pair.first], factor_set.factors[pair.second]
    counts = None
    if isinstance(one, LevelledFactor) and isinstance(other, LevelledFactor):
        sizes = len(one.level_names), len(other.level_names)
        if sizes[0] * sizes[1] <= _SHOWN_CELLS:
            values_N2 = table.values_NF[:, [pair.first, pair.second]]
            known_N2 = values_N2[~np.isnan(values_N2).any(axis=1)].astype(np.int64)
            flat = np.bincount(known_N2[:, 0] * sizes[1] + known_N2[:, 1], minlength=sizes[0] * sizes[1])
            counts = flat.reshape(sizes).tolist()
    return {
        "first": one.name,
        "second": other.name,
        "value": round(pair.value, 4),
        "measure": pair.measure,
        "p": float(f"{pair.p_holm:.3g}"),
        "rows": pair.rows,
        "cells": pair.cells,
        "empty_cells": pair.empty_cells,
        "thin_cells": pair.thin_cells,
        "table": counts,
    }


def _twins(checked: Checked) -> dict[str, Any]:
    pairs = checked.thumbnails.twins()
    labels = {
        image.file: {name: cell for name, cell in image.labels.items() if name != WEIGHT_COLUMN}
        for image in checked.all
    }
    shown = [
        {"file": later, "like": earlier, "same_labels": labels[later] == labels[earlier]} for later, earlier in pairs
    ]
    return {
        "count": len(shown),
        "differently_labelled": sum(not pair["same_labels"] for pair in shown),
        "pairs": shown[:_SHOWN_TWINS],
    }


def _image_warnings(document: dict[str, Any], checked: Checked) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if checked.unlabelled:
        sentence = f"{len(checked.unlabelled)} images have no row in {LABELS_FILE}; they serve as unlabelled examples"
        warnings.append({"code": "unlabelled_images", "detail": sentence, "count": len(checked.unlabelled)})
    if repeated := _copies(checked.all):
        sentence = f"{repeated} images are byte for byte copies of others; they make the set look larger than it is"
        warnings.append({"code": "duplicate_images", "detail": sentence, "count": repeated})
    if twins := document.get("twins", {}).get("count"):
        differing = document["twins"]["differently_labelled"]
        sentence = (
            f"{twins} images look almost the same as others, {differing} of them labelled differently; copies flatter "
            "the scorecard, and look-alikes with other labels teach little: check the pairs listed under twins"
        )
        warnings.append({"code": "look_alikes", "detail": sentence, "count": twins})
    if checked.small:
        sentence = (
            f"{checked.small} images have a side below {SMALL_SIDE} pixels (the smallest: {checked.smallest}); they "
            "are scaled up, and edits of such pictures are soft"
        )
        warnings.append({"code": "small_images", "detail": sentence, "count": checked.small})
    if checked.with_metadata:
        sentence = f"metadata (EXIF, comments) was removed from {checked.with_metadata} images; orientations are kept"
        warnings.append({"code": "metadata_removed", "detail": sentence, "count": checked.with_metadata})
    return warnings


def _copies(images: Sequence[ManifestImage]) -> int:
    return sum(count - 1 for count in Counter(image.sha256 for image in images).values())


def _label_warnings(document: dict[str, Any]) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    for factor, levels in document["levels"].items():
        for level, count in levels.items():
            if 0 < count < RARE_LEVEL:
                sentence = (
                    f"level {level!r} of {factor!r} has {count} labelled images, {RARE_LEVEL} or more tell it apart"
                )
                warnings.append({"code": "rare_level", "detail": sentence, "factor": factor, "count": count})
    for factor, balance in document["balance"].items():
        if balance["share"] >= UNBALANCED_SHARE:
            sentence = (
                f"{balance['share']:.0%} of the labels of {factor!r} say {balance['most']!r}; label more of the others"
            )
            warnings.append({"code": "unbalanced_factor", "detail": sentence, "factor": factor})
    for pair in document["associations"]:
        if pair["value"] >= CORRELATED and pair["p"] < 0.05:
            sentence = (
                f"labels of {pair['first']!r} and {pair['second']!r} go together ({pair['measure']} "
                f"{pair['value']:.2f}); label images in which they disagree"
            )
            factors = [pair["first"], pair["second"]]
            warnings.append({"code": "correlated_labels", "detail": sentence, "factors": factors})
    empty = [pair for pair in document["associations"] if pair["empty_cells"]]
    if empty:
        spoken = ", ".join(f"{p['first']} x {p['second']} ({p['empty_cells']} of {p['cells']})" for p in empty[:5])
        sentence = f"in {len(empty)} factor pairs some levels never occur together: {spoken}; label such images"
        warnings.append({"code": "empty_cells", "detail": sentence, "count": len(empty)})
    return warnings
