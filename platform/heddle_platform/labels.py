"""Labels: the table behind a labelled set, parsed from `labels.csv` with every fault named by row and column."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import Detail, InvalidInput
from heddle_platform.factors import FactorSet, FactorSpec, LevelledFactor

MAX_DETAILS = 200  # a report longer than this helps nobody; the count of all faults is always given
MAX_CELL_CHARACTERS = 1_000
WEIGHT_COLUMN = "weight"  # how often an image counts in a fit; no factor may have that name
LEAST_WEIGHT, MOST_WEIGHT = 1e-12, 1e12


@dataclass(frozen=True)
class LabelTable:
    """Labels of N images for F factors.

    Attributes:
        files: N file names inside the upload, distinct.
        values_NF: float64; level index for levelled factors, value in the factor's unit otherwise, NaN where
            the label is missing.
        lines: line of `labels.csv` each row stands in (header = 1); empty where the table was not read from one.
        cells: what stood there, factor or `weight` -> text, empty cells left out; likewise.
        weight_N: how often each image counts; None where the table has no weights.
    """

    files: tuple[str, ...]
    values_NF: NDArray[np.float64]
    lines: tuple[int, ...] = ()
    cells: tuple[Mapping[str, str], ...] = ()
    weight_N: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.values_NF.ndim != 2 or self.values_NF.shape[0] != len(self.files):
            raise InvalidInput(
                f"labels have {self.values_NF.shape[0]} rows, images {len(self.files)}; they must be equal",
                code="row_count_mismatch",
            )


class FaultReport:
    """Collects faults, keeping the first `MAX_DETAILS` and counting all."""

    def __init__(self) -> None:
        self.details: list[Detail] = []
        self.count = 0

    def add(
        self, code: str, detail: str, *, row: int | None = None, column: str | None = None, file: str | None = None
    ) -> None:
        """Note one fault: `row` is the line of labels.csv, header = 1; `file` an entry of the upload no row names."""
        self.count += 1
        if len(self.details) < MAX_DETAILS:
            if file is not None:
                pointer = "/files/" + file[:200].replace("~", "~0").replace("/", "~1")  # RFC 6901
            else:
                pointer = "/labels.csv" + (f"/{row}" if row is not None else "") + (f"/{column}" if column else "")
            self.details.append(Detail(pointer=pointer, code=code, detail=detail, row=row, column=column))

    def raise_if_any(self, what: str) -> None:
        """Raise InvalidInput (code of the first fault) if anything was noted."""
        if self.count:
            first = self.details[0]
            place = f"row {first.row}, " if first.row is not None else ""
            place += f"column {first.column!r}" if first.column else ""
            place = place.rstrip(", ")
            raise InvalidInput(
                f"{what} has {self.count} fault(s); the first{', at ' + place if place else ''}: {first.detail}",
                code=first.code,
                param=first.column,
                details=self.details,
            )


def parse_labels(data: bytes, factor_set: FactorSet) -> LabelTable:
    """Parse a `labels.csv`: a column `file`, then one column per factor by name; empty cell = missing label.

    A column `weight` may say how often each image counts, a number from 1e-12 to 1e12; an empty cell there is 1.

    Args:
        data: the file's bytes, UTF-8 with or without a byte-order mark.
        factor_set: the factors the columns must match.

    Returns:
        The table, in the file's row order.

    Raises:
        InvalidInput: with one detail per fault, row (header = 1) and column named.
    """
    report = FaultReport()
    table = check_labels(data, factor_set, report)
    report.raise_if_any("labels.csv")
    if table is None:
        raise AssertionError("a table is missing only where a fault was noted")
    return table


def check_labels(data: bytes, factor_set: FactorSet, report: FaultReport) -> LabelTable | None:
    """Parse as `parse_labels` does, but note the faults, so that those of the images can stand beside them.

    Args:
        data: the file's bytes.
        factor_set: the factors the columns must match.
        report: takes the faults.

    Returns:
        The rows that name a file, NaN where a cell is wrong; None where the columns cannot be told.

    Raises:
        InvalidInput: the bytes are not CSV text at all.
    """
    before = report.count
    header, rows = read_csv(data)
    columns = _match_columns(header, factor_set, report)
    if report.count > before:
        return None
    files: list[str] = []
    lines: list[int] = []
    texts: list[Mapping[str, str]] = []
    kept: list[list[float]] = []
    weights: list[float] = []
    named = (*factor_set.names, *((WEIGHT_COLUMN,) if WEIGHT_COLUMN in columns else ()))
    seen: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            report.add("wrong_cell_count", f"this row has {len(cells)} cells, the header {len(header)}", row=line)
            continue
        name = cells[columns["file"]].strip()
        if not name:
            report.add("missing_file_name", "the cell is empty; name an image of the upload", row=line, column="file")
        elif name in seen:
            sentence = f"{name[:100]!r} stands in row {seen[name]} already"
            report.add("duplicate_file", sentence, row=line, column="file")
        labels = {name: cells[columns[name]].strip() for name in named}
        values = [_value(labels[factor.name], factor, line, report) for factor in factor_set.factors]
        weight = _weight(labels.get(WEIGHT_COLUMN, ""), line, report)
        if name and name not in seen:
            seen[name] = line
            files.append(name)
            lines.append(line)
            texts.append({factor: text for factor, text in labels.items() if text})
            kept.append(values)
            weights.append(weight)
    if not rows:
        report.add("no_rows", "there is no row below the header; label at least one image")
    values_NF = np.array(kept, dtype=np.float64).reshape(len(files), len(factor_set.factors))
    weight_N = np.array(weights, dtype=np.float64) if WEIGHT_COLUMN in columns else None
    table = LabelTable(tuple(files), values_NF, tuple(lines), tuple(texts), weight_N)
    if report.count == before:  # a cell that cannot be read would make its class look empty
        _check_classes(table, factor_set, report)
    return table


def _value(text: str, factor: FactorSpec, line: int, report: FaultReport) -> float:
    if not text:
        return np.nan
    try:
        return factor.parse(text)
    except ValueError as error:
        code = "unknown_level" if isinstance(factor, LevelledFactor) else "invalid_value"
        report.add(code, str(error), row=line, column=factor.name)
        return np.nan


def parse_weight(text: str) -> float:
    """Return the weight that a cell says, 1 where it is empty.

    Raises:
        ValueError: it is no number from 1e-12 to 1e12, with a sentence.
    """
    try:
        weight = float(text) if text else 1.0
    except ValueError:
        weight = np.nan
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise ValueError(
            f"the weight is {text[:60]!r}, it must be a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}; remove a row "
            "that shall not count"
        )
    return weight


def _weight(text: str, line: int, report: FaultReport) -> float:
    try:
        return parse_weight(text)
    except ValueError as error:
        report.add("invalid_weight", str(error), row=line, column=WEIGHT_COLUMN)
        return 1.0


def read_csv(data: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read CSV text whatever its columns mean.

    Args:
        data: UTF-8 with or without a byte-order mark.

    Returns:
        The header's cells, and (line, cells) of every row below it that is not empty.

    Raises:
        InvalidInput: codes `not_utf8`, `not_text`, `malformed_csv`, `empty_csv`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"labels.csv is not UTF-8 (byte {error.start} of {len(data)}); save it as UTF-8",
            code="not_utf8",
            param="labels.csv",
        ) from None
    if "\x00" in text:
        raise InvalidInput(
            "labels.csv holds a NUL character; save it as plain text", code="not_text", param="labels.csv"
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells):
                raise csv.Error(f"a cell is longer than {MAX_CELL_CHARACTERS} characters")
            if header is None:
                header = [cell.strip() for cell in cells]
            else:
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        row = reader.line_num
        raise InvalidInput(
            f"labels.csv cannot be read at row {row}: {error}",
            code="malformed_csv",
            param="labels.csv",
            details=[Detail(f"/labels.csv/{row}", "malformed_csv", str(error), row=row)],
        ) from None
    if header is None:
        raise InvalidInput(
            "labels.csv is empty; its first row must name the columns", code="empty_csv", param="labels.csv"
        )
    return header, rows


def _match_columns(header: Sequence[str], factor_set: FactorSet, report: FaultReport) -> dict[str, int]:
    wanted = ("file", *factor_set.names)
    columns: dict[str, int] = {}
    for position, name in enumerate(header):
        if name in columns:
            report.add("duplicate_column", f"the column {name[:60]!r} appears twice", row=1, column=name[:60])
        elif name not in wanted and name != WEIGHT_COLUMN:
            report.add(
                "unknown_column",
                f"{name[:60]!r} is not a factor of {factor_set.name!r}; its factors are: {', '.join(factor_set.names)}",
                row=1,
                column=name[:60],
            )
        columns.setdefault(name, position)
    for name in wanted:
        if name not in columns:
            report.add("missing_column", f"there is no column {name!r}", row=1, column=name)
    return columns


def _check_classes(table: LabelTable, factor_set: FactorSet, report: FaultReport) -> None:
    for position, factor in enumerate(factor_set.factors):
        column = table.values_NF[:, position]
        known = column[~np.isnan(column)]
        if not isinstance(factor, LevelledFactor):
            if len(np.unique(known)) < 2:
                report.add(
                    "constant_factor",
                    f"{factor.name!r} has {len(np.unique(known))} distinct value(s), at least 2 are needed",
                    column=factor.name,
                )
            continue
        counts = np.bincount(known.astype(int), minlength=len(factor.level_names))
        for level, count in zip(factor.level_names, counts, strict=True):
            if count == 0:
                report.add(
                    "empty_class",
                    f"level {level!r} of {factor.name!r} has 0 of {len(known)} labelled images, at least 1 is "
                    "needed; label some or register the set without that level",
                    column=factor.name,
                )
