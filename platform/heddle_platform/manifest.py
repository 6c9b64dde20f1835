"""The manifest of a labelled set: its images by digest, and the labels as they stood in `labels.csv`.

It depends on the uploaded bytes alone, never on a factor set, so that its key (the upload's digest) is its content
address: whoever uses the set reads the cells with the factor set at hand.
"""

from collections.abc import Sequence, Set
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from heddle_platform.digest import canonical_json
from heddle_platform.errors import DataCorrupt, InvalidInput
from heddle_platform.factors import FactorSet
from heddle_platform.ids import derived_id
from heddle_platform.labels import WEIGHT_COLUMN, LabelTable, parse_weight


class ManifestImage(BaseModel):
    """One image: its path in the upload, the SHA-256 of its file, and the cells that are not empty, its weight too."""

    model_config = ConfigDict(frozen=True)
    file: str
    sha256: str
    labels: dict[str, str] = {}

    @property
    def item_id(self) -> str:
        """Its id in the set, which stays when other images are erased."""
        return derived_id("itm", self.file)


class Manifest(BaseModel):
    """A labelled set.

    Attributes:
        format: of this document.
        images: SHA-256 of the upload, which addresses the images.
        rows: images that have a row in `labels.csv`, in its order.
        unlabelled: the other images, by path.
    """

    model_config = ConfigDict(frozen=True)
    format: Literal[1] = 1
    images: str
    rows: tuple[ManifestImage, ...]
    unlabelled: tuple[ManifestImage, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the one spelling of this manifest as JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Read what `to_bytes` wrote.

        Raises:
            DataCorrupt: code `manifest_corrupt`.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise DataCorrupt(
                f"the set's manifest ({len(data)} bytes) has {error.error_count()} fault(s); upload the set again",
                code="manifest_corrupt",
            ) from error

    @property
    def all(self) -> tuple[ManifestImage, ...]:
        """All images: labelled ones first, then the others; latents lie in this order."""
        return (*self.rows, *self.unlabelled)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all images: labelled ones first, then the others."""
        return tuple(image.file for image in self.all)

    def without(self, digests: Set[str], images: str) -> "Manifest":
        """Return the manifest less the images with these SHA-256, `images` being the archive's without them."""
        return Manifest(
            images=images,
            rows=tuple(image for image in self.rows if image.sha256 not in digests),
            unlabelled=tuple(image for image in self.unlabelled if image.sha256 not in digests),
        )

    def table(self, factor_set: FactorSet) -> LabelTable:
        """Read the labels with a factor set.

        Raises:
            InvalidInput: code `labels_do_not_fit`: a cell means nothing to this factor set.
        """
        values_NF, weight_N = _values(self.rows, factor_set), _weights(self.rows)
        return LabelTable(tuple(row.file for row in self.rows), values_NF, weight_N=weight_N)


def _values(rows: Sequence[ManifestImage], factor_set: FactorSet) -> np.ndarray[Any, np.dtype[np.float64]]:
    values_NF = np.full((len(rows), len(factor_set.factors)), np.nan)
    for position, factor in enumerate(factor_set.factors):
        read: dict[str, float] = {}  # a level is spelt alike in hundreds of rows
        for index, row in enumerate(rows):
            if (cell := row.labels.get(factor.name)) is None:
                continue
            try:
                value = read[cell] if cell in read else read.setdefault(cell, factor.parse(cell))
            except ValueError as error:
                raise InvalidInput(
                    f"{row.file[:100]!r} is labelled for another version of the factor set: {error}",
                    code="labels_do_not_fit",
                    param=factor.name,
                ) from None
            values_NF[index, position] = value
    return values_NF


def _weights(rows: Sequence[ManifestImage]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if not any(WEIGHT_COLUMN in row.labels for row in rows):
        return None
    weights = []
    for row in rows:
        try:
            weights.append(parse_weight(row.labels.get(WEIGHT_COLUMN, "")))
        except ValueError as error:
            raise InvalidInput(f"{row.file[:100]!r}: {error}", code="labels_do_not_fit", param=WEIGHT_COLUMN) from None
    return np.array(weights)
