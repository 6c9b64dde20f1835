"""A base's graph cut in two where a picture is one row of a table: its widest layers stand there, at one end.

Patches are best drawn a few pictures at a time, for their activations must stay in a processor's cache. The dense layers
between latents and patches hold most of the weights, which are read anew for every few pictures: they want many at
once. In two graphs both have what they want. What comes out is the same to the last bit.
"""

from typing import Final, Literal

import onnx
from onnx.utils import Extractor

# of one operand that depends on the picture; what they return for a row depends on that row alone
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
    if between is None or between == target.name:
        return None
    parts = Extractor(onnx.shape_inference.infer_shapes(model))
    first, last = ((source.name, between), (between, target.name))
    return tuple(parts.extract_model([begin], [end]).SerializeToString() for begin, end in (first, last))  # type: ignore[return-value]


def _behind_first(model: onnx.ModelProto, name: str) -> str | None:
    """Return what the layers that follow the input row by row end in; None: there are none."""
    layers = 0
    while True:
        users = [node for node in model.graph.node if name in node.input]
        if len(users) != 1 or not _is_dense(users[0], name):
            return name if layers else None
        layers += users[0].op_type == "Gemm"
        [name] = users[0].output


def _before_last(model: onnx.ModelProto, name: str) -> str | None:
    """Return what the layers that lead row by row to the output begin with; None: there are none."""
    layers = 0
    makers = {output: node for node in model.graph.node for output in node.output}
    while name in makers and _is_dense(makers[name], makers[name].input[0]):
        layers += makers[name].op_type == "Gemm"
        name = makers[name].input[0]
    return name if layers else None


def _is_dense(node: onnx.NodeProto, row: str) -> bool:
    rows_first = not any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return node.op_type in _ROW_BY_ROW and node.input[0] == row and rows_first
