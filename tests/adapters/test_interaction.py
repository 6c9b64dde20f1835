"""Edits of factors that interact: the direction follows the level read, or the target of the same request."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import onnxruntime
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import pack, unpack
from heddle_adapters.bank import AdapterBank
from heddle_adapters.change import design_change, interaction_change
from heddle_adapters.design import pseudo_counts
from heddle_adapters.edit import edit_latents
from heddle_adapters.export import all_writes, check_parity, to_onnx
from heddle_adapters.fit import fit_adapter
from heddle_adapters.interaction import Interaction, product_columns, product_penalty
from heddle_adapters.read import read
from heddle_platform.edits import EditRequest
from heddle_platform.errors import DataCorrupt

SHAPES = ("cube", "ball", "cone")


def request(**fields: Any) -> EditRequest:
    return EditRequest(adapter="things@production", **fields)


def truth(tenant: Any, lit: float, shape: int) -> Any:
    """Latents that "lit" and "shape" alone stand for, products included."""
    lit_P = np.array([lit - 0.5])
    shape_P = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])[shape]
    return np.concatenate([lit_P, shape_P, np.zeros(4), lit_P * shape_P]) @ tenant.effects_PL


@pytest.mark.parametrize("shape", range(3))
def test_the_direction_follows_the_level_read(entwined: Any, entwined_adapter: Adapter, shape: int) -> None:
    rows = np.flatnonzero((entwined.values_NF[:, 0] == 0) & (entwined.values_NF[:, 1] == shape))[:10]
    edited = edit_latents(entwined_adapter, entwined.latents_NL[rows], [request(set={"lit": True})] * len(rows))
    wanted = truth(entwined, 1, shape) - truth(entwined, 0, shape)
    assert edited.delta_BL == pytest.approx(np.tile(wanted, (len(rows), 1)), abs=0.2)
    # one direction for all shapes is far from it
    plain = edit_latents(entwined.fit(), entwined.latents_NL[rows], [request(set={"lit": True})] * len(rows))
    assert np.linalg.norm(plain.delta_BL[0] - wanted) > 1.0


@pytest.mark.parametrize(("lit", "shape"), list(product([True, False], range(3))))
def test_edited_together_the_target_decides(entwined: Any, entwined_adapter: Adapter, lit: bool, shape: int) -> None:
    latents = entwined.latents_NL[:30]
    edited = edit_latents(entwined_adapter, latents, [request(set={"lit": lit, "shape": SHAPES[shape]})] * 30)
    before = [truth(entwined, *entwined.values_NF[row, :2].astype(int)) for row in range(30)]
    assert edited.delta_BL == pytest.approx(truth(entwined, lit, shape) - np.stack(before), abs=0.4)


def test_the_other_factor_carries_the_look_along(entwined: Any, entwined_adapter: Adapter) -> None:
    rows = np.flatnonzero((entwined.values_NF[:, 0] == 1) & (entwined.values_NF[:, 1] == 0))[:5]
    edited = edit_latents(entwined_adapter, entwined.latents_NL[rows], [request(set={"shape": "ball"})] * len(rows))
    wanted = truth(entwined, 1, 1) - truth(entwined, 1, 0)
    assert edited.delta_BL == pytest.approx(np.tile(wanted, (len(rows), 1)), abs=0.2)


def test_gains_multiply_each_factors_own_step(entwined_adapter: Adapter) -> None:
    loud = entwined_adapter.with_gains({"lit": 2.0})
    values_F = np.array([0.0, 1.0, 0.0, 30.0, 10.0])
    assert interaction_change(loud, request(set={"lit": True}), values_F) == pytest.approx([0.0, 2.0])
    assert interaction_change(loud, request(set={"shape": "cube"}), values_F) == pytest.approx([-0.5, 0.5])
    assert interaction_change(loud, request(set={"age": 40.0}), values_F) == pytest.approx([0.0, 0.0])


def test_a_thin_cell_is_edited_by_the_additive_direction(entwined_adapter: Adapter) -> None:
    [pair] = entwined_adapter.interactions
    thin = replace(entwined_adapter, interactions=(replace(pair, thin=((1, 2),)),))
    at_cone, at_ball = np.array([0.0, 2.0, 0.0, 30.0, 10.0]), np.array([0.0, 1.0, 0.0, 30.0, 10.0])
    assert not interaction_change(thin, request(set={"lit": True}), at_cone).any()
    assert interaction_change(thin, request(set={"lit": True}), at_ball).any()
    assert design_change(thin, request(set={"lit": True}), at_cone)[0] == 1.0
    leaving = np.array([1.0, 2.0, 0.0, 30.0, 10.0])
    assert not interaction_change(thin, request(set={"shape": "cube"}), leaving).any()


def test_reads_are_the_same_with_interactions(entwined: Any, entwined_adapter: Adapter) -> None:
    plain = entwined.fit()
    assert np.array_equal(plain.read_LC, entwined_adapter.read_LC)
    assert np.array_equal(plain.temperature_F, entwined_adapter.temperature_F)
    values_BF = read(entwined_adapter, entwined.latents_NL).values_BF
    assert (values_BF[:, :2] == entwined.values_NF[:, :2]).mean() > 0.98


def test_artifacts_keep_interactions_and_old_ones_still_load(entwined_adapter: Adapter, adapter: Adapter) -> None:
    data = pack(entwined_adapter)
    again = unpack(data)
    assert again.interactions == entwined_adapter.interactions
    assert np.array_equal(again.interact_QL, entwined_adapter.interact_QL)
    assert pack(again) == data
    old = pack(adapter)
    assert b'"format":1' in old
    assert b"interact" not in old
    assert unpack(old).interactions == ()
    assert unpack(old).interact_QL.shape == (0, adapter.latents)


def test_product_rows_of_the_wrong_number_are_refused(entwined_adapter: Adapter) -> None:
    short = replace(entwined_adapter, interact_QL=np.zeros((1, 16), np.float32))
    with pytest.raises(DataCorrupt, match="interact_QL has shape"):
        unpack(pack(short))


def test_equal_input_gives_equal_bytes(entwine: Callable[..., Any]) -> None:
    pair = (Interaction(0, 1, 0.5, 0.1),)
    packed = [
        pack(fit_adapter(one.latents_NL, one.values_NF, one.factor_set, base_digest="b", interactions=pair))
        for one in (entwine(), entwine())
    ]
    assert packed[0] == packed[1]


def test_mixed_tenants_equal_one_by_one(entwined: Any, entwined_adapter: Adapter, adapter: Adapter) -> None:
    bank = AdapterBank(16)
    bank.add("plain", adapter)
    bank.add("first", entwined_adapter)
    bank.add("gone", entwined_adapter)
    bank.remove("gone")
    bank.add("second", entwined_adapter.with_gains({"lit": 1.5}))  # in the place of the one removed
    bank.add("third", entwined_adapter)
    names = ("plain", "first", "second", "third")
    wishes = [{"lit": True}, {"shape": "cone"}, {"lit": False, "shape": "ball"}]
    edits = [(names[row % 4], request(set=wishes[row % 3])) for row in range(24)]
    latents = entwined.latents_NL[:24].astype(np.float32)
    found = bank.edit(latents, edits)
    for row, (digest, one) in enumerate(edits):
        alone = edit_latents(bank.get(digest), latents[row : row + 1], [one])
        assert found.latents_BL[row] == pytest.approx(alone.latents_BL[0], abs=1e-5)


def test_the_graph_equals_the_adapter(entwined: Any, entwined_adapter: Adapter) -> None:
    session = onnxruntime.InferenceSession(to_onnx(entwined_adapter), providers=["CPUExecutionProvider"])

    def run(inputs: Any) -> Any:
        return dict(zip(("edited", "scores"), session.run(["edited", "scores"], inputs), strict=True))

    assert check_parity(entwined_adapter, run) <= 1e-5
    latent = entwined.latents_NL[:1].astype(np.float32)
    values_F = read(entwined_adapter, latent).values_BF[0]
    wish = request(set={"lit": not values_F[0]})
    delta = np.concatenate([change(entwined_adapter, wish, values_F) for change in (design_change, interaction_change)])
    found = run({"latent": latent, "delta": delta[None].astype(np.float32)})
    assert found["edited"] == pytest.approx(edit_latents(entwined_adapter, latent, [wish]).latents_BL, abs=1e-5)
    about = {entry.key: entry.value for entry in _props(to_onnx(entwined_adapter))}
    assert '"lit/0*shape/1"' in about["heddle.delta_columns"]
    assert len(all_writes(entwined_adapter)) == 9


def test_the_penalty_counts_imagined_images_in_every_cell(entwined_adapter: Adapter) -> None:
    codings = entwined_adapter.codings
    penalty_QQ = product_penalty(pseudo_counts(codings, 3.0), codings, 0, 1, 3.0)
    effect_Q = np.array([0.7, -0.2])
    cells = np.array([[lit, shape, 0, 0, 0] for lit in (0, 1) for shape in range(3)], dtype=float)
    design = np.hstack([coding.encode(cells[:, index]) for index, coding in enumerate(codings)])
    offsets = product_columns(np.repeat(design, 5, axis=0), np.repeat(cells, 5, axis=0), codings, 0, 1) @ effect_Q
    assert effect_Q @ penalty_QQ @ effect_Q == pytest.approx(3.0 * np.square(offsets[::5]).sum())


def _props(data: bytes) -> Any:
    import onnx

    return onnx.load_from_string(data).metadata_props
