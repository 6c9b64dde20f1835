"""The one-file editor on the shipped base, against the arithmetic of `edit` and `base.runtime`."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import edit_latents
from heddle_adapters.edit_vector import edit_vector, vector_columns
from heddle_adapters.editor import OPERATORS, Frame, editor_core, operators, to_editor
from heddle_adapters.fit import fit_adapter
from heddle_adapters.interaction import Interaction
from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle, default_bundle_path, load_bundle
from heddle_platform.base.graft import graft
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.edits import EditRequest
from heddle_platform.errors import DataCorrupt, InvalidInput
from heddle_platform.pixels import add_change
from tests.adapters.conftest import make_tenant

Found = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def bundle() -> BaseBundle:
    if not (default_bundle_path() / "manifest.json").is_file():
        pytest.skip("the shipped base is not there; train one with `heddle base train`")
    return load_bundle(default_bundle_path())


@pytest.fixture(scope="module")
def base(bundle: BaseBundle) -> BaseRuntime:
    return BaseRuntime.from_bundle(bundle)


@pytest.fixture(scope="module")
def images(base: BaseRuntime) -> NDArray[np.uint8]:
    """Blocks of colour: nothing the base knows, which is as good for arithmetic."""
    small = np.random.default_rng(0).integers(0, 256, size=(64, 8, 8, 3), dtype=np.uint8)
    side = base.image_size // 8
    return small.repeat(side, axis=1).repeat(side, axis=2)


@pytest.fixture(scope="module")
def editor_adapter(base: BaseRuntime) -> Adapter:
    """All five kinds, gains, both drawing modes, a refused factor, and an interaction."""
    made = make_tenant(rows=300, latents=base.latents, noise=1.0)
    pair = Interaction(0, 1, 0.1, 0.01, thin=((1, 2),))
    fitted = fit_adapter(
        made.latents_NL, made.values_NF, made.factor_set, base_digest=base.digest, interactions=(pair,)
    )
    return (
        fitted.with_gains({"shape": 1.25, "hue": 1.5})
        .with_detail({"lit": "preserve", "hue": "preserve"})
        .with_refused(["size"])
    )


def frame_of(base: BaseRuntime) -> Frame:
    return Frame(base.image_size, base.mean_L, base.std_L)


@pytest.fixture(scope="module")
def editor(editor_adapter: Adapter, base: BaseRuntime, bundle: BaseBundle) -> bytes:
    return to_editor(editor_adapter, frame_of(base), bundle.files[ENCODER], bundle.files[DECODER])


@pytest.fixture(scope="module")
def run(editor: bytes) -> Callable[[Found], Found]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(editor, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def asked(row: int) -> EditRequest:
    """Return one of many edits: every kind, set and shifted, alone and together, in every drawing mode."""
    shapes, details = ("cube", "ball", "cone"), ("auto", "decode", "preserve")
    edits: list[dict[str, Any]] = [
        {"set": {"lit": True}},
        {"set": {"shape": shapes[row % 3]}},
        {"set": {"age": 12.5 + row % 70}},
        {"set": {"hue": 359.0 - row}},
        {"shift": {"lit": -1}},
        {"shift": {"age": 500.0}},
        {"shift": {"hue": -200.0}},
        {"set": {"lit": row % 2 == 0, "shape": shapes[row % 3], "age": 60.0}, "shift": {"hue": 10.0}},
        {},
    ]
    return EditRequest(adapter="a", detail=details[(row // len(edits)) % 3], **edits[row % len(edits)])


def expected(adapter: Adapter, base: BaseRuntime, images: NDArray[np.uint8], requests: list[EditRequest]) -> Found:
    latents = base.encode(images)
    edited = edit_latents(adapter, latents, requests)
    after, before = base.decode(edited.latents_BL), base.decode(latents)
    pictures = [
        add_change(image, one - other) if detail == "preserve" else np.clip(np.rint(one * 255), 0, 255).astype(np.uint8)
        for image, one, other, detail in zip(images, after, before, edited.detail, strict=True)
    ]
    read = edited.readings_before
    return {
        "edited": np.stack(pictures),
        "values": read.values_BF,
        "confidence": np.stack([read[name].confidence for name in adapter.factor_set.names], axis=1),
        "extrapolation": edited.extrapolation_B,
    }


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_it_edits_and_reads_as_the_platform_does(
    editor_adapter: Adapter,
    base: BaseRuntime,
    images: NDArray[np.uint8],
    run: Callable[[Found], Found],
    batch: int,
) -> None:
    requests = [asked(row + batch) for row in range(batch)]
    found = run({"image": images[:batch], "edit": edit_vector(editor_adapter, requests)})
    wanted = expected(editor_adapter, base, images[:batch], requests)
    assert found["edited"].dtype == np.uint8
    assert int(np.abs(found["edited"].astype(int) - wanted["edited"].astype(int)).max()) <= 1
    for name in ("values", "confidence", "extrapolation"):
        scale = max(1.0, float(np.abs(wanted[name]).max()))
        assert float(np.abs(found[name] - wanted[name]).max()) / scale <= 1e-5, name


def test_a_row_of_zeros_changes_nothing_and_a_refused_factor_is_left_alone(
    editor_adapter: Adapter, images: NDArray[np.uint8], run: Callable[[Found], Found]
) -> None:
    vectors = np.zeros((2, len(vector_columns(editor_adapter))), np.float32)
    vectors[1, 4:6] = 1, 3  # set the size, which the gate refused
    assert np.array_equal(run({"image": images[:2], "edit": vectors})["edited"], images[:2])


def test_it_is_one_valid_file_of_plain_operators_with_the_same_bytes_every_time(
    editor_adapter: Adapter, base: BaseRuntime, bundle: BaseBundle, editor: bytes
) -> None:
    model = onnx.load_from_string(editor)
    onnx.checker.check_model(model, full_check=True)
    assert operators(editor) <= OPERATORS
    assert [entry.name for entry in model.graph.input] == ["image", "edit"]
    assert [entry.version for entry in model.opset_import] == [20]
    again = to_editor(editor_adapter, frame_of(base), bundle.files[ENCODER], bundle.files[DECODER])
    assert editor == again
    # what the wire format was cut from and put together to is what protobuf itself writes
    assert model.SerializeToString(deterministic=True) == editor
    assert len(editor_core(editor_adapter, frame_of(base))) < len(editor) / 20


def test_its_metadata_says_what_every_column_means(editor_adapter: Adapter, editor: bytes) -> None:
    about = {entry.key: entry.value for entry in onnx.load_from_string(editor).metadata_props}
    columns = json.loads(about["heddle.edit_columns"])
    assert columns == json.loads(json.dumps(vector_columns(editor_adapter)))
    assert columns[0] == {
        "factor": "lit",
        "kind": "binary",
        "holds": "mode",
        "modes": {"leave": 0, "set": 1, "shift": 2},
    }
    assert columns[2]["modes"] == {"leave": 0, "set": 1}
    assert columns[4]["modes"] == {"leave": 0}
    assert columns[3]["levels"] == ["cube", "ball", "cone"]
    assert columns[-1]["modes"] == {"auto": 0, "decode": 1, "preserve": 2}
    assert about["heddle.base_digest"] == editor_adapter.base_digest


def test_what_the_vector_cannot_say_is_refused(editor_adapter: Adapter) -> None:
    for request, code in (
        (EditRequest(adapter="a", set={"lit": True}, preserve=("shape",)), "preserve_not_offered"),
        (EditRequest(adapter="a", shift={"shape": 1}), "not_shiftable"),
        (EditRequest(adapter="a", set={"size": "m"}), "factor_refused"),
    ):
        with pytest.raises(InvalidInput) as error:
            edit_vector(editor_adapter, [request])
        assert error.value.code == code


def test_damaged_parts_are_not_put_together(editor_adapter: Adapter, base: BaseRuntime, bundle: BaseBundle) -> None:
    core = editor_core(editor_adapter, frame_of(base))
    encoder, decoder = bundle.files[ENCODER], bundle.files[DECODER]
    for parts in ((core[:-9], encoder, decoder), (core, encoder[:1000], decoder), (encoder, encoder, decoder)):
        with pytest.raises(DataCorrupt) as error:
            graft(*parts)
        assert error.value.code == "graft_failed"
