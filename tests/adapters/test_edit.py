from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle_adapters.adapter import Adapter
from heddle_adapters.calibrate import angle_error
from heddle_adapters.change import (
    STRENGTH_STEPS,
    check_request,
    code_value,
    design_change,
    design_changes,
    interaction_change,
    interaction_changes,
)
from heddle_adapters.edit import detail_of, edit_latents
from heddle_adapters.read import read
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput


def request(**fields: Any) -> EditRequest:
    return EditRequest(adapter="things@production", **fields)


wanted = request  # where pytest's own `request` stands in the way


@pytest.mark.parametrize("shape", ["cube", "ball", "cone"])
def test_set_moves_every_picture_to_the_level(adapter: Adapter, tenant: Any, shape: str) -> None:
    edited = edit_latents(adapter, tenant.latents_NL[:50], [request(set={"shape": shape, "lit": True})] * 50)
    after = read(adapter, edited.latents_BL)
    assert (after["shape"].values == ("cube", "ball", "cone").index(shape)).all()
    assert (after["lit"].values == 1).mean() > 0.9
    # what was not asked for stays
    assert (after["size"].values == edited.readings_before["size"].values).mean() > 0.9
    assert edited.latents_BL == pytest.approx(tenant.latents_NL[:50].astype(np.float32) + edited.delta_BL)


def test_numbers_arrive_where_they_are_set(adapter: Adapter, tenant: Any) -> None:
    edited = edit_latents(adapter, tenant.latents_NL[:50], [request(set={"age": 60.0, "hue": 90.0})] * 50)
    after = read(adapter, edited.latents_BL)
    assert after["age"].values == pytest.approx(np.full(50, 60.0), abs=4)
    assert np.degrees(np.abs(angle_error(after["hue"].values, np.full(50, 90.0), 360.0))).max() < 25


def test_absolute_and_relative_edits_agree(adapter: Adapter, tenant: Any) -> None:
    latents = tenant.latents_NL[:1]
    before = read(adapter, latents)
    years = float(before["age"].values[0])
    target = 45.0 if abs(years - 45) > 5 else 30.0
    absolute = edit_latents(adapter, latents, [request(set={"age": target})])
    relative = edit_latents(adapter, latents, [request(shift={"age": target - years})])
    assert np.array_equal(absolute.latents_BL, relative.latents_BL)
    level = int(before["size"].values[0])
    step = 1 if level < 3 else -1
    name = ("s", "m", "l", "xl")[level + step]
    absolute = edit_latents(adapter, latents, [request(set={"size": name})])
    relative = edit_latents(adapter, latents, [request(shift={"size": step})])
    assert np.array_equal(absolute.latents_BL, relative.latents_BL)


@settings(max_examples=60, deadline=None)
@given(row=st.integers(0, 399), age=st.floats(1.0, 88.0), hue=st.floats(-720.0, 720.0), level=st.integers(0, 3))
@pytest.mark.parametrize("which", ["adapter", "entwined_adapter"])
def test_absolute_and_relative_edits_agree_from_everywhere(
    request: pytest.FixtureRequest, tenant: Any, which: str, row: int, age: float, hue: float, level: int
) -> None:
    one: Adapter = request.getfixturevalue(which)
    latents = tenant.latents_NL[row : row + 1]
    before = read(one, latents)
    was = {name: float(before[name].values[0]) for name in one.factor_set.names}
    absolute = wanted(set={"age": age, "hue": hue, "size": ("s", "m", "l", "xl")[level], "lit": level > 1})
    by = {
        "age": age - was["age"],
        "hue": hue - was["hue"],
        "size": level - was["size"],
        "lit": (level > 1) - was["lit"],
    }
    relative = wanted(shift=by)
    assert detail_of(one, absolute) == detail_of(one, relative)
    values_F = before.values_BF[0]
    steps_P = STRENGTH_STEPS * (design_change(one, absolute, values_F) - design_change(one, relative, values_F))
    steps_Q = STRENGTH_STEPS * (
        interaction_change(one, absolute, values_F) - interaction_change(one, relative, values_F)
    )
    # the same to rounding, which may fall to the other side of half a step
    assert np.abs(np.concatenate([steps_P, steps_Q])).max() <= 1.0
    assert np.count_nonzero(steps_P) <= 1


