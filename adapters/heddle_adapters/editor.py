"""The one-file editor: picture and edit vector in, picture and readings out, in one ONNX graph.

    image uint8 [B, S, S, 3] --> encoder --> latents --> readings --> targets --> change --> decoder --> edited uint8
    edit float32 [B, 2F + 1], see `edit_vector` ---------------------/

An adapter exports the *core*, the editor with the base cut out; `graft` sets the base in. Outputs: `edited`, `values`
[B, F] (what is read before the edit: level index, or value in the factor's unit), `confidence` [B, F], `scores` [B, C]
(calibrated logits, values, cos and sin), `extrapolation` [B] (above 1 the edit leaves what the tenant's images show).
S is the base's own size (64): scaling is the caller's, who knows the picture's size. The arithmetic is that of
`edit` and `base.runtime`, in float32.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack
from heddle_adapters.change import STRENGTH_STEPS
from heddle_adapters.edit_vector import SET, SHIFT, editable_factors, shiftable_factors, vector_columns
from heddle_adapters.editor_factors import Scores, read_factor, row_of
from heddle_adapters.editor_nodes import Nodes
from heddle_adapters.export import IR_VERSION, OPSET, checked, score_columns
from heddle_platform.base.graft import DECODER_IN, DECODER_OUT, ENCODER_IN, ENCODER_OUT, graft
from heddle_platform.digest import canonical_json

_UNBOUNDED = 3e38
_OUTPUTS = ("edited", "values", "confidence", "scores", "extrapolation")
# Operators of the editor; onnxruntime-web's wasm backend is ONNX Runtime's CPU engine with its full operator coverage
# (its README); docs/OperatorKernels.md of ONNX Runtime lists the engine's operators.
# tests/e2e/test_editor.py runs an editor there.
# fmt: off
OPERATORS = frozenset((
    "Abs", "Add", "And", "ArgMax", "Atan", "Cast", "Clip", "Concat", "Cos", "Div", "Equal", "Erf", "Gather",
    "Gelu", "Gemm", "LayerNormalization", "Less", "MatMul", "Max", "Min", "Mul", "Or", "ReduceL2", "ReduceMax",
    "Relu", "Reshape", "Round", "Sin", "Softmax", "Split", "Sub", "Transpose", "Where",
))
# fmt: on


@dataclass(frozen=True, eq=False)
class Frame:
    """What the core must know of its base.

    Attributes:
        image_size: S.
        mean_L, std_L: what raw latents are standardised with (`BaseRuntime`).
    """

    image_size: int
    mean_L: NDArray[np.float32]
    std_L: NDArray[np.float32]


def to_editor(adapter: Adapter, frame: Frame, encoder: bytes, decoder: bytes) -> bytes:
    """Return the one-file editor, checked by `onnx.checker`; equal adapters on equal bases give equal bytes.

    Args:
        adapter: the adapter.
        frame: of the adapter's base.
        encoder, decoder: the base's graphs.

    Raises:
        DataCorrupt: see `graft`.
    """
    data = graft(editor_core(adapter, frame), encoder, decoder)
    onnx.checker.check_model(data, full_check=True)
    return data


def editor_core(adapter: Adapter, frame: Frame, digest: str | None = None) -> bytes:
    """Return the editor with the base cut out, a valid graph of its own; see `heddle_platform.base.graft`.

    Args:
        adapter, frame: see `to_editor`.
        digest: of the packed adapter, where the caller knows it.
    """
    nodes = Nodes()
    pixels = nodes.op("Cast", "image", to=TensorProto.FLOAT)
    scaled = nodes.op("Div", pixels, nodes.floats(255.0))
    nodes.op("Transpose", scaled, name=ENCODER_IN, perm=[0, 3, 1, 2])
    mean, spread = nodes.floats(frame.mean_L), nodes.floats(frame.std_L)
    latent = nodes.op("Div", nodes.op("Sub", ENCODER_OUT, mean), spread)
    values, read_row, target_row, edited = _targets(nodes, adapter, latent)
    change = _change(nodes, adapter, read_row, target_row, values)
    moved = nodes.op("Add", latent, change)
    _extrapolation(nodes, adapter, moved)
    both = nodes.op("Concat", moved, latent, axis=0)
    nodes.op("Add", nodes.op("Mul", both, spread), mean, name=DECODER_IN)
    _draw(nodes, pixels, _keeps_detail(nodes, adapter, edited))
    return _model(nodes, adapter, frame, digest or digest_of(pack(adapter)))


def _targets(nodes: Nodes, adapter: Adapter, latent: str) -> tuple[list[tuple[str, str]], str, str, str]:
    """Read every factor and find where the edit wants it.

    Returns:
        (value read, value wanted) per factor [B, 1]; design rows of both [B, P]; which factors are edited [B, F].
    """
    factors = range(len(adapter.codings))
    raw = nodes.op("Gemm", latent, nodes.floats(adapter.read_LC), nodes.floats(adapter.read_bias_C))
    scale_C = np.concatenate(
        [
            np.full(coding.scores, 1.0 / temperature if coding.levels else 1.0, np.float32)
            for coding, temperature in zip(adapter.codings, adapter.temperature_F, strict=True)
        ]
    )
    nodes.op("Mul", raw, nodes.floats(scale_C), name="scores")
    found: list[Scores] = [read_factor(nodes, adapter, index, raw) for index in factors]
    values = nodes.op("Concat", *(one.value for one in found), axis=1, name="values")
    nodes.op("Concat", *(one.confidence for one in found), axis=1, name="confidence")
    mode = nodes.columns("edit", [2 * index for index in factors])
    asked = nodes.columns("edit", [2 * index + 1 for index in factors])
    sets = nodes.op("And", nodes.op("Equal", mode, nodes.floats(SET)), nodes.flags([editable_factors(adapter)]))
    shifts = nodes.op("And", nodes.op("Equal", mode, nodes.floats(SHIFT)), nodes.flags([shiftable_factors(adapter)]))
    edited = nodes.op("Or", sets, shifts)
    wanted = nodes.op("Where", sets, asked, nodes.op("Add", values, asked))
    low_F, high_F = _bounds(adapter)
    within = nodes.op("Min", nodes.op("Max", wanted, nodes.floats([low_F])), nodes.floats([high_F]))
    target = nodes.op("Where", edited, within, values)
    pairs, was, becomes = [], [], []
    for index, one in enumerate(found):
        goal, touched = nodes.columns(target, [index]), nodes.columns(edited, [index])
        pairs.append((one.value, goal))
        was.append(one.row)
        # an untouched factor keeps its row to the last bit
        becomes.append(nodes.op("Where", touched, row_of(nodes, adapter.codings[index], goal), one.row))
    return pairs, nodes.op("Concat", *was, axis=1), nodes.op("Concat", *becomes, axis=1), edited


def _bounds(adapter: Adapter) -> tuple[list[float], list[float]]:
    low_F, high_F = [], []
    for coding, (low, high) in zip(adapter.codings, adapter.usable_F2.tolist(), strict=True):
        periodic = coding.kind == "periodic"
        low_F.append(-_UNBOUNDED if periodic else low)
        high_F.append(_UNBOUNDED if periodic else high)
    return low_F, high_F


def _change(nodes: Nodes, adapter: Adapter, was: str, becomes: str, values: list[tuple[str, str]]) -> str:
    """Return the change of latents [B, L]."""
    gain_P = np.repeat(adapter.gain_F, [coding.columns for coding in adapter.codings])
    step = nodes.op("Mul", nodes.op("Sub", becomes, was), nodes.floats(gain_P))
    delta = nodes.op("MatMul", _quantised(nodes, step), nodes.floats(adapter.write_PL))
    if not adapter.interactions:
        return delta
    products = nodes.op(
        "Concat",
        *(_product(nodes, adapter, one, was, becomes, values) for one in range(len(adapter.interactions))),
        axis=1,
    )
    return nodes.op("Add", delta, nodes.op("MatMul", _quantised(nodes, products), nodes.floats(adapter.interact_QL)))


def _product(nodes: Nodes, adapter: Adapter, which: int, was: str, becomes: str, values: list[tuple[str, str]]) -> str:
    """Return the change of one pair's product columns, as `change.interaction_change` says it."""
    pair = adapter.interactions[which]
    own, other = adapter.column_slices[pair.factor], adapter.column_slices[pair.on]
    own_P = np.repeat(np.arange(own.start, own.stop), other.stop - other.start)
    other_P = np.tile(np.arange(other.start, other.stop), own.stop - own.start)
    before, after = nodes.columns(was, other_P), nodes.columns(becomes, other_P)
    start, goal = nodes.columns(was, own_P), nodes.columns(becomes, own_P)
    gains = nodes.floats(adapter.gain_F[pair.on]), nodes.floats(adapter.gain_F[pair.factor])
    other_step = nodes.op("Mul", nodes.op("Mul", start, nodes.op("Sub", after, before)), gains[0])
    own_step = nodes.op("Mul", nodes.op("Mul", nodes.op("Sub", goal, start), after), gains[1])
    step = nodes.op("Add", other_step, own_step)
    for end in (0, 1) if pair.thin else ():
        keys = [nodes.op("Round", values[index][end]) for index in (pair.factor, pair.on)]
        width = adapter.codings[pair.on].levels
        cell = nodes.op("Add", nodes.op("Mul", keys[0], nodes.floats(width)), keys[1])
        thin = nodes.floats([[one * width + level for one, level in pair.thin]])
        hits = nodes.op(
            "ReduceMax",
            nodes.op("Cast", nodes.op("Equal", cell, thin), to=TensorProto.FLOAT),
            nodes.integers([1]),
            keepdims=1,
        )
        step = nodes.op("Mul", step, nodes.op("Sub", nodes.floats(1.0), hits))
    return step


