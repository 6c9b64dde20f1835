"""Cutting a base's graph where its dense layers end."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from heddle_platform.base.bundle import DECODER, ENCODER, default_bundle_path, load_bundle
from heddle_platform.base.cut import Dense, cut


@pytest.mark.parametrize(("name", "dense"), [(DECODER, "first"), (ENCODER, "last")])
def test_the_shipped_graphs_are_cut_where_a_picture_is_a_row(name: str, dense: Dense) -> None:
    parts = cut(load_bundle(default_bundle_path()).files[name], dense)
    assert parts is not None
    rows, patches = parts if dense == "first" else parts[::-1]
    assert {node.op_type for node in onnx.load_from_string(rows).graph.node} <= {"Cast", "Gemm", "Gelu"}
    assert "Gemm" not in {node.op_type for node in onnx.load_from_string(patches).graph.node}


def graph_of(*nodes: onnx.NodeProto) -> bytes:
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "weights")
    shape: list[str | int | None] = ["batch", 4]
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("source", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("target", TensorProto.FLOAT, shape)],
        [weights],
    )
    opset = helper.make_opsetid("", 20)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString())


def test_a_graph_without_dense_layers_at_that_end_is_not_cut() -> None:
    mixed = graph_of(
        helper.make_node("Softmax", ["source"], ["mixed"], axis=0), helper.make_node("Relu", ["mixed"], ["target"])
    )
    assert cut(mixed, "first") is None
    assert cut(mixed, "last") is None


def test_what_is_dense_from_end_to_end_is_not_cut() -> None:
    dense = graph_of(helper.make_node("Gemm", ["source", "weights"], ["target"]))
    assert cut(dense, "first") is None
    assert cut(dense, "last") is None


def test_rows_that_others_need_as_well_stay_whole() -> None:
    """A value that two nodes read cannot be the only thing that crosses the cut."""
    graph = graph_of(
        helper.make_node("Gemm", ["source", "weights"], ["row"]),
        helper.make_node("Softmax", ["row"], ["mixed"], axis=0),
        helper.make_node("Add", ["mixed", "row"], ["target"]),
    )
    parts = cut(graph, "first")
    assert parts is not None
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    whole = onnxruntime.InferenceSession(graph).run(None, {"source": rows})[0]
    for part in parts:
        session = onnxruntime.InferenceSession(part)
        [rows] = session.run(None, {session.get_inputs()[0].name: rows})
    np.testing.assert_array_equal(rows, whole)