@pytest.mark.parametrize("which", ["adapter", "entwined_adapter"])
def test_changes_of_many_pictures_are_those_of_each_alone(
    request: pytest.FixtureRequest, tenant: Any, which: str
) -> None:
    one: Adapter = request.getfixturevalue(which)
    loud = one.with_gains({"age": 1.37, "shape": 1.1, "lit": 0.7})
    wishes = [
        wanted(set={"shape": "cone", "lit": True}),
        wanted(set={"age": 61.3, "hue": 12.0}),
        wanted(shift={"size": 0.6, "hue": 77.0}),
        wanted(set={"lit": False}, shift={"age": -200.0}),
    ]
    requests = [wishes[row % len(wishes)] for row in range(60)]
    values_BF = read(loud, tenant.latents_NL[:60]).values_BF
    for many, single in ((design_changes, design_change), (interaction_changes, interaction_change)):
        alone = [single(loud, asked, values_F) for asked, values_F in zip(requests, values_BF, strict=True)]
        np.testing.assert_array_equal(many(loud, requests, values_BF), np.stack(alone))


def test_setting_what_is_read_changes_nothing(adapter: Adapter, tenant: Any) -> None:
    latents = tenant.latents_NL[:1]
    shape = read(adapter, latents).as_json(0)["shape"]["value"]
    assert not edit_latents(adapter, latents, [request(set={"shape": shape})]).delta_BL.any()


def test_shifts_stop_at_the_usable_range(adapter: Adapter, tenant: Any) -> None:
    far, farther = (edit_latents(adapter, tenant.latents_NL[:1], [request(shift={"age": by})]) for by in (200.0, 900.0))
    assert np.array_equal(far.latents_BL, farther.latents_BL)
    low, high = adapter.usable_F2[3]
    assert 0 <= low < 5
    assert 85 < high <= 90


def test_a_full_turn_of_hue_changes_nothing(adapter: Adapter, tenant: Any) -> None:
    assert not edit_latents(adapter, tenant.latents_NL[:1], [request(shift={"hue": 360.0})]).delta_BL.any()


def test_strengths_are_whole_sixty_fourths(adapter: Adapter) -> None:
    louder = adapter.with_gains({"age": 1.37, "shape": 1.1})
    values_F = np.array([0.0, 1.0, 2.0, 33.3, 12.0])
    change_P = design_change(louder, request(set={"age": 71.2, "shape": "cube", "hue": 200.0}), values_F)
    assert np.array_equal(change_P * STRENGTH_STEPS, np.round(change_P * STRENGTH_STEPS))
    assert change_P[1] == np.round(1.1 * 64) / 64  # from ball (0, 1) to cube (1, 0), times the gain
    assert change_P[2] == -np.round(1.1 * 64) / 64


def test_gain_multiplies_the_change(adapter: Adapter, tenant: Any) -> None:
    one = edit_latents(adapter, tenant.latents_NL[:5], [request(set={"lit": True})] * 5)
    two = edit_latents(adapter.with_gains({"lit": 2.0}), tenant.latents_NL[:5], [request(set={"lit": True})] * 5)
    assert two.delta_BL == pytest.approx(2 * one.delta_BL)


def test_preserve_leaves_the_readings_of_other_factors_alone(adapter: Adapter, tenant: Any) -> None:
    latents = tenant.latents_NL[:20]
    plain = edit_latents(adapter, latents, [request(set={"shape": "cone"})] * 20)
    kept = edit_latents(adapter, latents, [request(set={"shape": "cone"}, preserve=["age", "size", "hue"])] * 20)
    before, after = read(adapter, latents), read(adapter, kept.latents_BL)
    assert after["age"].values == pytest.approx(before["age"].values, abs=1e-3)
    assert after["hue"].values == pytest.approx(before["hue"].values, abs=1e-3)
    assert np.array_equal(after["size"].values, before["size"].values)
    # the edit arrives as it would have, and is not much longer
    assert (after["shape"].values == 2).all()
    assert not np.allclose(plain.delta_BL, kept.delta_BL)
    assert (kept.extrapolation_B < 1.5 * plain.extrapolation_B).all()


def test_far_edits_are_flagged_as_extrapolation(adapter: Adapter, tenant: Any) -> None:
    own = edit_latents(adapter, tenant.latents_NL, [request(set={"lit": True})] * len(tenant.latents_NL))
    assert (own.extrapolation_B > 1).mean() < 0.2
    wild = adapter.with_gains({"lit": 40.0})
    dark = tenant.latents_NL[read(adapter, tenant.latents_NL)["lit"].values == 0]
    assert (edit_latents(wild, dark, [request(set={"lit": True})] * len(dark)).extrapolation_B > 1).all()


