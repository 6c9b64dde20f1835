"""Small labelled sets sent within the request: packed as the zip they would have been, and treated like any upload."""

import base64
import binascii
import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints

from heddle_api.control.wire import Asked
from heddle_platform.archive import LABELS_FILE, zip_entry
from heddle_platform.errors import Detail, InvalidInput
from heddle_platform.image_header import SUFFIXES, read_header
from heddle_platform.labels import LEAST_WEIGHT, MOST_WEIGHT, WEIGHT_COLUMN

MAX_ITEMS: Final = 1_000
_EXAMPLE_PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"

FactorName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Cell = Annotated[str, StringConstraints(max_length=1_000)] | bool | int | float | None


class NewItem(Asked):
    """One image with its labels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": _EXAMPLE_PNG, "labels": {"glasses": "round"}}]})
    image: str = Field(min_length=1, description="A PNG, JPEG or WebP file in base64.")
    labels: dict[FactorName, Cell] = Field(
        default_factory=dict, max_length=1_000, description="Level or number by factor; null or absent: not labelled."
    )
    weight: float | None = Field(
        None, ge=LEAST_WEIGHT, le=MOST_WEIGHT, description="How often the image counts beside the others; absent: once."
    )


def pack_items(items: Sequence[NewItem], factors: Sequence[str]) -> bytes:
    """Return the zip of these images and their `labels.csv`.

    The first item is row 2 of the validation report, as behind a header.

    Args:
        items: the images.
        factors: names of the factors, which become the columns.

    Raises:
        InvalidInput: code `invalid_items`, with a detail for every item that is no image in base64 or names a factor
            that there is not.
    """
    details: list[Detail] = []
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    weighted = any(item.weight is not None for item in items)
    writer.writerow(["file", *factors, *([WEIGHT_COLUMN] if weighted else [])])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, item in enumerate(items):
            try:
                data = base64.b64decode(item.image, validate=True)
                name = f"{index + 2:06d}{SUFFIXES[read_header(data).media_type]}"
            except binascii.Error:
                details.append(
                    Detail(f"/items/{index}/image", "not_base64", "the image is not base64; encode the file")
                )
                continue
            except InvalidInput as error:
                details.append(Detail(f"/items/{index}/image", error.code, error.message))
                continue
            details += _unknown(index, item.labels, factors)
            archive.writestr(zip_entry(name), data)
            weight = [_text(item.weight)] if weighted else []
            writer.writerow([name, *(_text(item.labels.get(factor)) for factor in factors), *weight])
        archive.writestr(zip_entry(LABELS_FILE), table.getvalue())
    if details:
        first = details[0]
        raise InvalidInput(
            f"{len(details)} fault(s) in the items; the first, at {first.pointer}: {first.detail}",
            code="invalid_items",
            param="items",
            details=details[:200],
        )
    return out.getvalue()


def _unknown(index: int, labels: Mapping[str, object], factors: Sequence[str]) -> list[Detail]:
    known = ", ".join(factors)[:300]
    return [
        Detail(f"/items/{index}/labels", "unknown_factor", f"{name[:60]!r} is not a factor of the set's: {known}")
        for name in labels
        if name not in factors
    ]


def _text(cell: str | bool | float | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
