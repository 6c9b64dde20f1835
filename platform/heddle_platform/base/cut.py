"""A base's graph cut in two where a picture is one row of a table: its widest layers stand there, at one end.

Patches are best drawn a few pictures at a time, for their activations must stay in a processor's cache. The dense
layers between latents and patches hold most of the weights, which are read anew for every few pictures: they want many
at once. In two graphs both have what they want. What comes out is the same to the last bit.
"""

from typing import Final, Literal

import onnx
from onnx.utils import Extractor

# what they return for a row depends on that row of their first operand alone
_ROW_BY_ROW: Final = frozenset(("Gemm", "Gelu", "Relu", "Elu", "LeakyRelu", "Sigmoid", "Tanh", "Identity"))

Dense = Literal["first", "last"]


def cut(graph: bytes, dense: Dense) -> tuple[bytes, bytes] | None:
    """Return the two parts of a graph of one input and one output, or None where no dense layer stands at that end.

    Args:
        graph: ONNX.
        dense: the end at which the dense layers stand.
    """
    model = onnx.load_from_string(graph)
    [source], [target] = model.graph.input, model.graph.output
    between = _behind_first(model, source.name) if dense == "first" else _before_last(model, target.name)
    if between in (source.name, target.name):
        return None
    parts = Extractor(onnx.shape_inference.infer_shapes(model))
    first, last = (
        parts.extract_model([begin], [end]).SerializeToString()
        for begin, end in ((source.name, between), (between, target.name))
    )
    return first, last


def _behind_first(model: onnx.ModelProto, source: str) -> str:
    """Return what the layers end in that follow the source row by row; the source where none of them is dense."""
    name, layers, fixed = source, 0, _constants(model)
    while True:
        users = [node for node in model.graph.node if name in node.input]
        if len(users) != 1 or not _is_row_by_row(users[0], fixed):
            return name if layers else source
        layers += users[0].op_type == "Gemm"
        [name] = users[0].output


def _before_last(model: onnx.ModelProto, target: str) -> str:
    """Return what the layers begin with that lead row by row to the target; the target where none of them is dense."""
    name, layers, fixed = target, 0, _constants(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    while name in makers and _is_row_by_row(makers[name], fixed):
        layers += makers[name].op_type == "Gemm"
        name = makers[name].input[0]
    return name if layers else target


def _constants(model: onnx.ModelProto) -> set[str]:
    """Return what does not depend on the input."""
    found = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if found.issuperset(node.input):
            found.update(node.output)
    return found


def _is_row_by_row(node: onnx.NodeProto, fixed: set[str]) -> bool:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return node.op_type in _ROW_BY_ROW and fixed.issuperset(node.input[1:]) and not turned
