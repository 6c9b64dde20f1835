import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.change import design_change
from heddle_adapters.edit import edit_latents
from heddle_adapters.export import check_parity, checked, parity_cases, to_onnx
from heddle_adapters.read import read, softmax
from heddle_platform.edits import EditRequest
from heddle_platform.errors import DataCorrupt

Run = Callable[[dict[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]


@pytest.fixture(scope="module")
def run(adapter: Adapter) -> Run:
    session = onnxruntime.InferenceSession(to_onnx(adapter), providers=["CPUExecutionProvider"])
    return lambda inputs: dict(zip(("edited", "scores"), session.run(["edited", "scores"], inputs), strict=True))


def test_the_graph_equals_the_adapter_at_every_batch(adapter: Adapter, run: Run) -> None:
    assert [len(inputs["latent"]) for inputs, _ in parity_cases(adapter)] == [1, 2, 7, 64]
    assert check_parity(adapter, run) <= 1e-5


def test_the_graph_edits_and_reads_as_the_edge_does(adapter: Adapter, run: Run, tenant: Any) -> None:
    latent = tenant.latents_NL[:1].astype(np.float32)
    request = EditRequest(adapter="a", set={"shape": "cone", "age": 30.0})
    readings = read(adapter, latent)
    delta = design_change(adapter, request, readings.values_BF[0])[None].astype(np.float32)
    found = run({"latent": latent, "delta": delta})
    assert found["edited"] == pytest.approx(edit_latents(adapter, latent, [request]).latents_BL, abs=1e-5)
    logits = found["scores"][:, adapter.score_slices[1]].astype(np.float64)
    assert softmax(logits) == pytest.approx(readings["shape"].probabilities, abs=1e-5)
    assert found["scores"][:, adapter.score_slices[3]][0] == pytest.approx(readings["age"].values, abs=1e-3)


def test_the_file_is_valid_repeatable_and_says_what_it_is(adapter: Adapter) -> None:
    data = to_onnx(adapter)
    assert data == to_onnx(adapter)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version <= 20
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["heddle.base_digest"] == adapter.base_digest
    assert json.loads(about["heddle.score_columns"])[:3] == ["lit/off", "lit/on", "shape/cube"]
    assert len(json.loads(about["heddle.delta_columns"])) == len(adapter.write_PL)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda outputs: {**outputs, "edited": outputs["edited"] + 1e-2},
        lambda outputs: {**outputs, "scores": outputs["scores"] * np.nan},
        lambda outputs: {**outputs, "scores": outputs["scores"][:, :-1]},
        lambda outputs: {"edited": outputs["edited"]},
    ],
)
def test_a_graph_that_differs_is_refused(adapter: Adapter, run: Run, spoil: Callable[[Any], Any]) -> None:
    with pytest.raises(DataCorrupt) as error:
        check_parity(adapter, lambda inputs: spoil(dict(run(inputs))))
    assert error.value.code == "onnx_parity"


def test_a_form_is_checked_once_and_another_form_again(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load_from_string(to_onnx(adapter))
    seen: list[bytes] = []
    real = onnx.checker.check_model

    def watched(data: bytes, **asked: Any) -> None:
        seen.append(data)
        real(data, **asked)

    monkeypatch.setattr(onnx.checker, "check_model", watched)
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    assert onnx.load_from_string(checked(model)) == model
    assert seen == [], "other numbers in the same form"
    model.graph.node[1].input[1] = "nowhere"
    for _ in range(2):
        with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
            checked(model)
    assert len(seen) == 2, "what is refused is not remembered as good"
    wide = onnx.load_from_string(to_onnx(adapter))
    wide.graph.initializer[0].dims[1] += 1
    with pytest.raises(Exception, match=r"(?i)shape|dim"):
        checked(wide)
