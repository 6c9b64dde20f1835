"""From a trained network to a bundle: weights rounded once, two ONNX graphs, parity proved before anything is written.

Weights are rounded to half precision first and stored so; graphs cast them back when they are loaded and compute in
single precision. A weight that a graph holds under its own name is stored there alone: twice the network fits a bundle.
"""

import copy
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import onnxruntime
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from heddle_platform.base.batches import LUMA, to_float
from heddle_platform.base.bundle import (
    DECODER,
    ENCODER,
    WEIGHTS,
    BaseBundle,
    BaseManifest,
    BaseMetrics,
    CorpusSummary,
)
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus
from heddle_platform.base.evaluate import encode_means, evaluate
from heddle_platform.base.graph import export_graph, graph_weights
from heddle_platform.base.isolation.fastica import FastIcaConfig
from heddle_platform.base.isolation.flow import FlowConfig
from heddle_platform.base.isolation.isolated import AfterConfig, Isolated, blank_mapping, isolate
from heddle_platform.base.network import Network, network_config
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import HeddleError
from heddle_platform.telemetry import code_version

LATENT_TOLERANCE = 1e-5
IMAGE_TOLERANCE = 1e-4
PARITY_BATCHES = (1, 2, 7, 64)

_STATISTICS_IMAGES = 8192

Trained = TypeVar("Trained", Network, Isolated)


class ParityError(HeddleError):
    """The exported graph does not compute what the network computes."""

    default_code = "parity_failed"


class _MeanOnly(nn.Module):
    """RGB images -> posterior mean; a grey network sees their luma."""

    luma: Tensor

    def __init__(self, network: Network | Isolated) -> None:
        super().__init__()
        self.encoder, self.grey = network.encoder, network.config.channels == 1
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        seen = (image * self.luma).sum(dim=1, keepdim=True) if self.grey else image
        mean: Tensor = self.encoder(seen)[0]
        return mean


