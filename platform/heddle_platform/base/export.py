"""From a trained network to a bundle: weights rounded once, two ONNX graphs, parity proved before anything is written.

Weights are rounded to half precision first and stored so in all three files; graphs cast them back when they are
loaded and compute in single precision. So the files agree to the bit and the bundle is half the size.
"""

import copy
from datetime import UTC, datetime

import numpy as np
import onnxruntime
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heddle_platform.base.batches import to_float
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
from heddle_platform.base.graph import export_graph
from heddle_platform.base.network import Decoder, Encoder, Network, NetworkConfig
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import HeddleError
from heddle_platform.telemetry import code_version

LATENT_TOLERANCE = 1e-5
IMAGE_TOLERANCE = 1e-4
PARITY_BATCHES = (1, 2, 7, 64)

_STATISTICS_IMAGES = 8192


class ParityError(HeddleError):
    """The exported graph does not compute what the network computes."""

    default_code = "parity_failed"


class _MeanOnly(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        return self.encoder(image)[0]  # type: ignore[no-any-return]


class _InRange(nn.Module):
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> Tensor:
        return self.decoder(latent).clamp(0, 1)  # type: ignore[no-any-return]


def export_bundle(network: Network, recipe: Recipe, corpus: Corpus, *, steps: int) -> BaseBundle:
    """Make the bundle of a trained network.

    Args:
        network: trained weights; left as they are.
        recipe: what it was trained by.
        corpus: for latent statistics, metrics and parity images.
        steps: training steps taken.
    Returns:
        A verified bundle.
    Raises:
        ParityError: a graph differs from the network by more than the tolerances.
    """
    rounded = round_weights(network)
    mean_L, std_L = latent_statistics(rounded, corpus, recipe.seed)
    config = recipe.network
    graphs = {
        ENCODER: export_graph(_MeanOnly(rounded.encoder), "image", "latent", (3, config.image_size, config.image_size)),
        DECODER: export_graph(_InRange(rounded.decoder), "latent", "image", (config.latents,)),
    }
    probe = np.concatenate([part.images[:8] for part in corpus.held_out])
    parity_latent, parity_image = check_parity(rounded, graphs, to_float(probe), std_L)
    figures = evaluate(rounded, corpus.held_out)
    state = {name: value.half() for name, value in rounded.state_dict().items()}
    files = {WEIGHTS: safetensors.torch.save(state), **graphs}
    manifest = BaseManifest(
        name=recipe.name,
        image_size=config.image_size,
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


def network_from_bundle(bundle: BaseBundle) -> Network:
    """The torch network of a bundle, in single precision, ready for fine-tuning."""
    network = Network(NetworkConfig.model_validate(bundle.manifest.recipe["network"]))
    state = safetensors.torch.load(bundle.files[WEIGHTS])
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network


def round_weights(network: Network) -> Network:
    """A copy whose every weight is a half-precision number held in single precision."""
    rounded = copy.deepcopy(network).eval().requires_grad_(False)
    for parameter in rounded.parameters():
        parameter.copy_(parameter.half().float())
    return rounded


def latent_statistics(network: Network, corpus: Corpus, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the posterior mean over a random sample of the corpus, [L] each."""
    sizes = [len(part.images) for part in corpus.parts]
    total = sum(sizes)
    rows = np.random.default_rng(seed).permutation(total)[:_STATISTICS_IMAGES]
    starts = np.cumsum([0, *sizes])
    chosen = [
        part.images[np.sort(rows[(rows >= start) & (rows < start + size)]) - start]
        for part, start, size in zip(corpus.parts, starts, sizes, strict=False)
    ]
    mean_NL, _ = encode_means(network, np.concatenate(chosen))
    return mean_NL.mean(dim=0).numpy(), mean_NL.std(dim=0).numpy()


def check_parity(
    network: Network, graphs: dict[str, bytes], images_BCHW: Tensor, std_L: NDArray[np.float32]
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
    worst_latent = worst_image = 0.0
    for batch in PARITY_BATCHES:
        with torch.inference_mode():
            mean = network.encoder(images[:batch])[0]
            decoded = network.decoder(mean).clamp(0, 1)
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