def _quantised(nodes: Nodes, change: str) -> str:
    steps = nodes.floats(STRENGTH_STEPS)
    return nodes.op("Div", nodes.op("Round", nodes.op("Mul", change, steps)), steps)


def _extrapolation(nodes: Nodes, adapter: Adapter, moved: str) -> None:
    away = nodes.op("MatMul", nodes.op("Sub", moved, nodes.floats(adapter.mean_L)), nodes.floats(adapter.whiten_LL))
    norm = nodes.op("ReduceL2", away, nodes.integers([1]), keepdims=0)
    nodes.op("Div", norm, nodes.floats(adapter.radius), name="extrapolation")


def _keeps_detail(nodes: Nodes, adapter: Adapter, edited: str) -> str:
    """Return [B, 1, 1, 1], whether only the change is drawn: as asked, else if all edited factors measured better."""
    asked = nodes.columns("edit", [2 * len(adapter.codings)])
    decodes = nodes.flags([[mode == "decode" for mode in adapter.detail]])
    some = nodes.op("Cast", nodes.op("And", edited, decodes), to=TensorProto.FLOAT)
    free = nodes.op("Less", nodes.op("ReduceMax", some, nodes.integers([1]), keepdims=1), nodes.floats(0.5))
    auto = nodes.op("And", nodes.op("Equal", asked, nodes.floats(0.0)), free)
    keeps = nodes.op("Or", auto, nodes.op("Equal", asked, nodes.floats(2.0)))
    return nodes.op("Reshape", keeps, nodes.integers([-1, 1, 1, 1]))


