"""Cache keys: equal for equal results, different for anything that decides the bytes."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import check_request, edit_latents
from heddle_api.edge.cache_key import canonical_edit, edit_text, edited_key, latent_key, upload_key
from heddle_platform.edits import EditRequest
from tests.api.edge.edge_world import fit_kinds


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return fit_kinds()


def canonical(adapter: Adapter, **edit: Any) -> EditRequest:
    request = EditRequest(adapter="kinds", **edit)
    check_request(adapter, request)
    result = canonical_edit(adapter, request)
    check_request(adapter, result)
    return result


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"set": {"smile": True}}, {"set": {"smile": "yes"}}),
        ({"set": {"smile": 0}}, {"set": {"smile": "off"}}),
        ({"set": {"hat": " fez "}}, {"set": {"hat": "fez"}}),
        ({"set": {"age": 30.0}}, {"set": {"age": 30.0001}}),
        ({"set": {"hue": 10.0}}, {"set": {"hue": 370.0}}),
        ({"shift": {"age": -0.0}}, {"shift": {"age": 0.0001}}),
        ({"shift": {"size": 1.0}}, {"shift": {"size": 1.001}}),
        ({"preserve": ["hat", "age", "hat"]}, {"preserve": ["age", "hat"]}),
        ({"set": {"hat": "cap", "smile": True}}, {"set": {"smile": True, "hat": "cap"}}),
    ],
)
def test_the_same_meant_is_the_same_spelt(adapter: Adapter, one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = canonical(adapter, **one), canonical(adapter, **other)
    assert first.model_dump_json() == second.model_dump_json()
    assert key(edit=first) == key(edit=second)


def test_the_spelling_is_its_own_spelling(adapter: Adapter) -> None:
    edit = canonical(adapter, set={"age": 41.7, "hue": 123.4}, shift={"size": 0.7}, preserve=["smile"])
    assert canonical_edit(adapter, edit) == edit


def test_auto_is_spelt_as_the_mode_it_means(adapter: Adapter) -> None:
    preserving = adapter.with_detail({"hat": "preserve"})
    assert canonical(preserving, set={"hat": "fez"}) == canonical(preserving, set={"hat": "fez"}, detail="preserve")
    drawing = adapter.with_detail({"hat": "decode"})
    assert canonical(drawing, set={"hat": "fez"}) == canonical(drawing, set={"hat": "fez"}, detail="decode")


@pytest.mark.parametrize("end", [0.0, 90.0])
def test_rounding_never_leaves_the_declared_range(adapter: Adapter, end: float) -> None:
    assert canonical(adapter, set={"age": end}).set["age"] == pytest.approx(end, abs=1)


def test_rounding_is_finer_than_what_is_computed(adapter: Adapter) -> None:
    latents_1L = np.zeros((1, 16), np.float32)
    for wanted in np.linspace(3.0, 80.0, 40):
        exact = EditRequest(adapter="kinds", set={"age": float(wanted)})
        moved = [edit_latents(adapter, latents_1L, [edit]).delta_BL for edit in (exact, canonical_edit(adapter, exact))]
        spread = float(np.linalg.norm(adapter.write_PL[adapter.column_slices[3]]))
        assert np.linalg.norm(moved[0] - moved[1]) <= 2 / 64 * spread * float(adapter.gain_F[3])


def key(**changes: Any) -> str:
    parts: dict[str, Any] = {
        "tenant_id": "ten_a",
        "epoch": 1,
        "base_digest": "b",
        "adapter_digest": "a",
        "image_digest": "i",
        "edit": EditRequest(adapter="x", set={"hat": "fez"}),
        "media_type": "image/png",
    } | changes
    tenant_id, epoch, edit = (parts.pop(name) for name in ("tenant_id", "epoch", "edit"))
    return edited_key(tenant_id, epoch, edit=edit_text(edit), **parts)


def test_anything_that_decides_the_bytes_changes_the_key() -> None:
    keys = [
        key(),
        key(tenant_id="ten_b"),
        key(epoch=2),
        key(base_digest="b2"),
        key(adapter_digest="a2"),
        key(image_digest="i2"),
        key(media_type="image/jpeg"),
        key(edit=EditRequest(adapter="x", set={"hat": "cap"})),
        key(edit=EditRequest(adapter="x", set={"hat": "fez"}, preserve=("age",))),
        key(edit=EditRequest(adapter="x", set={"hat": "fez"}, detail="decode")),
        key(edit=EditRequest(adapter="x", shift={"hat": 1})),
        latent_key("ten_a", 1, "b", "i"),
        latent_key("ten_a", 2, "b", "i"),
        upload_key("ten_a", 1, "img_1"),
    ]
    assert all(one != other for one, other in combinations(keys, 2))


def test_the_name_behind_an_adapter_does_not_change_the_key() -> None:
    fez = {"hat": "fez"}
    one, other = EditRequest(adapter="x@production", set=fez), EditRequest(adapter="x@3", set=fez)
    assert key(edit=one) == key(edit=other)