class _InRange(nn.Module):
    """Latents -> RGB images in 0..1."""

    def __init__(self, network: Network | Isolated) -> None:
        super().__init__()
        self.decoder, self.grey = network.decoder, network.config.channels == 1

    def forward(self, latent: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(latent).clamp(0, 1)
        return torch.cat([drawn] * 3, dim=1) if self.grey else drawn


def export_bundle(network: Network, recipe: Recipe, corpus: Corpus, *, steps: int) -> BaseBundle:
    """Make the bundle of a trained network.

    Args:
        network: trained weights; left as they are.
        recipe: what it was trained by; its `after` is fitted here and becomes part of both graphs.
        corpus: for latent statistics, metrics and parity images.
        steps: training steps taken.
    Returns:
        A verified bundle.
    Raises:
        ParityError: a graph differs from the network by more than the tolerances.
    """
    plain = round_weights(network)
    rounded: Network | Isolated = plain
    if recipe.after is not None:
        sample_NL, _ = encode_means(plain, _sample(corpus, recipe.seed))
        rounded = round_weights(isolate(plain, recipe.after, sample_NL))
    mean_L, std_L = latent_statistics(rounded, corpus, recipe.seed)
    config = recipe.network
    graphs = {
        ENCODER: export_graph(_MeanOnly(rounded), "image", "latent", (3, config.image_size, config.image_size)),
        DECODER: export_graph(_InRange(rounded), "latent", "image", (config.latents,)),
    }
    probe = np.concatenate([part.images[:8] for part in corpus.held_out])
    parity_latent, parity_image = check_parity(rounded, graphs, to_float(probe, 3, config.image_size), std_L)
    figures = evaluate(rounded, corpus.held_out)
    drawn = {name for graph in graphs.values() for name in graph_weights(graph)}
    state = {name: _stored(value) for name, value in rounded.state_dict().items() if name not in drawn}
    files = {WEIGHTS: safetensors.torch.save(state), **graphs}
    manifest = BaseManifest(
        name=recipe.name,
        image_size=config.image_size,
        channels=config.channels,
        latents=config.latents,
        latent_mean=tuple(float(value) for value in mean_L),
        latent_std=tuple(float(value) for value in std_L),
        recipe=recipe.model_dump(mode="json"),
        corpus=CorpusSummary(images=corpus.counts, seed=recipe.corpus.seed),
        metrics=BaseMetrics(
            mse=figures.mse,
            active_units=figures.active_units,
            kl_per_latent=figures.kl_per_latent,
            steps=steps,
            parity_latent=parity_latent,
            parity_image=parity_image,
        ),
        code_version=code_version(),
        trained_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        files={name: sha256_hex(data) for name, data in files.items()},
    )
    return BaseBundle(manifest, files)


def network_from_bundle(bundle: BaseBundle) -> Network | Isolated:
    """The torch network of a bundle, in single precision, ready for fine-tuning."""
    recipe = bundle.manifest.recipe
    plain = Network(network_config(recipe["network"]))
    network: Network | Isolated = plain
    if recipe.get("after") is not None:
        after = TypeAdapter[FastIcaConfig | FlowConfig](AfterConfig).validate_python(recipe["after"])
        network = Isolated(plain, blank_mapping(after, plain.config.latents))
    wanted = network.state_dict()
    graphs = {
        name: torch.tensor(values)
        for graph in (ENCODER, DECODER)
        for name, values in graph_weights(bundle.files[graph]).items()
        if name in wanted
    }
    state = graphs | safetensors.torch.load(bundle.files[WEIGHTS])
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network


def round_weights(network: Trained) -> Trained:
    """A copy whose every weight is a half-precision number held in single precision; buffers stay as they are."""
    rounded = copy.deepcopy(network).eval().requires_grad_(False)
    for parameter in rounded.parameters():
        parameter.copy_(parameter.half().float())
    return rounded


def _stored(value: Tensor) -> Tensor:
    """Half precision where that is exact, and row by row in memory: convolutions are kept channels last."""
    half = value.half()
    kept = half if torch.equal(half.float(), value) else value.clone()
    return kept.contiguous()


def latent_statistics(
    network: Network | Isolated, corpus: Corpus, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the posterior mean over a random sample of the corpus, [L] each."""
    mean_NL, _ = encode_means(network, _sample(corpus, seed))
    return mean_NL.mean(dim=0).numpy(), mean_NL.std(dim=0).numpy()


def _sample(corpus: Corpus, seed: int) -> NDArray[np.uint8]:
    parts = [part.at(0.0) for part in corpus.parts]  # of a streamed part its first window, a random one
    sizes = [len(part.images) for part in parts]
    total = sum(sizes)
    rows = np.random.default_rng(seed).permutation(total)[:_STATISTICS_IMAGES]
    starts = np.cumsum([0, *sizes])
    return np.stack(
        [
            part.images[row]
            for part, start, size in zip(parts, starts, sizes, strict=False)
            for row in np.sort(rows[(rows >= start) & (rows < start + size)]) - start
        ]
    )


def check_parity(
    network: Network | Isolated, graphs: dict[str, bytes], images_BCHW: Tensor, std_L: NDArray[np.float32]
) -> tuple[float, float]:
    """Compare torch and ONNX Runtime at batches of 1, 2, 7 and 64.

    Returns:
        Largest difference of a latent in its standard deviations, and of a pixel.
    Raises:
        ParityError: either exceeds its tolerance.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    encoder, decoder = (
        onnxruntime.InferenceSession(graphs[name], options, providers=["CPUExecutionProvider"])
        for name in (ENCODER, DECODER)
    )
    repeats = -(-max(PARITY_BATCHES) // len(images_BCHW))
    images = images_BCHW.repeat(repeats, 1, 1, 1)
    read, draw = _MeanOnly(network), _InRange(network)
    worst_latent = worst_image = 0.0
    for batch in PARITY_BATCHES:
        with torch.inference_mode():
            mean = read(images[:batch])
            decoded = draw(mean)
        latent = encoder.run(None, {"image": images[:batch].numpy()})[0]
        image = decoder.run(None, {"latent": mean.numpy()})[0]
        worst_latent = max(worst_latent, float((np.abs(latent - mean.numpy()) / np.maximum(std_L, 1e-3)).max()))
        worst_image = max(worst_image, float(np.abs(image - decoded.numpy()).max()))
    for name, worst, allowed in (
        ("latents", worst_latent, LATENT_TOLERANCE),
        ("images", worst_image, IMAGE_TOLERANCE),
    ):
        # Written so that a NaN fails.
        if not worst <= allowed:
            raise ParityError(f"ONNX {name} differ from torch by {worst:.2e}, allowed {allowed:.0e}; do not ship this")
    return worst_latent, worst_image