def test_detail_follows_the_card_unless_asked(adapter: Adapter) -> None:
    mixed = adapter.with_detail({"shape": "preserve", "age": "preserve"})
    assert detail_of(mixed, request(set={"shape": "cube"}, shift={"age": 1})) == "preserve"
    assert detail_of(mixed, request(set={"shape": "cube", "lit": True})) == "decode"
    assert detail_of(mixed, request(set={"lit": True}, detail="preserve")) == "preserve"


@pytest.mark.parametrize(
    ("fields", "code", "pointer", "words"),
    [
        ({"set": {"hat": "top"}}, "unknown_factor", "/set/hat", "lit, shape, size, age, hue"),
        ({"set": {"shape": "torus"}}, "unknown_level", "/set/shape", "cube, ball, cone"),
        ({"set": {"shape": True}}, "unknown_level", "/set/shape", "cube, ball, cone"),
        ({"set": {"lit": "maybe"}}, "unknown_level", "/set/lit", "true or false"),
        ({"set": {"lit": 7.0}}, "unknown_level", "/set/lit", "true or false"),
        ({"set": {"age": "old"}}, "invalid_value", "/set/age", "finite number"),
        ({"set": {"age": 91.0}}, "invalid_value", "/set/age", "0.0 to 90.0"),
        ({"shift": {"age": float("inf")}}, "invalid_value", "/shift/age", "finite"),
        ({"shift": {"shape": 1}}, "not_shiftable", "/shift/shape", "cube, ball, cone"),
        ({"set": {"lit": True}, "preserve": ["hat"]}, "unknown_factor", "/preserve/0", "lit, shape"),
        ({"set": {"size": "m"}}, "factor_refused", "/set/size", "lit, shape, age, hue"),
    ],
)
def test_faults_are_named(adapter: Adapter, fields: Any, code: str, pointer: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        check_request(adapter.with_refused(["size"]), request(**fields))
    assert (error.value.code, error.value.param) == (code, pointer)


def test_binary_takes_words_numbers_and_booleans(adapter: Adapter) -> None:
    for wanted in (True, "on", "yes", 1.0):
        assert design_change(adapter, request(set={"lit": wanted}), np.zeros(5))[0] == 1.0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("latents", "code"),
    [
        (np.full((2, 16), np.nan), "not_finite"),
        (np.full((2, 16), np.inf), "not_finite"),
        (np.zeros(16), "wrong_shape"),
        (np.zeros((2, 1, 16)), "wrong_shape"),
        (np.zeros((2, 15)), "latent_mismatch"),
    ],
)
def test_latents_that_are_none_are_refused(adapter: Adapter, latents: Any, code: str) -> None:
    for use in (lambda: read(adapter, latents), lambda: edit_latents(adapter, latents, [request()] * len(latents))):
        with pytest.raises(InvalidInput) as error:
            use()
        assert error.value.code == code


def test_no_picture_is_edited_to_none(adapter: Adapter, entwined_adapter: Adapter) -> None:
    for one in (adapter, entwined_adapter):
        assert edit_latents(one, np.zeros((0, 16)), []).latents_BL.shape == (0, 16)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["age", "size"])
def test_a_shift_beyond_all_numbers_stops_at_the_usable_range(adapter: Adapter, tenant: Any, name: str) -> None:
    far, farther = (edit_latents(adapter, tenant.latents_NL[:1], [request(shift={name: by})]) for by in (1e4, 1e308))
    assert np.array_equal(far.latents_BL, farther.latents_BL)


def test_one_request_per_latent(adapter: Adapter, tenant: Any) -> None:
    with pytest.raises(InvalidInput, match="1 edits for 2 latents"):
        edit_latents(adapter, tenant.latents_NL[:2], [request(set={"lit": True})])


def test_fractional_levels_lie_between_their_neighbours(adapter: Adapter) -> None:
    coding = adapter.codings[2]
    assert code_value(coding, 1.5) == pytest.approx((coding.table_KP[1] + coding.table_KP[2]) / 2)
    assert code_value(coding, 9.0) == pytest.approx(coding.table_KP[3])
