"""Pressed adapters: a third of the memory, the same edits, and no adapter that pressing would change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import edit_latents
from heddle_adapters.fixed_point import pack_rows, packed_bytes, unpack_rows
from heddle_adapters.pressed import Pressed, press
from heddle_adapters.read import read
from heddle_platform.edits import EditRequest

KINDS: list[dict[str, Any]] = [
    {"set": {"shape": "cone"}},
    {"set": {"age": 40.0, "lit": True}},
    {"shift": {"size": -1, "hue": 30}},
]


def opened(adapter: Adapter) -> Adapter:
    pressed = press(adapter, {})
    assert isinstance(pressed, Pressed)
    return pressed.adapter()


def requests_of(rows: int, **more: Any) -> list[EditRequest]:
    return [EditRequest(adapter="a", **KINDS[row % 3], **more) for row in range(rows)]


@pytest.mark.parametrize("bits", [16, 18, 20, 24])
def test_packed_rows_are_off_by_less_than_they_say(bits: int) -> None:
    generator = np.random.default_rng(bits)
    values = generator.normal(size=(7, 13)) * 10.0 ** np.arange(-3, 4)[:, None]
    values[3] = 0.0
    data = pack_rows(values, bits)
    assert len(data) == packed_bytes(7, 13, bits)
    error = np.abs(unpack_rows(data, 7, 13, bits) - values).max(axis=1)
    largest = np.abs(values).max(axis=1)
    assert (error <= largest * (1.01 / 2**bits + 2e-7)).all()  # and what float32 rounds away
    assert not unpack_rows(data, 7, 13, bits)[3].any()


def test_edits_differ_by_less_than_a_hundred_thousandth(adapter: Adapter, tenant: Any) -> None:
    latents, requests = tenant.latents_NL[:60].astype(np.float32), requests_of(60)
    before, after = (edit_latents(one, latents, requests) for one in (adapter, opened(adapter)))
    assert np.abs(after.delta_BL - before.delta_BL).max() < 1e-5
    assert after.extrapolation_B == pytest.approx(before.extrapolation_B, rel=1e-3)
    assert after.detail == before.detail


def test_readings_stay(adapter: Adapter, tenant: Any) -> None:
    latents = tenant.latents_NL[:60].astype(np.float32)
    before, after = read(adapter, latents), read(opened(adapter), latents)
    for name in adapter.factor_set.names:
        assert after[name].confidence == pytest.approx(before[name].confidence, abs=1e-4)
        found, known = after[name].levels, before[name].levels
        if known is not None:
            assert found is not None
            assert np.array_equal(found, known)


def test_what_is_preserved_is_held_as_still_as_before(adapter: Adapter, tenant: Any) -> None:
    latents = tenant.latents_NL[:30].astype(np.float32)
    requests = [EditRequest(adapter="a", set={"shape": "cone"}, preserve=("size", "lit"))] * 30
    before, after = (edit_latents(one, latents, requests) for one in (adapter, opened(adapter)))
    assert np.abs(after.delta_BL - before.delta_BL).max() < 1e-3
    kept = [adapter.factor_set.names.index(name) for name in ("size", "lit")]
    plain_BF, held_BF, pressed_BF = (
        read(adapter, some).values_BF[:, kept] for some in (latents, before.latents_BL, after.latents_BL)
    )
    assert np.abs(pressed_BF - held_BF).max() < 1e-3
    assert np.abs(pressed_BF - plain_BF).max() <= np.abs(held_BF - plain_BF).max() + 1e-3


def test_all_else_comes_back_as_it_was(adapter: Adapter) -> None:
    changed = replace(adapter.with_refused(["shape"]), radius=7.25, ridge=0.5).with_gains({"lit": 1.5})
    back = opened(changed)
    for name in ("factor_set", "base_digest", "codings", "detail", "refused", "radius", "write_kind", "read_kinds"):
        assert getattr(back, name) == getattr(changed, name), name
    for name in ("temperature_F", "gain_F", "live_L", "usable_F2", "mean_L"):
        assert np.array_equal(getattr(back, name), getattr(changed, name)), name
    assert (back.ridge, back.residual_share) == (changed.ridge, changed.residual_share)


def test_pressing_is_the_same_every_time_and_shares_what_is_common(adapter: Adapter) -> None:
    heads: dict[bytes, bytes] = {}
    one, two = press(adapter, heads), press(replace(adapter, radius=9.0), heads)
    assert isinstance(one, Pressed)
    assert isinstance(two, Pressed)
    assert one.head is two.head
    assert len(heads) == 1
    assert np.array_equal(one.adapter().write_PL, opened(adapter).write_PL)


def test_it_is_a_third_of_the_arrays(adapter: Adapter, draw_tenant: Callable[..., Any]) -> None:
    arrays = [getattr(adapter, name) for name in ("read_LC", "write_PL", "spread_CL", "whiten_LL")]
    pressed = press(adapter, {})
    assert isinstance(pressed, Pressed)
    assert pressed.nbytes < 0.5 * sum(array.nbytes for array in arrays)


def test_an_adapter_of_another_make_is_left_alone(adapter: Adapter) -> None:
    turned = replace(adapter, whiten_LL=np.roll(adapter.whiten_LL, 3, axis=1))
    assert press(turned, {}) is turned
    other = replace(adapter, spread_CL=adapter.spread_CL[::-1].copy())
    assert press(other, {}) is other


def test_interactions_come_back(entwined_adapter: Adapter) -> None:
    back = opened(entwined_adapter)
    assert back.interactions == entwined_adapter.interactions
    assert np.abs(back.interact_QL - entwined_adapter.interact_QL).max() < 1e-5
