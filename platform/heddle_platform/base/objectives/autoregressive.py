"""Likelihood by a strong decoder, which also sees the pixels before each pixel: how posterior collapse is induced.

What the decoder drew is corrected by what preceding pixels (above, and to the left) show of its error, as in PixelVAE
(Gulrajani 2017). A decoder that can tell a pixel from its neighbours needs no latents for it, and the KL term takes
them away (Bowman 2016; Chen 2017). The correction is left behind at export: for studying collapse and its cures, not
for bases that shall draw well.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class AutoregressiveConfig(BaseModel):
    """Gaussian likelihood given latents and preceding pixels.

    Attributes:
        sigma: standard deviation in image units.
        kernel: side of the first layer's window in pixels, odd; half of it lies before a pixel.
        width: channels of the hidden layers.
        layers: hidden layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["autoregressive"] = "autoregressive"
    schedule: Schedule = Schedule()
    sigma: float = Field(default=0.1, gt=0)
    kernel: Literal[3, 5, 7, 9] = 7
    width: int = Field(default=16, ge=1)
    layers: int = Field(default=2, ge=1)


class _Preceding(nn.Conv2d):
    """A convolution that sees only pixels before its own in reading order, or that one too."""

    seen: Tensor

    def __init__(self, channels: int, width: int, kernel: int, *, itself: bool) -> None:
        super().__init__(channels, width, kernel, padding=kernel // 2)
        seen = torch.zeros(kernel, kernel)
        seen[: kernel // 2] = 1
        seen[kernel // 2, : kernel // 2 + itself] = 1
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Convolve."""
        convolved: Tensor = self._conv_forward(x_BCHW, self.weight * self.seen, self.bias)
        return convolved


class Autoregressive(Term):
    """|x - y - c(x - y)|^2 / (2 sigma^2) of an image x drawn as y, summed over pixels, mean over images.

    c predicts each pixel's error from those of preceding pixels. Constants are left out.

    Args:
        config: the likelihood.
        channels: of the image.
    """

    name = "autoregressive"

    def __init__(self, config: AutoregressiveConfig, channels: int) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule
        widths = [config.width] * config.layers
        first = _Preceding(channels, config.width, config.kernel, itself=False)
        inner = [_Preceding(before, after, 3, itself=True) for before, after in pairwise(widths)]
        self.hidden = nn.ModuleList([first, *inner])
        self.paint = nn.Conv2d(config.width, channels, 1)
        nn.init.zeros_(self.paint.weight)  # a plain decoder at first

    def correction(self, error_BCHW: Tensor) -> Tensor:
        """What preceding pixels' errors say of each pixel's, same shape."""
        x_BCHW = error_BCHW
        for layer in self.hidden:
            x_BCHW = nn.functional.gelu(layer(x_BCHW))
        predicted: Tensor = self.paint(x_BCHW)
        return predicted

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        error = seen.images - seen.reconstruction
        left = error - self.correction(error)
        energy_B = torch.sum(left.square(), dim=(1, 2, 3))
        return energy_B.mean() / (2 * self.config.sigma**2)
