"""The convolutional pair of the literature: 4x4 kernels of stride 2, then one wide layer, and the mirror image.

At 64 pixels with its default sizes this is the network of Burgess 2018 and of disentanglement_lib (32-32-64-64
channels, 256 wide), so that published figures have a peer here. Its depth follows the image's side: every image is
halved down to 4x4, by three, four or five convolutions. A deeper network repeats the outermost channels.

Letters: B batch, C channels, H and W pixels, L latents.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

_LAST_SIDE = 4
_KERNEL, _STRIDE, _PADDING = 4, 2, 1


class ConvolutionConfig(BaseModel):
    """Size of the convolutional pair.

    Attributes:
        image_size: side of the square image in pixels.
        channels: 1 (grey) or 3 (RGB).
        latents: number of latents.
        maps: channels after each convolution at 64 pixels, outermost first; at 32 the first is left out, at 128 it
            comes twice.
        hidden: width of the layer between convolutions and latents.
        output: "linear" leaves pixels as they are, for squared errors; "sigmoid" makes them probabilities, which
            `bernoulli` needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["convolution"] = "convolution"
    image_size: Literal[32, 64, 128] = 64
    channels: Literal[1, 3] = 3
    latents: int = Field(default=10, ge=1)
    maps: tuple[int, int, int, int] = (32, 32, 64, 64)
    hidden: int = Field(default=256, ge=1)
    output: Literal["linear", "sigmoid"] = "linear"

    @property
    def tokens(self) -> int:
        """Parts that the layer beside the convolutions falls into: one, its weights belong to no place of the image."""
        return 1

    @property
    def depths(self) -> tuple[int, ...]:
        """Channels after each convolution, for this image size."""
        by_size = {32: self.maps[1:], 64: self.maps, 128: (self.maps[0], *self.maps)}
        return by_size[self.image_size]


def _start(layer: nn.Module) -> None:
    """Weights that keep variances through ReLUs (He 2015), no biases: images are told apart from the first step on."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        # Of a transposed convolution each output pixel sees a quarter of the kernel, of as many channels as come in.
        seen = layer.weight.shape[0] * _STRIDE**2 if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=(2 / seen) ** 0.5)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def by_phases(x_BCHW: Tensor, transposed: nn.ConvTranspose2d) -> Tensor:
    """What a transposed convolution of this file's kernel gives, computed as a 2x2 convolution (Shi 2016).

    Of the 4x4 kernel each pixel of the output sees 2x2, which ones depends on whether its row and column are even: so
    the four kinds are four times as many channels of a picture of half the size. oneDNN draws three channels so in
    half the time or less.
    """
    batch, _, height, width = x_BCHW.shape
    weight_IOKK, bias = transposed.weight, transposed.bias
    inner, outer = weight_IOKK.shape[:2]
    # [I, O, row tap, row phase, column tap, column phase], taps from last to first: a convolution reads them backwards.
    phases = weight_IOKK.reshape(inner, outer, 2, 2, 2, 2).flip(2, 4).permute(3, 5, 1, 0, 2, 4)
    kernel = phases.reshape(4 * outer, inner, 2, 2).contiguous(memory_format=torch.channels_last)
    kinds = nn.functional.conv2d(x_BCHW, kernel, None if bias is None else bias.repeat(4), padding=1)
    split = kinds.permute(0, 2, 3, 1).reshape(batch, height + 1, width + 1, 2, 2, outer)
    whole = split.transpose(2, 3).reshape(batch, 2 * height + 2, 2 * width + 2, outer)
    return whole[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


class ConvolutionEncoder(nn.Module):
    """Images [B, C, H, W] in 0..1 -> (mean, logvar), both [B, L]."""

    def __init__(self, config: ConvolutionConfig) -> None:
        super().__init__()
        channels = (config.channels, *config.depths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, _KERNEL, _STRIDE, _PADDING) for before, after in pairwise(channels)
        )
        self.gather = nn.Linear(config.depths[-1] * _LAST_SIDE**2, config.hidden)
        self.mean = nn.Linear(config.hidden, config.latents)
        self.logvar = nn.Linear(config.hidden, config.latents)
        # Measured on one core: a fifth faster than channels first, in float32 and in bfloat16.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.apply(_start)
        # Every posterior starts as wide as the prior.
        nn.init.zeros_(self.logvar.weight)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        x_BCHW = images_BCHW
        for convolution in self.convolutions:
            x_BCHW = convolution(x_BCHW).relu_()
        gathered = nn.functional.relu(self.gather(x_BCHW.flatten(1)))
        return self.mean(gathered), self.logvar(gathered).clamp(-10, 4)


class ConvolutionDecoder(nn.Module):
    """Latents [B, L] -> images [B, C, H, W]; unclamped if the output is linear."""

    def __init__(self, config: ConvolutionConfig) -> None:
        super().__init__()
        self.output = config.output
        channels = (*reversed(config.depths), config.channels)
        self.inner = config.depths[-1]
        self.hidden = nn.Linear(config.latents, config.hidden)
        self.spread = nn.Linear(config.hidden, self.inner * _LAST_SIDE**2)
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(before, after, _KERNEL, _STRIDE, _PADDING) for before, after in pairwise(channels[:-1])
        )
        self.paint = nn.ConvTranspose2d(channels[-2], channels[-1], _KERNEL, _STRIDE, _PADDING)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.apply(_start)
        with torch.no_grad():
            # Pictures start plain: what a linear output would draw at full variance is far outside 0..1.
            self.paint.weight *= 0.1

    def forward(self, latents_BL: Tensor) -> Tensor:
        """Decode."""
        hidden = nn.functional.relu(self.hidden(latents_BL))
        spread = nn.functional.relu(self.spread(hidden))
        x_BCHW = spread.reshape(-1, self.inner, _LAST_SIDE, _LAST_SIDE)
        for convolution in self.convolutions:
            x_BCHW = convolution(x_BCHW).relu_()
        # Only while it trains: exported graphs keep the one operator that every runtime knows.
        painted: Tensor = by_phases(x_BCHW, self.paint) if self.training else self.paint(x_BCHW)
        # In single precision whatever the products were: bfloat16 has no number between .996 and 1.
        return torch.sigmoid(painted.float()) if self.output == "sigmoid" else painted
