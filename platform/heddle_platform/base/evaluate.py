"""What a base is worth on held-out images: error and sharpness per part, active units, KL per latent."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from heddle_platform.base.batches import to_float
from heddle_platform.base.corpus import Part
from heddle_platform.base.network import Network
from heddle_platform.base.objectives.kl import kl_per_latent
from heddle_platform.base.sharpness import edge_share

_BATCH = 125
_ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True)
class Evaluation:
    """Held-out figures.

    Attributes:
        mse: part -> mean squared error of the decoded posterior mean, clamped to 0..1.
        active_units: latents whose posterior mean varies by more than .01 (Burda 2016).
        kl_per_latent: mean KL of each latent in nats.
        edges: part -> edge energy of the reconstructions over that of the images.
        codes: part -> posterior means, raw, [N, L].
    """

    mse: dict[str, float]
    active_units: int
    kl_per_latent: tuple[float, ...]
    edges: dict[str, float]
    codes: dict[str, NDArray[np.float32]]


def encode_means(network: Network, images_NHWC: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior mean and logvar of uint8 images, [N, L] each, without gradients."""
    with torch.inference_mode():
        chunks = [
            network.encoder(to_float(images_NHWC[start : start + _BATCH]))
            for start in range(0, len(images_NHWC), _BATCH)
        ]
    return torch.cat([mean for mean, _ in chunks]), torch.cat([logvar for _, logvar in chunks])


def evaluate(network: Network, parts: tuple[Part, ...]) -> Evaluation:
    """Measure a network on held-out parts."""
    mse: dict[str, float] = {}
    edges: dict[str, float] = {}
    means, kls = [], []
    for part in parts:
        mean, logvar = encode_means(network, part.images)
        images = to_float(part.images)
        with torch.inference_mode():
            decoded = torch.cat(
                [network.decoder(mean[start : start + _BATCH]).clamp(0, 1) for start in range(0, len(mean), _BATCH)]
            )
        mse[part.name] = float((decoded - images).square().mean())
        drawn_NHWC, images_NHWC = (each.permute(0, 2, 3, 1).numpy() for each in (decoded, images))
        edges[part.name] = edge_share(drawn_NHWC, images_NHWC)
        means.append(mean)
        kls.append(kl_per_latent(mean, logvar))
    all_means = torch.cat(means)
    active = int((all_means.var(dim=0) > _ACTIVE_VARIANCE).sum())
    nats_L = tuple(float(kl) for kl in torch.cat(kls).mean(dim=0))
    codes = {part.name: mean.numpy() for part, mean in zip(parts, means, strict=True)}
    return Evaluation(mse, active, nats_L, edges, codes)
