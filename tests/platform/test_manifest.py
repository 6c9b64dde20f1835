"""The manifest of a labelled set: one spelling, there and back, and read with the factor set at hand."""

import numpy as np
import pytest

from heddle_platform.errors import DataCorrupt, InvalidInput
from heddle_platform.factors import parse_factor_set
from heddle_platform.manifest import Manifest, ManifestImage

FACTORS = parse_factor_set(
    {
        "name": "avatars",
        "factors": [
            {"name": "hat", "kind": "categorical", "levels": ["none", "cap"]},
            {"name": "hue", "kind": "periodic", "period": 360},
        ],
    }
)
MANIFEST = Manifest(
    images="ab" * 32,
    rows=(
        ManifestImage(file="a.png", sha256="1" * 64, labels={"hat": "cap", "hue": "370"}),
        ManifestImage(file="b.png", sha256="2" * 64),
    ),
    unlabelled=(ManifestImage(file="c.png", sha256="3" * 64),),
)


def test_it_comes_back_as_it_was_and_has_one_spelling() -> None:
    data = MANIFEST.to_bytes()
    assert Manifest.from_bytes(data) == MANIFEST
    assert Manifest.from_bytes(data).to_bytes() == data
    assert MANIFEST.files == ("a.png", "b.png", "c.png")


def test_cells_are_read_with_the_factor_set_at_hand() -> None:
    table = MANIFEST.table(FACTORS)
    assert table.files == ("a.png", "b.png")
    np.testing.assert_array_equal(table.values_NF, [[1, 10], [np.nan, np.nan]])


def test_a_cell_of_another_version_is_named() -> None:
    other = parse_factor_set(
        {"name": "avatars", "factors": [{"name": "hat", "kind": "categorical", "levels": ["none", "bow"]}]}
    )
    with pytest.raises(InvalidInput, match=r"a\.png.*cap") as caught:
        MANIFEST.table(other)
    assert (caught.value.code, caught.value.param) == ("labels_do_not_fit", "hat")


@pytest.mark.parametrize("data", [b"", b"{}", MANIFEST.to_bytes()[:-2], MANIFEST.to_bytes().replace(b":1,", b":2,", 1)])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DataCorrupt) as caught:
        Manifest.from_bytes(data)
    assert caught.value.code == "manifest_corrupt"


def test_weights_are_cells_and_one_where_the_cell_is_empty() -> None:
    assert MANIFEST.table(FACTORS).weight_N is None
    first, second = MANIFEST.rows
    weighted = MANIFEST.model_copy(
        update={"rows": (first.model_copy(update={"labels": {**first.labels, "weight": "2.5"}}), second)}
    )
    again = Manifest.from_bytes(weighted.to_bytes())
    assert again.table(FACTORS).weight_N == pytest.approx([2.5, 1.0])
    np.testing.assert_array_equal(again.table(FACTORS).values_NF, MANIFEST.table(FACTORS).values_NF)
    broken = MANIFEST.model_copy(update={"rows": (first.model_copy(update={"labels": {"weight": "-1"}}), second)})
    with pytest.raises(InvalidInput, match=r"a\.png.*-1") as caught:
        broken.table(FACTORS)
    assert (caught.value.code, caught.value.param) == ("labels_do_not_fit", "weight")