def _draw(nodes: Nodes, pixels: str, keeps: str) -> None:
    after, before = nodes.halves(nodes.op("Transpose", DECODER_OUT, perm=[0, 2, 3, 1]))
    full = nodes.floats(255.0)
    drawn = nodes.op("Round", nodes.op("Mul", after, full))
    change = nodes.op("Round", nodes.op("Mul", nodes.op("Sub", after, before), full))
    kept = nodes.op("Add", pixels, change)
    picture = nodes.op("Clip", nodes.op("Where", keeps, kept, drawn), nodes.floats(0.0), full)
    nodes.op("Cast", picture, name="edited", to=TensorProto.UINT8)


def _model(nodes: Nodes, adapter: Adapter, frame: Frame, digest: str) -> bytes:
    batch, size, latents, factors = "batch", frame.image_size, adapter.latents, len(adapter.codings)
    kinds = {"image": TensorProto.UINT8, "edited": TensorProto.UINT8}
    shapes: dict[str, list[str | int | None]] = {
        "image": [batch, size, size, 3],
        "edit": [batch, 2 * factors + 1],
        ENCODER_OUT: [batch, latents],
        DECODER_OUT: ["pictures", 3, size, size],
        "edited": [batch, size, size, 3],
        "values": [batch, factors],
        "confidence": [batch, factors],
        "scores": [batch, len(adapter.read_bias_C)],
        "extrapolation": [batch],
        ENCODER_IN: [batch, 3, size, size],
        DECODER_IN: ["pictures", latents],
    }
    known = {
        name: helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        nodes.nodes,
        "heddle_editor",
        [known[name] for name in ("image", "edit", ENCODER_OUT, DECODER_OUT)],
        [known[name] for name in (*_OUTPUTS, ENCODER_IN, DECODER_IN)],
        list(nodes.constants.values()),
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="heddle"
    )
    helper.set_model_props(
        model,
        {
            "heddle.adapter_digest": digest,
            "heddle.base_digest": adapter.base_digest,
            "heddle.edit_columns": canonical_json(vector_columns(adapter)).decode(),
            "heddle.factor_set": canonical_json(adapter.factor_set.document()).decode(),
            "heddle.score_columns": canonical_json(score_columns(adapter)).decode(),
        },
    )
    return checked(model)


def operators(data: bytes) -> frozenset[str]:
    """Return the operators of a graph, those of other domains than ONNX's own with their domain."""
    nodes = onnx.load_from_string(data).graph.node
    return frozenset(f"{node.domain}:{node.op_type}" if node.domain else node.op_type for node in nodes)
