"""Other labels: whether a set labelled with one factor set can be read with another, told from its report alone.

The report of a validation counts the labels of every level and tells the range of every number, so that a job that
could not read them is refused when it is asked for. What a report does not tell (it is not there yet) shows where the
cells are read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heddle_platform.errors import Detail, InvalidInput
from heddle_platform.factors import FactorSet

_CODE = "labels_do_not_fit"


def check_readable(report: Mapping[str, Any] | None, factor_set: FactorSet, *, every_column: bool) -> None:
    """Refuse labels that a factor set cannot read.

    Args:
        report: of the set's validation; None: there is none yet.
        factor_set: what they would be read with.
        every_column: whether a labelled column that is no factor is refused, too, and not left aside.

    Raises:
        InvalidInput: code `labels_do_not_fit`; each of its details names a column.
    """
    faults = [
        Detail(pointer=f"/labels.csv/{column}", code=code, detail=sentence, column=column)
        for column, code, sentence in _faults(report or {}, factor_set, every_column)
    ]
    if faults:
        raise InvalidInput(
            f"the labels cannot be read with factor set {factor_set.name!r}: {faults[0].detail}",
            code=_CODE,
            param="dataset",
            details=faults,
        )


def check_columns(columns: set[str], factor_set: FactorSet) -> None:
    """Refuse columns that are no factors.

    Raises:
        InvalidInput: code `labels_do_not_fit`, `param` names the first column.
    """
    if unknown := sorted(columns - set(factor_set.names)):
        raise InvalidInput(_unknown(unknown[0], factor_set), code=_CODE, param=unknown[0])


def unlabelled_factors(report: Mapping[str, Any] | None, factor_set: FactorSet) -> list[str]:
    """Return the factors that no image is labelled for; none where there is no report yet."""
    if report is None or "levels" not in report:
        return []
    labelled = {column for column, _ in _labels(report)}
    return [name for name in factor_set.names if name not in labelled]


def _faults(report: Mapping[str, Any], factor_set: FactorSet, every_column: bool) -> Iterator[tuple[str, str, str]]:
    factors = dict(zip(factor_set.names, factor_set.factors, strict=True))
    told: set[str] = set()
    for column, label in _labels(report):
        if column in told:
            continue
        if column not in factors:
            told.add(column)
            if every_column:
                yield column, "unknown_factor", _unknown(column, factor_set)
            continue
        try:
            factors[column].parse(label)
        except ValueError as error:
            told.add(column)
            yield column, "unknown_level", f"column {column!r}: {error}"


def _unknown(column: str, factor_set: FactorSet) -> str:
    return f"column {column!r} is no factor; the factors are: {', '.join(factor_set.names[:20])}"


def _labels(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield columns with labels that stand in them, as they would be written."""
    for column, counts in report.get("levels", {}).items():
        yield from ((column, level) for level, count in counts.items() if count)
    for column, found in report.get("ranges", {}).items():
        yield from ((column, repr(found[end])) for end in ("low", "high"))
