"""A second base for tests and benches: the shipped one, its latents turned by a rotation, and some silenced if wished.

A rotation makes a base that knows as much and says it in other words; silenced latents make one that knows less.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle
from heddle_platform.digest import sha256_hex


def rotation(latents: int, seed: int) -> NDArray[np.float64]:
    """Return a random rotation [L, L]."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(latents, latents)))[0]


def turned_base(
    bundle: BaseBundle, seed: int = 7, *, name: str = "turned", silent: Sequence[int] = ()
) -> tuple[BaseBundle, NDArray[np.float64]]:
    """Return a base whose standardised latents are those of `bundle` times Q, and Q.

    Args:
        bundle: the base to turn.
        seed: of the rotation.
        name: of the new base.
        silent: latents of the old base that the new one does not know of.
    """
    manifest = bundle.manifest
    turn_LL = rotation(manifest.latents, seed)
    heard_L = np.ones(manifest.latents)
    heard_L[list(silent)] = 0.0
    mean_L = np.array(manifest.latent_mean, np.float64)
    std_L = np.maximum(np.array(manifest.latent_std, np.float64), 1e-6)
    forwards_LL, back_LL = (heard_L / std_L)[:, None] * turn_LL, turn_LL.T * (heard_L * std_L)
    files = {
        **bundle.files,
        ENCODER: _appended(bundle.files[ENCODER], forwards_LL, -mean_L @ forwards_LL),
        DECODER: _prepended(bundle.files[DECODER], back_LL, mean_L),
    }
    fresh = manifest.model_copy(
        update={
            "name": name,
            "latent_mean": (0.0,) * manifest.latents,
            "latent_std": (1.0,) * manifest.latents,
            "files": {file: sha256_hex(data) for file, data in files.items()},
        }
    )
    return BaseBundle(fresh, files), turn_LL


def _appended(graph: bytes, matrix_LL: NDArray[np.float64], offset_L: NDArray[np.float64]) -> bytes:
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        for index, output in enumerate(node.output):
            if output == "latent":
                node.output[index] = "latent_before"
    _affine(model, "latent_before", "latent", matrix_LL, offset_L, at_start=False)
    return bytes(model.SerializeToString())


def _prepended(graph: bytes, matrix_LL: NDArray[np.float64], offset_L: NDArray[np.float64]) -> bytes:
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        for index, taken in enumerate(node.input):
            if taken == "latent":
                node.input[index] = "latent_inside"
    _affine(model, "latent", "latent_inside", matrix_LL, offset_L, at_start=True)
    return bytes(model.SerializeToString())


def _affine(
    model: onnx.ModelProto,
    source: str,
    target: str,
    matrix_LL: NDArray[np.float64],
    offset_L: NDArray[np.float64],
    *,
    at_start: bool,
) -> None:
    constants = {"turn": matrix_LL, "turn_offset": offset_L}
    model.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()
    )
    nodes = [
        helper.make_node("MatMul", [source, "turn"], ["turned"], name="turn_matmul"),
        helper.make_node("Add", ["turned", "turn_offset"], [target], name="turn_add"),
    ]
    for place, node in enumerate(nodes):
        model.graph.node.insert(place if at_start else len(model.graph.node), node)
