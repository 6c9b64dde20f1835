"""One factor inside the editor graph: what its scores say, and its design rows, as `read` and `change` compute them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from heddle_adapters.adapter import Adapter
from heddle_adapters.design import Coding
from heddle_adapters.editor_nodes import Nodes
from heddle_adapters.read import TOLERANCE


@dataclass(frozen=True)
class Scores:
    """What is read of one factor, by name: `value` and `confidence` [B, 1], and the design `row` [B, P] of it."""

    value: str
    confidence: str
    row: str


def read_factor(nodes: Nodes, adapter: Adapter, index: int, raw: str) -> Scores:
    """Read one factor.

    Args:
        nodes: the graph.
        adapter: the adapter.
        index: of the factor.
        raw: name of the raw scores [B, C].
    """
    coding, block = adapter.codings[index], adapter.score_slices[index]
    score = nodes.columns(raw, range(block.start, block.stop))
    error = float(adapter.temperature_F[index])
    if coding.levels:
        best = nodes.op("ArgMax", score, axis=1, keepdims=1)
        value = nodes.op("Cast", best, to=1)
        sure = nodes.op("Softmax", nodes.op("Div", score, nodes.floats(error)), axis=1)
        confidence = nodes.op("ReduceMax", sure, nodes.integers([1]), keepdims=1)
        return Scores(value, confidence, row_of(nodes, coding, value))
    if coding.kind == "periodic":
        return _read_angle(nodes, coding, score, error)
    low, high = getattr(adapter.factor_set.factors[index], "range", (-3e38, 3e38))
    value = nodes.op("Clip", score, nodes.floats(low), nodes.floats(high))
    share = float(erf(TOLERANCE * (high - low) / (max(error, 1e-12) * np.sqrt(2.0))))
    zero = nodes.op("Mul", value, nodes.floats(0.0))
    return Scores(value, nodes.op("Add", zero, nodes.floats(share)), row_of(nodes, coding, value))


def row_of(nodes: Nodes, coding: Coding, value: str) -> str:
    """Return the design rows [B, P] of values [B, 1]; fractional levels lie between their neighbours' rows."""
    if coding.levels:
        away = nodes.op("Abs", nodes.op("Sub", value, nodes.floats([np.arange(coding.levels)])))
        share = nodes.op("Relu", nodes.op("Sub", nodes.floats(1.0), away))
        return nodes.op("MatMul", share, nodes.floats(coding.table_KP))
    if coding.kind == "periodic":
        angle = nodes.op("Mul", value, nodes.floats(2 * np.pi / coding.spread))
        return nodes.op("Concat", nodes.op("Cos", angle), nodes.op("Sin", angle), axis=1)
    return nodes.op("Div", nodes.op("Sub", value, nodes.floats(coding.center)), nodes.floats(coding.spread))


def _read_angle(nodes: Nodes, coding: Coding, score: str, error: float) -> Scores:
    across, up = nodes.columns(score, [0]), nodes.columns(score, [1])
    length = nodes.op("ReduceL2", score, nodes.integers([1]), keepdims=1)
    # ONNX has no atan2: the arctangent of the slope is right to the right of the axis, half a turn off to its left
    slope = nodes.op("Atan", nodes.op("Div", up, across))
    left = nodes.op("Less", across, nodes.floats(0.0))
    turned = nodes.op("Where", left, nodes.op("Add", slope, nodes.floats(np.pi)), slope)
    below = nodes.op("Less", turned, nodes.floats(0.0))
    angle = nodes.op("Where", below, nodes.op("Add", turned, nodes.floats(2 * np.pi)), turned)
    value = nodes.op("Mul", angle, nodes.floats(coding.spread / (2 * np.pi)))
    short = nodes.op("Clip", length, nodes.floats(1e-3), nodes.floats(1.0))
    reach = 2 * np.pi * TOLERANCE / (max(error, 1e-12) * np.sqrt(2.0))
    confidence = nodes.op("Erf", nodes.op("Mul", short, nodes.floats(reach)))
    return Scores(value, confidence, nodes.op("Div", score, length))
