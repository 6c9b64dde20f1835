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


def parquet_rows(file: BinaryIO, image_column: str, where: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Read one Parquet file a few rows at a time.

    Args:
        file: the file, at any place.
        image_column: a column there must be.
        where: names the file in errors.

    Yields:
        Row, how many there are, and the row's values by column.

    Raises:
        InvalidInput: codes `damaged_shard`, `missing_column`.
        TooLarge: a row group would fill the memory.
    """
    try:
        with pq.ParquetFile(
            file,
            memory_map=False,
            pre_buffer=False,
            thrift_string_size_limit=_FOOTER_MAX_BYTES,
            thrift_container_size_limit=_FOOTER_MAX_BYTES // 64,
        ) as table:
            total = max(1, table.metadata.num_rows)
            for row, values in _rows(table, image_column, where):
                yield row, total, values
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(
            f"{where} is not a readable Parquet file ({str(error)[:100]}); write it again", code="damaged_shard"
        ) from error


def _rows(table: pq.ParquetFile, image_column: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    names = table.schema_arrow.names
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
    for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
        for values in batch.to_pylist():
            yield row, values
            row += 1


def _image(value: Any, column: str, row: int, where: str) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InvalidInput(
            f"{where}: row {row}, column {column!r} holds {type(data).__name__}, an image file's bytes are read",
            code="missing_image",
            param=column,
        )
    return data
