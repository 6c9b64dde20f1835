"""Labels read with another factor set: what can be is let through, what cannot names its column."""

from contextlib import suppress
from typing import Any

import pytest

from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.other_labels import check_columns, check_readable, unlabelled_factors

REPORT: dict[str, Any] = {
    "levels": {"glasses": {"none": 3, "round": 2, "square": 0}, "smile": {"off": 1, "on": 4}},
    "ranges": {"age": {"low": 3.5, "high": 61.0, "mean": 30.0}},
}
GLASSES: dict[str, Any] = {"name": "glasses", "kind": "categorical", "levels": ["none", "round"]}
SMILE: dict[str, Any] = {"name": "smile", "kind": "binary"}
AGE: dict[str, Any] = {"name": "age", "kind": "continuous", "range": [0, 90]}


def factors(*some: dict[str, Any]) -> FactorSet:
    return parse_factor_set({"name": "others", "factors": list(some)})


def columns(*some: dict[str, Any], every_column: bool = True) -> list[str | None]:
    with suppress(InvalidInput):
        check_readable(REPORT, factors(*some), every_column=every_column)
        return []
    with pytest.raises(InvalidInput) as refused:
        check_readable(REPORT, factors(*some), every_column=every_column)
    assert (refused.value.code, refused.value.param) == ("labels_do_not_fit", "dataset")
    return [detail.column for detail in refused.value.details]


def test_what_no_label_says_needs_no_level() -> None:
    assert columns(GLASSES, SMILE, AGE) == []
    assert columns({**GLASSES, "levels": ["none", "oval"]}, SMILE, AGE) == ["glasses"]
    assert columns({"name": "glasses", "kind": "binary"}, SMILE, AGE) == ["glasses"]


def test_numbers_outside_a_range_cannot_be_read() -> None:
    assert columns(GLASSES, SMILE, {**AGE, "range": [0, 61]}) == []
    assert columns(GLASSES, SMILE, {**AGE, "range": [4, 90]}) == ["age"]
    assert columns(GLASSES, SMILE, {**AGE, "range": [0, 60]}) == ["age"]


def test_a_column_that_is_no_factor_is_refused_only_where_all_are_asked_for() -> None:
    assert columns(SMILE) == ["glasses", "age"]
    assert columns(SMILE, every_column=False) == []


def test_a_set_without_a_report_is_let_through() -> None:
    check_readable(None, factors(SMILE), every_column=True)
    assert unlabelled_factors(None, factors(SMILE)) == []


def test_factors_nobody_labelled_are_named() -> None:
    assert unlabelled_factors(REPORT, factors(GLASSES, SMILE, AGE)) == []
    assert unlabelled_factors(REPORT, factors(SMILE, {"name": "hat", "kind": "binary"})) == ["hat"]


def test_cells_of_an_unknown_column_are_refused_by_name() -> None:
    check_columns({"smile"}, factors(SMILE, AGE))
    with pytest.raises(InvalidInput) as refused:
        check_columns({"smile", "hat"}, factors(SMILE))
    assert (refused.value.code, refused.value.param) == ("labels_do_not_fit", "hat")
