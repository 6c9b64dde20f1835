"""A small flow on a base's latents: affine couplings (RealNVP, Dinh 2017) behind a FastICA rotation.

Trained by maximum likelihood under a product of one-dimensional mixtures that are fitted along. With marginals that
bend to any shape, the likelihood's only loss is what the outputs still tell of each other: fitting minimises their
total correlation (Dinh 2014, section 2), also where the mixing was not linear.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from heddle_platform.base.isolation.fastica import FastIcaConfig, Linear, fit_fastica
from heddle_platform.base.isolation.mapping import Mapping

_COMPONENTS = 5


class FlowConfig(BaseModel):
    """Size and training.

    Attributes:
        couplings: each moves half of the latents by the other half, in turns.
        hidden: width of a coupling's layer.
        bound: largest log of a coupling's scale; keeps the inverse well conditioned.
        steps, batch, learning_rate: Adam's.
        seed: of weights and batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["flow"] = "flow"
    couplings: int = Field(default=4, ge=1)
    hidden: int = Field(default=64, ge=1)
    bound: float = Field(default=1.0, gt=0)
    steps: int = Field(default=1000, ge=0)
    batch: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    seed: int = 0


class Coupling(nn.Module):
    """Scales and shifts one half of the latents by functions of the other, which stays."""

    keep_L: Tensor

    def __init__(self, config: FlowConfig, latents: int, parity: int) -> None:
        super().__init__()
        self.bound = config.bound
        self.register_buffer("keep_L", (torch.arange(latents) % 2 == parity).float())
        self.hidden = nn.Linear(latents, config.hidden)
        self.change = nn.Linear(config.hidden, 2 * latents)
        # Starts as the identity.
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def scale_and_shift(self, x_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Log scales and shifts, [B, L] each, 0 where latents are kept."""
        hidden = torch.tanh(self.hidden(x_BL * self.keep_L))
        scale, shift = self.change(hidden).chunk(2, dim=1)
        moved_L = 1 - self.keep_L
        return self.bound * torch.tanh(scale / self.bound) * moved_L, shift * moved_L


class Flow(Mapping):
    """A linear map and couplings; see the module's words.

    Args:
        config: size.
        latents: L, at least 2.
    """

    def __init__(self, config: FlowConfig, latents: int) -> None:
        super().__init__()
        self.linear = Linear(latents)
        self.couplings = nn.ModuleList(Coupling(config, latents, index % 2) for index in range(config.couplings))

    def _passes(self, latents_BL: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Each coupling's output and log scale."""
        x_BL = self.linear(latents_BL)
        for coupling in self.couplings:
            scale_BL, shift_BL = coupling.scale_and_shift(x_BL)  # type: ignore[operator]
            x_BL = x_BL * scale_BL.exp() + shift_BL
            yield x_BL, scale_BL

    def forward(self, latents_BL: Tensor) -> Tensor:
        """Isolate."""
        return list(self._passes(latents_BL))[-1][0]

    def inverse(self, isolated_BL: Tensor) -> Tensor:
        """Undo `forward`: each coupling reads its scale and shift from the half it had kept."""
        x_BL = isolated_BL
        for coupling in reversed(self.couplings):
            scale_BL, shift_BL = coupling.scale_and_shift(x_BL)  # type: ignore[operator]
            x_BL = (x_BL - shift_BL) * torch.exp(-scale_BL)
        return self.linear.inverse(x_BL)

    def log_variance(self, latents_BL: Tensor, logvar_BL: Tensor) -> Tensor:
        """Scales alone: how the kept half's own noise moves the other half is left out."""
        scales = torch.stack([scale_BL for _, scale_BL in self._passes(latents_BL)])
        return self.linear.log_variance(latents_BL, logvar_BL) + 2 * scales.sum(dim=0)


class _Marginals(nn.Module):
    """One mixture of normals per latent, [L, K], evenly spread over -2..2 to begin with."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.linspace(-2, 2, _COMPONENTS).repeat(latents, 1))
        self.log_spread = nn.Parameter(torch.full((latents, _COMPONENTS), math.log(0.7)))
        self.weight = nn.Parameter(torch.zeros(latents, _COMPONENTS))

    def forward(self, isolated_BL: Tensor) -> Tensor:
        """Log density of each row, [B], without its constant."""
        # Bounded below, or a component would settle on one latent value of many images.
        log_spread = self.log_spread.clamp(min=math.log(0.1))
        away = (isolated_BL[:, :, None] - self.centre) * torch.exp(-log_spread)
        parts = torch.log_softmax(self.weight, dim=1) - log_spread - 0.5 * away.square()
        return torch.logsumexp(parts, dim=2).sum(dim=1)


def fit_flow(config: FlowConfig, latents_NL: Tensor) -> Flow:
    """Fit a flow to a sample of latents.

    Args:
        config: size and training.
        latents_NL: N rows, more than L; L at least 2.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        flow, marginals = Flow(config, latents_NL.shape[1]), _Marginals(latents_NL.shape[1])
    flow.linear = fit_fastica(FastIcaConfig(seed=config.seed), latents_NL)
    optimiser = torch.optim.Adam([*flow.couplings.parameters(), *marginals.parameters()], lr=config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.steps))
        rows = torch.randint(len(latents_NL), (min(config.batch, len(latents_NL)),), generator=generator)
        passes = list(flow._passes(latents_NL[rows]))
        growth_B = torch.stack([scale_BL.sum(dim=1) for _, scale_BL in passes]).sum(dim=0)
        loss = -(marginals(passes[-1][0]) + growth_B).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return flow.eval().requires_grad_(False)
