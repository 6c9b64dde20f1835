"""Factor sets and labels: what is accepted, and the exact place of every fault."""

from typing import Any

import numpy as np
import pytest

from heddle_platform.errors import InvalidInput
from heddle_platform.factors import parse_factor_set
from heddle_platform.labels import MAX_DETAILS, parse_labels

DOCUMENT: dict[str, Any] = {
    "name": "avatars",
    "factors": [
        {"name": "glasses", "kind": "categorical", "levels": ["none", "round", "square"], "accept": {"accuracy": 0.95}},
        {"name": "smile", "kind": "binary"},
        {"name": "age", "kind": "continuous", "range": [0, 90], "unit": "years"},
        {"name": "size", "kind": "ordinal", "levels": ["s", "m", "l"]},
        {"name": "hue", "kind": "periodic", "period": 360, "unit": "degrees"},
    ],
    "accept": {"mig": 0.5, "leakage_max": 0.2, "labels_min": 100},
}
HEADER = "file,glasses,smile,age,size,hue"
ROWS = ["a.png,none,0,10,s,370", "b.png,round,yes,20,m,-10", "c.png,square,,30.5,l,", "d.png,none,off,,,90"]


def labels(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def fault(data: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_labels(data, parse_factor_set(DOCUMENT))
    return caught.value


def test_the_document_of_the_design_is_accepted_and_comes_back_unchanged() -> None:
    factor_set = parse_factor_set(DOCUMENT)
    again = parse_factor_set(factor_set.document())
    assert again == factor_set
    assert again.names == ("glasses", "smile", "age", "size", "hue")


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"factors": [{"name": "a", "kind": "binary"}] * 2}, "/factors/1/name", "0 and 1 are both named 'a'"),
        ({"factors": []}, "/factors", "at least 1"),
        ({"factors": [{"name": "a", "kind": "colour"}]}, "/factors/0", "colour"),
        ({"factors": [{"name": "a", "kind": "categorical", "levels": ["x", "x"]}]}, "/factors/0", "'x' of 'a'"),
        ({"factors": [{"name": "a", "kind": "categorical", "levels": ["x"]}]}, "/factors/0/levels", "at least 2"),
        ({"factors": [{"name": "a", "kind": "continuous", "range": [9, 1]}]}, "/factors/0", "9.0 and 1.0"),
        ({"factors": [{"name": "a", "kind": "periodic", "period": 0}]}, "/factors/0/period", "greater than 0"),
        ({"factors": [{"name": "file", "kind": "binary"}]}, "/factors/0", "reserved"),
        ({"factors": [{"name": "../x", "kind": "binary"}]}, "/factors/0/name", "pattern"),
        ({"surprise": 1}, "/surprise", "not permitted"),
        ({"accept": {"mig": 2}}, "/accept/mig", "less than or equal to 1"),
    ],
)
def test_every_fault_of_a_factor_set_is_named_with_its_place(change: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_factor_set({**DOCUMENT, **change})
    places = {detail.pointer: detail.detail for detail in caught.value.details}
    assert any(place.startswith(pointer) and words in text for place, text in places.items()), places


def test_labels_become_numbers_and_empty_cells_missing() -> None:
    table = parse_labels(b"\xef\xbb\xbf" + labels(*ROWS), parse_factor_set(DOCUMENT))
    assert table.files == ("a.png", "b.png", "c.png", "d.png")
    nan = np.nan
    expected = [[0, 0, 10, 0, 10], [1, 1, 20, 1, 350], [2, nan, 30.5, 2, nan], [0, 0, nan, nan, 90]]
    np.testing.assert_array_equal(table.values_NF, expected)


@pytest.mark.parametrize(
    ("rows", "code", "row", "column"),
    [
        ([*ROWS, "e.png,oval,0,1,s,1"], "unknown_level", 6, "glasses"),
        ([*ROWS, "e.png,none,maybe,1,s,1"], "unknown_level", 6, "smile"),
        ([*ROWS, "e.png,none,0,91,s,1"], "invalid_value", 6, "age"),
        ([*ROWS, "e.png,none,0,nan,s,1"], "invalid_value", 6, "age"),
        ([*ROWS, "a.png,none,0,1,s,1"], "duplicate_file", 6, "file"),
        ([*ROWS, ",none,0,1,s,1"], "missing_file_name", 6, "file"),
        ([*ROWS, "e.png,none,0,1,s"], "wrong_cell_count", 6, None),
        (ROWS[:2], "empty_class", None, "glasses"),
        ([], "no_rows", None, None),
    ],
)
def test_every_fault_of_a_label_is_named_by_row_and_column(
    rows: list[str], code: str, row: int | None, column: str | None
) -> None:
    error = fault(labels(*rows))
    found = [(detail.code, detail.row, detail.column) for detail in error.details]
    assert (code, row, column) in found
    assert error.code == found[0][0]


def test_the_header_must_match_the_factors() -> None:
    error = fault(labels(*ROWS, header="file,glasses,smile,smile,weather,hue"))
    found = {(detail.code, detail.column) for detail in error.details}
    assert found == {
        ("duplicate_column", "smile"),
        ("unknown_column", "weather"),
        ("missing_column", "age"),
        ("missing_column", "size"),
    }


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_csv"), (b"file,\xff", "not_utf8"), (b"file\x00", "not_text"), (b'file\n"a', "malformed_csv")],
)
def test_what_is_not_a_table_is_refused(data: bytes, code: str) -> None:
    assert fault(data).code == code


def test_a_long_report_is_cut_and_still_counts_all() -> None:
    error = fault(labels(*(f"{index}.png,oval,0,1,s,1" for index in range(MAX_DETAILS + 50))))
    assert len(error.details) == MAX_DETAILS
    assert f"{MAX_DETAILS + 50} fault(s)" in error.message
