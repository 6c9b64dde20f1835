"""The editor's parity check passes what computes as the platform does, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.editor import Frame, to_editor
from heddle_adapters.editor_check import check_editor
from heddle_adapters.fit import fit_adapter
from heddle_adapters.interaction import Interaction
from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle, default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.errors import DataCorrupt
from tests.adapters.conftest import make_tenant

Found = Mapping[str, NDArray[Any]]
Run = Callable[[dict[str, NDArray[Any]]], Found]


@pytest.fixture(scope="module")
def bundle() -> BaseBundle:
    return load_bundle(default_bundle_path())


@pytest.fixture(scope="module")
def base(bundle: BaseBundle) -> BaseRuntime:
    return BaseRuntime.from_bundle(bundle)


def adapter_on(base: BaseRuntime, refused: tuple[str, ...] = ("size",)) -> Adapter:
    made = make_tenant(rows=300, latents=base.latents, noise=1.0)
    pair = Interaction(0, 1, 0.1, 0.01, thin=((1, 2),))
    fitted = fit_adapter(
        made.latents_NL, made.values_NF, made.factor_set, base_digest=base.digest, interactions=(pair,)
    )
    return fitted.with_gains({"shape": 1.25}).with_detail({"hue": "preserve"}).with_refused(list(refused))


def runner(editor: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(editor, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def editor_of(adapter: Adapter, base: BaseRuntime, bundle: BaseBundle) -> Run:
    frame = Frame(base.image_size, base.mean_L, base.std_L)
    return runner(to_editor(adapter, frame, bundle.files[ENCODER], bundle.files[DECODER]))


@pytest.mark.parametrize("refused", [("size",), ("lit", "shape", "size", "age", "hue")])
def test_an_editor_passes_and_few_pictures_are_left_out(
    base: BaseRuntime, bundle: BaseBundle, refused: tuple[str, ...]
) -> None:
    adapter = adapter_on(base, refused)
    found = check_editor(adapter, base, editor_of(adapter, base, bundle))
    assert found.pixel <= 1
    assert found.readings <= 1e-5
    assert found.pictures == 1 + 2 + 7 + 64
    assert found.on_edge <= 8


def test_another_versions_editor_does_not_pass(base: BaseRuntime, bundle: BaseBundle) -> None:
    adapter = adapter_on(base)
    run = editor_of(adapter.with_gains({"age": 1.5}), base, bundle)
    with pytest.raises(DataCorrupt, match="of 255 in a picture") as error:
        check_editor(adapter, base, run)
    assert error.value.code == "onnx_parity"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda found: {**found, "confidence": found["confidence"] + np.float32(1e-3)}, "1.00e-03 in what it reads"),
        (lambda found: {**found, "extrapolation": found["extrapolation"] * np.float32(np.nan)}, "at batch 1"),
        (lambda found: {name: part for name, part in found.items() if name != "values"}, "no 'values'"),
        (lambda found: {**found, "edited": found["edited"][:, :32]}, "no 'edited' of shape"),
    ],
)
def test_what_differs_is_told(
    base: BaseRuntime, bundle: BaseBundle, spoil: Callable[[Found], Found], words: str
) -> None:
    adapter = adapter_on(base)
    run = editor_of(adapter, base, bundle)
    with pytest.raises(DataCorrupt, match=words):
        check_editor(adapter, base, lambda inputs: spoil(run(inputs)))
