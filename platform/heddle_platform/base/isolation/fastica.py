"""FastICA on a base's latents (Hyvarinen 1999, symmetric, log cosh): the rotation that makes them least Gaussian.

A VAE's prior does not mind a rotation of the code; factors do. Independent factors that are not Gaussian mix into
something more Gaussian (central limit), so the least Gaussian directions are the factors.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from heddle_platform.base.isolation.mapping import Mapping

_DEAD_STD = 0.05


class FastIcaConfig(BaseModel):
    """When to stop.

    Attributes:
        iterations: at most.
        tolerance: stop when no direction turns by more, as 1 - |cosine|.
        seed: of the first guess.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["fastica"] = "fastica"
    iterations: int = Field(default=500, ge=1)
    tolerance: float = Field(default=1e-6, gt=0)
    seed: int = 0


class Linear(Mapping):
    """isolated = (latents - centre) unmixing', latents = isolated mixing' + centre.

    Buffers, not parameters: rounded to half precision the two matrices would no longer undo each other.

    Args:
        latents: L.
    """

    centre_L: Tensor
    unmixing_LL: Tensor
    mixing_LL: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.register_buffer("centre_L", torch.zeros(latents))
        self.register_buffer("unmixing_LL", torch.eye(latents))
        self.register_buffer("mixing_LL", torch.eye(latents))

    def forward(self, latents_BL: Tensor) -> Tensor:
        """Isolate."""
        return (latents_BL - self.centre_L) @ self.unmixing_LL.T

    def inverse(self, isolated_BL: Tensor) -> Tensor:
        """Undo `forward`."""
        return isolated_BL @ self.mixing_LL.T + self.centre_L

    def log_variance(self, latents_BL: Tensor, logvar_BL: Tensor) -> Tensor:
        """Exact for a linear map."""
        variance_BL = logvar_BL.exp() @ self.unmixing_LL.square().T
        return variance_BL.log()


def fit_fastica(config: FastIcaConfig, latents_NL: Tensor) -> Linear:
    """Find the unmixing of a sample of latents.

    Args:
        config: when to stop.
        latents_NL: N rows, more than L. Latents of less than .05 standard deviation are dead and left as they are.
    Returns:
        The map; isolated latents have mean 0 and variance 1, ordered and signed like the latents they are nearest to.
    """
    samples = latents_NL.double()
    live = samples.std(dim=0) > _DEAD_STD
    mapping = Linear(samples.shape[1])
    if not bool(live.any()):
        return mapping
    centre_L = torch.where(live, samples.mean(dim=0), 0.0)
    centred = (samples - centre_L)[:, live]
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    whitening = vectors / values.clamp(min=values.max() * 1e-9).sqrt()
    rotation = _rotate(config, centred @ whitening)
    unmixing = _arranged(rotation @ whitening.T, centred)
    every_LL = torch.eye(samples.shape[1], dtype=torch.float64)
    rows = live.nonzero()[:, 0]
    every_LL[rows[:, None], rows[None]] = unmixing
    mapping.centre_L.copy_(centre_L)
    mapping.unmixing_LL.copy_(every_LL)
    # Of the unmixing as it is kept, in single precision.
    mapping.mixing_LL.copy_(torch.linalg.inv(mapping.unmixing_LL.double()))
    return mapping


def _rotate(config: FastIcaConfig, white_NK: Tensor) -> Tensor:
    """The orthogonal [K, K] of least Gaussian directions (Hyvarinen 1999, eq. 20, all at once)."""
    count, size = white_NK.shape
    generator = torch.Generator().manual_seed(config.seed)
    rotation = _orthogonal(torch.randn(size, size, generator=generator, dtype=torch.float64))
    for _ in range(config.iterations):
        bent = torch.tanh(white_NK @ rotation.T)
        slope_K = (1 - bent.square()).mean(dim=0)
        turned = _orthogonal(bent.T @ white_NK / count - slope_K[:, None] * rotation)
        change = (1 - (turned * rotation).sum(dim=1).abs()).max()
        rotation = turned
        if float(change) < config.tolerance:
            break
    return rotation


def _orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix: (M M')^-1/2 M."""
    left, _, right = torch.linalg.svd(matrix)
    return torch.as_tensor(left @ right)


def _arranged(unmixing: Tensor, centred: Tensor) -> Tensor:
    """Order and sign components by correlation, strongest first, so that latents keep their places where they can."""
    isolated = centred @ unmixing.T
    correlation = isolated.T @ (centred / centred.std(dim=0)) / len(centred)
    left, place = correlation.abs().clone(), torch.zeros(len(unmixing), dtype=torch.long)
    for _ in range(len(unmixing)):
        component, latent = divmod(int(left.argmax()), len(unmixing))
        place[latent] = component
        left[component], left[:, latent] = -1, -1
    signs = torch.where(correlation[place, torch.arange(len(place))] < 0, -1.0, 1.0)
    return unmixing[place] * signs[:, None]
