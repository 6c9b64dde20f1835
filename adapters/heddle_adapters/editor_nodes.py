"""A graph under construction: nodes with names of their own, constants stored once."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper


class Nodes:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output; give it a name where others must find it."""
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        fixed = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in attributes.items())
        self.nodes.append(_node(kind, inputs, output, fixed))
        return output

    def halves(self, joined: str) -> tuple[str, str]:
        """Split along the batch into two equal parts."""
        outputs = [f"{joined}_first", f"{joined}_second"]
        self.nodes.append(helper.make_node("Split", [joined], outputs, name=f"{joined}_halves", axis=0, num_outputs=2))
        return outputs[0], outputs[1]

    def floats(self, values: Any) -> str:
        """Store float32 values."""
        return self._constant(np.asarray(values, dtype=np.float32))

    def integers(self, values: Any) -> str:
        """Store int64 values."""
        return self._constant(np.asarray(values, dtype=np.int64))

    def flags(self, values: Any) -> str:
        """Store booleans."""
        return self._constant(np.asarray(values, dtype=np.bool_))

    def columns(self, table: str, indices: Any) -> str:
        """Take columns of a [B, N] table, in this order."""
        return self.op("Gather", table, self.integers(np.asarray(list(indices))), axis=1)

    def _constant(self, values: NDArray[Any]) -> str:
        same = (values.dtype.str, values.shape, values.tobytes())
        if same not in self._known:
            name = self._known[same] = f"constant_{len(self.constants)}"
            self.constants[name] = numpy_helper.from_array(values, name)
        return self._known[same]


@lru_cache(maxsize=4096)  # the graphs of a fleet are mostly alike, and a graph takes copies of its nodes
def _node(kind: str, inputs: tuple[str, ...], output: str, attributes: tuple[tuple[str, Any], ...]) -> NodeProto:
    return helper.make_node(kind, list(inputs), [output], name=output, **dict(attributes))
