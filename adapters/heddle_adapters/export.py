"""The adapter as a small ONNX graph of its own, checked against this package's arithmetic.

    latent [B, L] float32, standardised ---- MatMul write -- Add --> edited [B, L]
    delta  [B, P + Q] float32, columns -----/
    latent --------------------------------- Gemm -------------> scores [B, C]

`delta` is a change of the P design columns (`change.design_change`) and, behind them, of the Q product columns of its
interactions (`change.interaction_change`; most adapters have none), gains included; `scores` are calibrated logits,
ready for softmax per factor, or values in the factor's unit. The metadata names the columns.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.interaction import pair_columns
from heddle_platform.digest import canonical_json
from heddle_platform.errors import DataCorrupt

OPSET = 20
IR_VERSION = 10  # of opset 20; newer runtimes read older ones, not the reverse
Arrays = dict[str, NDArray[Any]]
_FORMS_KEPT = 256
_CHECKED: set[str] = set()


def to_onnx(adapter: Adapter) -> bytes:
    """Return the adapter as ONNX bytes, the same for equal adapters, checked by `onnx.checker`."""
    read_LC, bias_C = calibrated(adapter)
    write_RL = all_writes(adapter)
    columns, latents = write_RL.shape
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["delta", "write"], ["change"]),
            helper.make_node("Add", ["latent", "change"], ["edited"]),
            helper.make_node("Gemm", ["latent", "read", "read_bias"], ["scores"]),
        ],
        "heddle_adapter",
        [
            helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["batch", latents]),
            helper.make_tensor_value_info("delta", TensorProto.FLOAT, ["batch", columns]),
        ],
        [
            helper.make_tensor_value_info("edited", TensorProto.FLOAT, ["batch", latents]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(bias_C)]),
        ],
        [
            numpy_helper.from_array(write_RL, "write"),
            numpy_helper.from_array(read_LC, "read"),
            numpy_helper.from_array(bias_C, "read_bias"),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="heddle"
    )
    helper.set_model_props(model, _metadata(adapter))
    return checked(model)


def checked(model: onnx.ModelProto) -> bytes:
    """Return a graph's bytes, checked by `onnx.checker`, shapes included.

    Graphs that differ in nothing but the numbers in their float constants are checked once per process: the checker
    reads no such number, and the graphs of a fleet are mostly alike.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: it is no valid graph.
    """
    data = bytes(model.SerializeToString(deterministic=True))
    form = _form(model)
    if form not in _CHECKED:
        onnx.checker.check_model(data, full_check=True)
        if len(_CHECKED) >= _FORMS_KEPT:
            _CHECKED.clear()
        _CHECKED.add(form)
    return data


def _form(model: onnx.ModelProto) -> str:
    """Return a digest of all of a graph that is no number of a float constant and no metadata."""
    graph, found = model.graph, hashlib.sha256()
    for part in (*model.opset_import, *graph.node, *graph.input, *graph.output):
        found.update(part.SerializeToString(deterministic=True))
    for constant in graph.initializer:
        found.update(repr((constant.name, constant.data_type, tuple(constant.dims))).encode())
        if constant.data_type != TensorProto.FLOAT:
            found.update(constant.raw_data)
    return found.hexdigest()


def all_writes(adapter: Adapter) -> Singles:
    """Return the write rows of design and product columns, [P + Q, L]."""
    return np.concatenate([adapter.write_PL, adapter.interact_QL])


def calibrated(adapter: Adapter) -> tuple[Singles, Singles]:
    """Return read directions [L, C] and offsets [C] with each levelled factor's temperature applied."""
    scale_C = np.ones(len(adapter.read_bias_C), np.float32)
    for coding, block, temperature in zip(adapter.codings, adapter.score_slices, adapter.temperature_F, strict=True):
        if coding.levels:
            scale_C[block] = 1.0 / temperature
    return adapter.read_LC * scale_C, adapter.read_bias_C * scale_C


