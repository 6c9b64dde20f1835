"""Grids: which pictures a traversal shows."""

from typing import Any

import pytest

from heddle_adapters.adapter import Adapter
from heddle_api.edge.grid import MAX_PICTURES, grid_edits, parse_grid
from heddle_platform.errors import InvalidInput
from tests.api.edge.edge_world import fit_kinds


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return fit_kinds()


def values(adapter: Adapter, factor: str, **more: Any) -> list[Any]:
    request = parse_grid({"adapter": "kinds", "factor": factor, **more})
    return [edit.set[factor] for edit in grid_edits(adapter, request)]


def test_levels_come_as_they_are_declared(adapter: Adapter) -> None:
    assert values(adapter, "smile") == [False, True]
    assert values(adapter, "hat") == ["none", "cap", "fez"]
    assert values(adapter, "size", steps=50) == ["s", "m", "l", "xl"]


def test_numbers_go_evenly_through_the_usable_range(adapter: Adapter) -> None:
    low, high = adapter.usable_F2[adapter.positions["age"]]
    found = values(adapter, "age", steps=5)
    assert len(found) == 5
    assert found == sorted(found)
    step = (high - low) / 4
    spread = adapter.codings[adapter.positions["age"]].spread / 64
    assert all(value == pytest.approx(low + place * step, abs=spread) for place, value in enumerate(found))


def test_a_circle_is_gone_round_once(adapter: Adapter) -> None:
    found = values(adapter, "hue", steps=4)
    assert found == pytest.approx([0.0, 90.0, 180.0, 270.0], abs=1.0)


def test_preserve_and_detail_are_those_of_an_edit(adapter: Adapter) -> None:
    request = parse_grid({"adapter": "kinds", "factor": "hat", "preserve": ["smile"], "detail": "decode"})
    assert {(edit.preserve, edit.detail) for edit in grid_edits(adapter, request)} == {(("smile",), "decode")}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"adapter": "kinds"}, "/factor"),
        ({"adapter": "kinds", "factor": "hat", "steps": MAX_PICTURES + 1}, "/steps"),
        ({"adapter": "kinds", "factor": "hat", "levels": 3}, "/levels"),
        ("kinds", ""),
    ],
)
def test_faults_are_pointed_at(document: Any, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_grid(document)
    assert caught.value.code == "invalid_grid"
    assert [fault.pointer for fault in caught.value.details] == [pointer]


@pytest.mark.parametrize(("factor", "code"), [("nose", "unknown_factor"), ("hat", "factor_refused")])
def test_a_factor_that_cannot_be_edited_has_no_grid(adapter: Adapter, factor: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        values(adapter.with_refused(["hat"]), factor)
    assert caught.value.code == code
