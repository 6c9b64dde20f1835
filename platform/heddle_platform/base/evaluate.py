"""What a base is worth on held-out images: error and sharpness per part, active units, KL per latent."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from heddle_platform.base.batches import to_float
from heddle_platform.base.corpus import Part
from heddle_platform.base.isolation.isolated import Isolated
from heddle_platform.base.network import Network
from heddle_platform.base.objectives.kl import kl_per_latent
from heddle_platform.base.sharpness import edge_energy, energy_share

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


def encode_means(network: Network | Isolated, images_NHWC: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior mean and logvar of uint8 images, [N, L] each, without gradients."""
    shape = (network.config.channels, network.config.image_size)
    with torch.no_grad():
        chunks = [
            network.encoder(to_float(images_NHWC[start : start + _BATCH], *shape))
            for start in range(0, len(images_NHWC), _BATCH)
        ]
    return torch.cat([mean for mean, _ in chunks]), torch.cat([logvar for _, logvar in chunks])


def evaluate(network: Network | Isolated, parts: tuple[Part, ...]) -> Evaluation:
    """Measure a network on held-out parts."""
    shape = (network.config.channels, network.config.image_size)
    mse: dict[str, float] = {}
    edges: dict[str, float] = {}
    means, kls = [], []
    for part in parts:
        mean, logvar = encode_means(network, part.images)
        errors, energies = [], []
        with torch.inference_mode():
            for start in range(0, len(mean), _BATCH):
                images = to_float(part.images[start : start + _BATCH], *shape)
                decoded = network.decoder(mean[start : start + _BATCH]).clamp(0, 1)
                errors.append((decoded - images).square().mean(dim=(1, 2, 3)))
                energies.append([edge_energy(each.permute(0, 2, 3, 1).numpy()) for each in (decoded, images)])
        mse[part.name] = float(torch.cat(errors).mean())
        edges[part.name] = energy_share(*(sum(each) for each in zip(*energies, strict=True)))
        means.append(mean)
        kls.append(kl_per_latent(mean, logvar))
    all_means = torch.cat(means)
    active = int((all_means.var(dim=0) > _ACTIVE_VARIANCE).sum())
    nats_L = tuple(float(kl) for kl in torch.cat(kls).mean(dim=0))
    codes = {part.name: mean.numpy() for part, mean in zip(parts, means, strict=True)}
    return Evaluation(mse, active, nats_L, edges, codes)