def parity_cases(adapter: Adapter, batches: Sequence[int] = (1, 2, 7, 64)) -> tuple[tuple[Arrays, Arrays], ...]:
    """Return (inputs, expected outputs) of the graph, one case per batch size, the same every time.

    Latents are drawn about the tenant's own images, changes from -2 to 2 standard deviations; expected outputs
    are computed in float64.
    """
    random = np.random.default_rng(0)
    write_RL = all_writes(adapter).astype(np.float64)
    scale_C: Floats = np.ones(len(adapter.read_bias_C))
    for coding, block, temperature in zip(adapter.codings, adapter.score_slices, adapter.temperature_F, strict=True):
        if coding.levels:
            scale_C[block] = 1.0 / float(temperature)
    cases = []
    for batch in batches:
        latent = (adapter.mean_L + random.normal(size=(batch, adapter.latents))).astype(np.float32)
        delta = random.uniform(-2, 2, size=(batch, len(write_RL))).astype(np.float32)
        scores = (latent.astype(np.float64) @ adapter.read_LC + adapter.read_bias_C) * scale_C
        expected = {"edited": latent.astype(np.float64) + delta @ write_RL, "scores": scores}
        cases.append(({"latent": latent, "delta": delta}, expected))
    return tuple(cases)


def check_parity(
    adapter: Adapter, run: Callable[[Arrays], Mapping[str, NDArray[Any]]], tolerance: float = 1e-5
) -> float:
    """Run the graph and compare it with the adapter.

    Args:
        adapter: what the graph was made of.
        run: runs the graph in some runtime: inputs by name -> outputs by name.
        tolerance: largest difference allowed, as a share of the largest expected value of that output (of 1
            where that is smaller): float32 sums of 64 terms cannot do better for logits of a hundred.

    Returns:
        The largest difference found, in those terms.

    Raises:
        DataCorrupt: code `onnx_parity`, or an output has the wrong name, shape or value.
    """
    worst = 0.0
    for inputs, expected in parity_cases(adapter):
        found = run(inputs)
        for name, values in expected.items():
            batch = len(inputs["latent"])
            if name not in found or found[name].shape != values.shape:
                shape = found[name].shape if name in found else "nothing"
                raise DataCorrupt(
                    f"the ONNX graph returns {shape} for {name!r} at batch {batch}, expected {values.shape}",
                    code="onnx_parity",
                )
            difference = float(np.abs(found[name] - values).max() / max(1.0, float(np.abs(values).max())))
            if not difference <= tolerance:  # also true for NaN
                raise DataCorrupt(
                    f"the ONNX graph's {name!r} differs by {difference:.2e} at batch {batch}, at most {tolerance:.0e} "
                    "is allowed; nothing was published",
                    code="onnx_parity",
                )
            worst = max(worst, difference)
    return worst


def score_columns(adapter: Adapter) -> list[str]:
    """Return a name for each score column: factor/level, or factor/number."""
    names = []
    for factor, coding in zip(adapter.factor_set.factors, adapter.codings, strict=True):
        levels = getattr(factor, "level_names", ())
        names += [f"{factor.name}/{name}" for name in levels or range(coding.scores)]
    return names


def _metadata(adapter: Adapter) -> dict[str, str]:
    columns = []
    for factor, coding in zip(adapter.factor_set.factors, adapter.codings, strict=True):
        columns += [f"{factor.name}/{index}" for index in range(coding.columns)]
    names = adapter.factor_set.names
    for one in adapter.interactions:
        width = adapter.codings[one.on].columns
        columns += [
            f"{names[one.factor]}/{index // width}*{names[one.on]}/{index % width}"
            for index in range(pair_columns(adapter.codings, one))
        ]
    return {
        "heddle.base_digest": adapter.base_digest,
        "heddle.factor_set": canonical_json(adapter.factor_set.document()).decode(),
        "heddle.delta_columns": canonical_json(columns).decode(),
        "heddle.thin_cells": canonical_json(
            {f"{names[one.factor]}*{names[one.on]}": one.thin for one in adapter.interactions}
        ).decode(),
        "heddle.score_columns": canonical_json(score_columns(adapter)).decode(),
    }
