"""One torch module as an ONNX graph, its weights stored in half precision."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from heddle_platform.errors import HeddleError

OPSET = 20

_HALF_FROM_VALUES = 16
_HALF = ".half"


class GraphExportError(HeddleError):
    """A module could not be turned into a graph."""

    default_code = "graph_export_failed"


def export_graph(module: nn.Module, source: str, target: str, shape: tuple[int, ...]) -> bytes:
    """Export one module as an ONNX graph of opset 20 with a free batch and half-precision weights.

    Args:
        module: takes [B, *shape], gives one tensor.
        source: name of the input.
        target: name of the output.
        shape: the input's shape without the batch.
    """
    batch = torch.export.Dim("batch", min=1, max=4096)
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            (torch.rand(2, *shape),),
            dynamo=True,
            input_names=[source],
            output_names=[target],
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise GraphExportError("the ONNX exporter returned nothing; check the versions of torch and onnxscript")
    buffer = io.BytesIO()
    onnx.save_model(strip_notes(halve_weights(program.model_proto)), buffer)
    return buffer.getvalue()


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store single-precision initialisers in half precision, each followed by a cast back.

    ONNX Runtime folds the casts when it loads the graph, so nothing is slower.
    """
    casts = []
    for initializer in model.graph.initializer:
        values = numpy_helper.to_array(initializer)
        if initializer.data_type != TensorProto.FLOAT or values.size < _HALF_FROM_VALUES:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(half, name + _HALF))
        casts.append(helper.make_node("Cast", [name + _HALF], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def graph_weights(graph: bytes) -> dict[str, NDArray[Any]]:
    """The arrays a graph of `export_graph` holds, by the name they have in the torch module."""
    model = onnx.load_from_string(graph)
    return {one.name.removesuffix(_HALF): numpy_helper.to_array(one) for one in model.graph.initializer}


def strip_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes: stack traces that name the exporting machine's directories."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del noted.metadata_props[:]
        noted.doc_string = ""
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about packages it does not need out of the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
