"""Labelled sets sent as Parquet: a column `image` and a column per factor become the zip that sets are kept as.

The image column holds files' bytes, or a struct of `bytes` and `path` as Hugging Face's datasets write it; a column
`file` names the images where there is one. From then on a Parquet file is a zip like any other, faults by row included:
row 2 of a report is the first row of the table, as the first line of `labels.csv` is its header.
"""

import csv
import io
import math
import zipfile
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final

from heddle_platform.archive import IMAGE_SUFFIXES, LABELS_FILE, MAX_PATH_CHARACTERS, most_inflated, zip_entry
from heddle_platform.base.sources.parquet import MARK, parquet_rows
from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.image_header import SUFFIXES, read_header
from heddle_platform.labels import MAX_CELL_CHARACTERS, FaultReport
from heddle_platform.settings import LimitSettings
from heddle_workers.progress import Report

IMAGE_COLUMN: Final = "image"
FILE_COLUMN: Final = "file"


def is_parquet(source: BinaryIO) -> bool:
    """Tell whether a file is Parquet by its first bytes; it is at its start before and after."""
    source.seek(0)
    head = source.read(len(MARK))
    source.seek(0)
    return head == MARK


def parquet_to_zip(
    source: BinaryIO, target: BinaryIO, limits: LimitSettings, faults: FaultReport, report_progress: Report
) -> None:
    """Write a Parquet file as a zip of images and `labels.csv`, a row in memory at a time.

    Rows that say the same share one value in the file: a small one may hold a petabyte of images, so no more is written
    of it than a zip of its size may inflate to.

    Args:
        source: the Parquet file.
        target: takes the zip.
        limits: bounds on images and rows.
        faults: takes rows without an image, and names and labels of any length.
        report_progress: told the share of rows read.

    Raises:
        InvalidInput: codes `damaged_shard`, `missing_column`, `duplicate_column`: nothing can be read.
        TooLarge: codes `too_many_images`, `compression_bomb`.
    """
    size = source.seek(0, io.SEEK_END)
    most, written = most_inflated(size), 0
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    columns: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for row, total, values in parquet_rows(source, IMAGE_COLUMN, "the upload", rows_at_once=1):
            if (rows := max(total, row + 1)) > limits.dataset_max_images:
                raise TooLarge(
                    f"the table has {rows} rows, at most {limits.dataset_max_images} are taken; split the set",
                    code="too_many_images",
                )
            if row == 0:
                columns = [name for name in values if name not in (IMAGE_COLUMN, FILE_COLUMN)]
                writer.writerow([FILE_COLUMN, *columns])
            data, path = _image(values[IMAGE_COLUMN])
            if data is None:
                faults.add("missing_image", "the cell holds no image file's bytes", row=row + 2, column=IMAGE_COLUMN)
                writer.writerow([])  # the rows below keep their numbers
                continue
            written += len(data)
            if written > most:
                raise TooLarge(
                    f"the file's {size} bytes hold {written} bytes of images and more, at most {most} are taken; "
                    "leave copies out, or send a zip",
                    code="compression_bomb",
                )
            name = _name(values.get(FILE_COLUMN) or path, data, row, len(str(total)))
            if len(name) > MAX_PATH_CHARACTERS:
                faults.add(
                    "unsafe_path",
                    f"the name has {len(name)} characters, at most {MAX_PATH_CHARACTERS} are taken; shorten it",
                    row=row + 2,
                    column=FILE_COLUMN,
                )
                writer.writerow([])
                continue
            archive.writestr(zip_entry(name), data)
            writer.writerow([name, *(_cell(values[column]) for column in columns)])
            report_progress("reading_rows", (row + 1) / total)
        archive.writestr(zip_entry(LABELS_FILE, zipfile.ZIP_DEFLATED), table.getvalue())


def _image(value: Any) -> tuple[bytes | None, str | None]:
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    return (data if isinstance(data, bytes) else None), (path if isinstance(path, str) else None)


def _name(given: Any, data: bytes, row: int, digits: int) -> str:
    if isinstance(given, str) and PurePosixPath(given).suffix.lower() in IMAGE_SUFFIXES:
        return given
    try:
        suffix = SUFFIXES[read_header(data).media_type]
    except InvalidInput:
        suffix = ".png"  # no image; the check of images says so, by this row
    return f"{given}{suffix}" if isinstance(given, str) and given else f"{row + 2:0{digits}d}{suffix}"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)[: MAX_CELL_CHARACTERS + 1]  # one too many is refused where the table is read, by its row
