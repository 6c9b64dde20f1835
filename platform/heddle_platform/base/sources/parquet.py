"""Reading Parquet files: a column of image files' bytes, and label columns beside it, a few rows at a time."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from heddle_platform.base.sources.place import Entry, Place
from heddle_platform.base.sources.sample import Sample
from heddle_platform.errors import InvalidInput, TooLarge

MARK: Final = b"PAR1"  # a Parquet file begins and ends with it
_ROWS_AT_ONCE: Final = 64
_BUFFER_BYTES: Final = 1024**2  # without one, the column of a row group is read whole
_ROW_GROUP_MAX_BYTES: Final = 1024**3
_FOOTER_MAX_BYTES: Final = 64 * 1024**2  # a forged footer must not fill the memory


def read_parquet(place: Place, files: tuple[Entry, ...], image_column: str) -> Iterator[Sample]:
    """Read Parquet files in the order of their names.

    Args:
        place: where they lie.
        files: which they are.
        image_column: holds an image file's bytes, or a struct with a field `bytes` (as Hugging Face writes images).

    Raises:
        InvalidInput: a file is damaged, has no such column, or a row no image.
        TooLarge: a row group would fill the memory.
    """
    for index, entry in enumerate(files):
        where = f"{place}: {entry.name}"
        with place.open(entry.name) as file:
            for row, total, values in parquet_rows(file, image_column, where):
                image = _image(values.pop(image_column), image_column, row, where)
                share = (index + (row + 1) / total) / len(files)
                yield Sample(f"{where}: row {row}", image, share, values)


def parquet_rows(
    file: BinaryIO, image_column: str, where: str, *, rows_at_once: int = _ROWS_AT_ONCE
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Read one Parquet file a few rows at a time.

    Args:
        file: the file, at any place.
        image_column: a column there must be.
        where: names the file in errors.
        rows_at_once: how many are in memory. Rows that say the same share one value in the file and not here, so that
            of a stranger's file it is 1, which takes 20 us a row more.

    Yields:
        Row, how many there are said to be, and the row's values by column.

    Raises:
        InvalidInput: codes `damaged_shard`, `missing_column`, `duplicate_column`.
        TooLarge: a row group would fill the memory.
    """
    try:
        with pq.ParquetFile(
            file,
            memory_map=False,
            pre_buffer=False,
            buffer_size=_BUFFER_BYTES,
            thrift_string_size_limit=_FOOTER_MAX_BYTES,
            thrift_container_size_limit=_FOOTER_MAX_BYTES // 64,
        ) as table:
            total = max(1, table.metadata.num_rows)
            for row, values in _rows(table, image_column, where, rows_at_once):
                yield row, total, values
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{where} is not a readable Parquet file ({str(error)[:100]}); write it again", code="damaged_shard"
        ) from error


def _rows(
    table: pq.ParquetFile, image_column: str, where: str, rows_at_once: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    names = table.schema_arrow.names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput(
            f"{where} has {names.count(twice)} columns {twice[:60]!r}, it must have one",
            code="duplicate_column",
            param=twice[:60],
        )
    if image_column not in names:
        raise InvalidInput(
            f"{where} has no column {image_column!r}; its columns are {', '.join(names)[:300]}: name the one with the "
            "images",
            code="missing_column",
            param=image_column,
        )
    for group in range(table.num_row_groups):
        if (size := table.metadata.row_group(group).total_byte_size) > _ROW_GROUP_MAX_BYTES:
            raise TooLarge(
                f"{where}: row group {group} has {size} bytes, at most {_ROW_GROUP_MAX_BYTES} are read at once; write "
                "the file with smaller row groups",
                code="file_too_large",
            )
    row = 0
    for batch in table.iter_batches(batch_size=rows_at_once, use_threads=False):
        for values in _values(batch, row, where):
            yield row, values
            row += 1


def _values(batch: pa.RecordBatch, row: int, where: str) -> list[dict[str, Any]]:
    try:
        values: list[dict[str, Any]] = batch.to_pylist()
    except (ValueError, OverflowError) as error:  # text that is no UTF-8, a date behind the end of the calendar
        raise InvalidInput(
            f"{where} holds what cannot be read ({str(error)[:100]}), at or behind row {row}; write it again",
            code="damaged_shard",
        ) from error
    return values


def _image(value: Any, column: str, row: int, where: str) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InvalidInput(
            f"{where}: row {row}, column {column!r} holds {type(data).__name__}, an image file's bytes are read",
            code="missing_image",
            param=column,
        )
    return data
