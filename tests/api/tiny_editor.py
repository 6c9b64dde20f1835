"""The smallest base and editor core that can be grafted: identities with the right ports."""

from functools import lru_cache

from onnx import TensorProto, helper

from heddle_platform.base.graft import DECODER_IN, DECODER_OUT, ENCODER_IN, ENCODER_OUT


@lru_cache(maxsize=1)
def tiny_parts() -> tuple[bytes, bytes, bytes]:
    """Return (core, encoder, decoder)."""
    core = _model(
        [("image", ENCODER_IN), (ENCODER_OUT, DECODER_IN), (DECODER_OUT, "edited")],
        ["image", ENCODER_OUT, DECODER_OUT],
        ["edited", ENCODER_IN, DECODER_IN],
    )
    return (
        core,
        _model([("image", "latent")], ["image"], ["latent"]),
        _model([("latent", "image")], ["latent"], ["image"]),
    )


def _model(steps: list[tuple[str, str]], inputs: list[str], outputs: list[str]) -> bytes:
    known = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in (*inputs, *outputs)}
    graph = helper.make_graph(
        [helper.make_node("Identity", [source], [target], name=target) for source, target in steps],
        "tiny",
        [known[name] for name in inputs],
        [known[name] for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString(deterministic=True))
