"""A base with a post-hoc map between its network and its latents: what is exported is encoder, map, and back."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from heddle_platform.base.isolation.fastica import FastIcaConfig, Linear, fit_fastica
from heddle_platform.base.isolation.flow import Flow, FlowConfig, fit_flow
from heddle_platform.base.isolation.mapping import Mapping
from heddle_platform.base.network import Network

AfterConfig = Annotated[FastIcaConfig | FlowConfig, Field(discriminator="kind")]


class IsolatedEncoder(nn.Module):
    """Images -> (mean, logvar) of isolated latents."""

    def __init__(self, network: Network, mapping: Mapping) -> None:
        super().__init__()
        self.encoder, self.mapping = network.encoder, mapping

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Encode, then isolate."""
        mean, logvar = self.encoder(images_BCHW)
        return self.mapping(mean), self.mapping.log_variance(mean, logvar)


class IsolatedDecoder(nn.Module):
    """Isolated latents -> images."""

    def __init__(self, network: Network, mapping: Mapping) -> None:
        super().__init__()
        self.decoder, self.mapping = network.decoder, mapping

    def forward(self, isolated_BL: Tensor) -> Tensor:
        """Undo the isolation, then decode."""
        images: Tensor = self.decoder(self.mapping.inverse(isolated_BL))
        return images


class Isolated(nn.Module):
    """A network and its map; has what a `Network` has."""

    def __init__(self, network: Network, mapping: Mapping) -> None:
        super().__init__()
        self.config = network.config
        self.encoder = IsolatedEncoder(network, mapping)
        self.decoder = IsolatedDecoder(network, mapping)


def fit_mapping(config: FastIcaConfig | FlowConfig, latents_NL: Tensor) -> Mapping:
    """Fit the map a recipe's entry stands for to a sample of posterior means."""
    match config:
        case FastIcaConfig():
            return fit_fastica(config, latents_NL)
        case FlowConfig():
            return fit_flow(config, latents_NL)


def blank_mapping(config: FastIcaConfig | FlowConfig, latents: int) -> Mapping:
    """The map of a recipe's entry before it is fitted, to load weights into."""
    match config:
        case FastIcaConfig():
            return Linear(latents)
        case FlowConfig():
            return Flow(config, latents)


def isolate(network: Network, config: FastIcaConfig | FlowConfig, latents_NL: Tensor) -> Isolated:
    """Fit a map to a network's latents and put it in their place."""
    with torch.enable_grad():
        mapping = fit_mapping(config, latents_NL)
    return Isolated(network, mapping)
