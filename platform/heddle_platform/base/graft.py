"""Grafting: a base's two graphs set into an editor core, on ONNX's wire format and without the onnx library.

A core is an adapter's whole editor with the base cut out: where the base belongs it has four ports, two inputs and
two outputs named below. It is some hundred kilobytes; the base it goes with is megabytes and shared by everybody.
So a version stores its core, and the one-file editor is put together when somebody asks for it, in any process.

    image, core, [encoder.image] encoder [encoder.latent], core, [decoder.latent] decoder [decoder.image], core, edited

An ONNX file is a protobuf message (onnx.proto3); only names inside nodes and initialisers are rewritten, everything
else is copied as it stands, and fields leave in ascending order, so equal parts give equal bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from heddle_platform.errors import DataCorrupt

ENCODER_IN: Final = "encoder.image"
ENCODER_OUT: Final = "encoder.latent"
DECODER_IN: Final = "decoder.latent"
DECODER_OUT: Final = "decoder.image"

# numbers of fields in onnx.proto3
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_NODES, _INITIALIZERS, _INPUTS, _OUTPUTS, _VALUE_INFO = 1, 5, 11, 12, 13
_GRAPH_IGNORED = {2, 10, _INPUTS, _OUTPUTS, _VALUE_INFO, 16}  # name, notes, and what shape inference finds again
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_ATTRIBUTE = 1, 2, 3, 5
_ATTRIBUTE_GRAPHS = {6, 11}
_TENSOR_NAME, _VALUE_NAME = 8, 1
_BYTES = 2  # wire type


class _Field(NamedTuple):
    number: int
    wire: int
    payload: bytes  # of length-delimited fields without the length, else as it stood


def graft(core: bytes, encoder: bytes, decoder: bytes) -> bytes:
    """Return the one-file editor.

    Args:
        core: an adapter's editor core.
        encoder, decoder: the base's graphs, as in its bundle.

    Raises:
        DataCorrupt: code `graft_failed`: bytes are no ONNX model, opsets differ, or a graph has parts that are not
            understood here.
    """
    try:
        model = list(_fields(core))
        [graph] = [field.payload for field in model if field.number == _MODEL_GRAPH]
        opset = [field.payload for field in model if field.number == _MODEL_OPSET]
        for base in (encoder, decoder):
            _check_opset(base, opset)
        grafted = _grafted(
            list(_fields(graph)),
            _renamed(encoder, "encoder/", ENCODER_IN, ENCODER_OUT),
            _renamed(decoder, "decoder/", DECODER_IN, DECODER_OUT),
        )
        fields = [field._replace(payload=grafted) if field.number == _MODEL_GRAPH else field for field in model]
        return _message(fields)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise DataCorrupt(
            f"the editor cannot be put together of {len(core)} + {len(encoder)} + {len(decoder)} bytes: {error}",
            code="graft_failed",
        ) from error


def _grafted(core: Sequence[_Field], encoder: Sequence[_Field], decoder: Sequence[_Field]) -> bytes:
    """Set both bases' nodes before the first node of the core that needs them, and take the ports away."""
    nodes: list[_Field] = []
    waiting = {ENCODER_OUT: encoder, DECODER_OUT: decoder}
    for node in (field for field in core if field.number == _NODES):
        needed = {part.payload.decode() for part in _fields(node.payload) if part.number == _NODE_INPUT}
        for port in [port for port in waiting if port in needed]:
            nodes += [field for field in waiting.pop(port) if field.number == _NODES]
        nodes.append(node)
    if waiting:
        raise ValueError(f"the core has no port {', '.join(waiting)}")
    ports = {ENCODER_IN, ENCODER_OUT, DECODER_IN, DECODER_OUT}
    rest = [
        field
        for field in core
        if field.number != _NODES and not (field.number in (_INPUTS, _OUTPUTS) and _name(field, _VALUE_NAME) in ports)
    ]
    weights = [field for field in (*encoder, *decoder) if field.number == _INITIALIZERS]
    return _message(sorted([*nodes, *rest, *weights], key=lambda field: field.number))


def _renamed(model: bytes, prefix: str, source: str, target: str) -> list[_Field]:
    """Return a base graph's nodes and weights, every name prefixed but the ports."""
    graphs = [field.payload for field in _fields(model) if field.number == _MODEL_GRAPH]
    if len(graphs) != 1 or any(field.number == _MODEL_FUNCTIONS for field in _fields(model)):
        raise ValueError("a base graph is one graph without functions")
    fields = list(_fields(graphs[0]))
    inputs, outputs = (
        [_name(field, _VALUE_NAME) for field in fields if field.number == number] for number in (_INPUTS, _OUTPUTS)
    )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"a base graph has one input and one output, this one {len(inputs)} and {len(outputs)}")
    names = {inputs[0]: source, outputs[0]: target, "": ""}
    renamed = []
    for field in fields:
        if field.number == _NODES:
            renamed.append(field._replace(payload=_renamed_node(field.payload, prefix, names)))
        elif field.number == _INITIALIZERS:
            renamed.append(field._replace(payload=_with_names(field.payload, {_TENSOR_NAME}, prefix, {})))
        elif field.number not in _GRAPH_IGNORED:
            raise ValueError(f"a base graph has a field {field.number} that is not understood")
    return renamed


def _renamed_node(node: bytes, prefix: str, names: Mapping[str, str]) -> bytes:
    for field in _fields(node):
        if field.number == _NODE_ATTRIBUTE and any(part.number in _ATTRIBUTE_GRAPHS for part in _fields(field.payload)):
            raise ValueError("a base graph has a node with a graph inside")
    return _with_names(node, {_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME}, prefix, names)


def _with_names(message: bytes, numbers: set[int], prefix: str, names: Mapping[str, str]) -> bytes:
    fields = []
    for field in _fields(message):
        if field.number in numbers:
            name = field.payload.decode()
            field = field._replace(payload=names.get(name, prefix + name).encode())
        fields.append(field)
    return _message(fields)


def _check_opset(base: bytes, opset: Sequence[bytes]) -> None:
    found = [field.payload for field in _fields(base) if field.number == _MODEL_OPSET]
    if found != list(opset):
        raise ValueError("the base's graphs are of another opset than the core")


def _name(field: _Field, number: int) -> str:
    return next(part.payload for part in _fields(field.payload) if part.number == number).decode()


def _fields(message: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        start = at
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == _BYTES:
            length, start = _varint(message, at)
            at = start + length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {start}")
        if at > len(message):
            raise ValueError(f"a field ends at byte {at} of {len(message)}")
        yield _Field(number, wire, message[start:at])


def _message(fields: Sequence[_Field]) -> bytes:
    parts = []
    for field in fields:
        parts.append(_as_varint(field.number << 3 | field.wire))
        if field.wire == _BYTES:
            parts.append(_as_varint(len(field.payload)))
        parts.append(field.payload)
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number of more than 64 bits ends at byte {at}")


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
