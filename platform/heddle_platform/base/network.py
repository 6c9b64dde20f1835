"""The base's network: an encoder and a decoder, by default made of linear layers on 8x8 patches.

Small convolutions (`convolution.py`) spend a CPU's time on layout copies; this network is matrix products only.
Activations are kept token-first, [T, B, D]: mixing channels is one product over T*B rows, mixing tokens one product
over B*D columns, and neither needs a transpose.

Letters: B batch, T tokens (patches), D width, L latents, P values of a patch.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator
from torch import Tensor, nn

from heddle_platform.base.convolution import ConvolutionConfig, ConvolutionDecoder, ConvolutionEncoder


class PatchConfig(BaseModel):
    """Size of the patch network.

    Attributes:
        image_size: side of the square image in pixels; a multiple of `patch`.
        channels: 1 (grey) or 3 (RGB).
        patch: side of a patch in pixels.
        latents: number of latents.
        width: values per token.
        expansion: hidden width of a block's channel mixing, in widths.
        token_hidden: hidden tokens of a block's token mixing.
        encoder_blocks: mixing blocks in the encoder.
        decoder_blocks: mixing blocks in the decoder.
        squeeze: values a token is squeezed to before all tokens meet in one layer.
        hidden: width of that layer.
        decoder_squeeze, decoder_hidden: the same of the decoder where it differs. Its spread layer holds what every
            part of every style looks like where it stands; a weight of it costs one product an image.
        output: "linear" leaves pixels as they are, for squared errors; "sigmoid" makes them probabilities, which
            `bernoulli` needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["patch"] = "patch"
    image_size: int = Field(default=64, ge=8)
    channels: Literal[1, 3] = 3
    patch: int = Field(default=8, ge=1)
    latents: int = Field(default=64, ge=1)
    width: int = Field(default=128, ge=4)
    expansion: int = Field(default=2, ge=1)
    token_hidden: int = Field(default=96, ge=1)
    encoder_blocks: int = Field(default=2, ge=1)
    decoder_blocks: int = Field(default=3, ge=1)
    squeeze: int = Field(default=32, ge=1)
    hidden: int = Field(default=512, ge=1)
    decoder_squeeze: int | None = Field(default=None, ge=1)
    decoder_hidden: int | None = Field(default=None, ge=1)
    output: Literal["linear", "sigmoid"] = "linear"

    @model_validator(mode="after")
    def _whole_patches(self) -> "PatchConfig":
        if self.image_size % self.patch:
            raise ValueError(f"image_size is {self.image_size}, not a multiple of patch, {self.patch}; change either")
        return self

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.image_size // self.patch) ** 2

    @property
    def patch_values(self) -> int:
        """Numbers in one patch."""
        return self.channels * self.patch**2


def _kind(value: Any) -> str:
    # Recipes older than the choice do not say "patch".
    return str(value.get("kind", "patch") if isinstance(value, dict) else value.kind)


NetworkConfig = Annotated[
    Annotated[PatchConfig, Tag("patch")] | Annotated[ConvolutionConfig, Tag("convolution")], Discriminator(_kind)
]


def network_config(entry: Any) -> PatchConfig | ConvolutionConfig:
    """The network a recipe's entry stands for.

    Raises:
        ValidationError: it is none.
    """
    config: PatchConfig | ConvolutionConfig = TypeAdapter(NetworkConfig).validate_python(entry)
    return config


def to_patches(images_BCHW: Tensor, patch: int) -> Tensor:
    """Images [B, C, H, W] -> patches [T, B, C * patch * patch]."""
    batch, channels, height, width = images_BCHW.shape
    rows, columns = height // patch, width // patch
    split = images_BCHW.reshape(batch, channels, rows, patch, columns, patch)
    return split.permute(2, 4, 0, 1, 3, 5).reshape(rows * columns, batch, channels * patch * patch)


def to_images(patches_TBP: Tensor, patch: int) -> Tensor:
    """Patches [T, B, C * patch * patch] -> images [B, C, H, W]; the inverse of `to_patches`."""
    tokens, batch, values = patches_TBP.shape
    side, channels = int(tokens**0.5), values // patch**2
    split = patches_TBP.reshape(side, side, batch, channels, patch, patch)
    return split.permute(2, 3, 0, 4, 1, 5).reshape(batch, channels, side * patch, side * patch)


class TokenMixing(nn.Module):
    """Two layers across tokens, the same for every channel: [T, B, D] -> [T, B, D]."""

    def __init__(self, tokens: int, hidden: int) -> None:
        super().__init__()
        self.rise = nn.Parameter(torch.randn(hidden, tokens) * tokens**-0.5)
        self.bias = nn.Parameter(torch.zeros(hidden, 1))
        self.fall = nn.Parameter(torch.randn(tokens, hidden) * hidden**-0.5 * 0.3)

    def forward(self, x_TBD: Tensor) -> Tensor:
        """Mix tokens."""
        tokens, batch, width = x_TBD.shape
        flat = x_TBD.reshape(tokens, batch * width)
        risen = self.rise @ flat
        # In the product's precision, as a linear layer's bias: else the hidden tokens become single precision again.
        mixed = self.fall @ nn.functional.gelu(risen + self.bias.to(risen.dtype))
        return mixed.reshape(tokens, batch, width)


class Block(nn.Module):
    """One mixing block with residual connections: tokens, then channels."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        width = config.width
        self.token_norm = nn.LayerNorm(width)
        self.token_mixing = TokenMixing(config.tokens, config.token_hidden)
        self.channel_norm = nn.LayerNorm(width)
        self.rise = nn.Linear(width, width * config.expansion)
        self.fall = nn.Linear(width * config.expansion, width)

    def forward(self, x_TBD: Tensor) -> Tensor:
        """Mix tokens, then channels."""
        x_TBD = x_TBD + self.token_mixing(self.token_norm(x_TBD))
        hidden = nn.functional.gelu(self.rise(self.channel_norm(x_TBD)))
        mixed: Tensor = x_TBD + self.fall(hidden)
        return mixed


class Encoder(nn.Module):
    """Images [B, C, H, W] in 0..1 -> (mean, logvar), both [B, L]."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.embed = nn.Linear(config.patch_values, config.width)
        self.position = nn.Parameter(torch.randn(config.tokens, 1, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.encoder_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.squeeze = nn.Linear(config.width, config.squeeze)
        self.gather = nn.Linear(config.tokens * config.squeeze, config.hidden)
        self.mean = nn.Linear(config.hidden, config.latents)
        self.logvar = nn.Linear(config.hidden, config.latents)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        batch = images_BCHW.shape[0]
        x_TBD = self.embed(to_patches(images_BCHW * 2 - 1, self.patch)) + self.position
        for block in self.blocks:
            x_TBD = block(x_TBD)
        squeezed = nn.functional.gelu(self.squeeze(self.norm(x_TBD)))
        gathered = nn.functional.gelu(self.gather(squeezed.transpose(0, 1).reshape(batch, -1)))
        return self.mean(gathered), self.logvar(gathered).clamp(-10, 4)


class Decoder(nn.Module):
    """Latents [B, L] -> images [B, C, H, W]; unclamped if the output is linear; `in_range` clamps for serving."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        self.patch, self.tokens, self.output = config.patch, config.tokens, config.output
        squeeze, hidden = config.decoder_squeeze or config.squeeze, config.decoder_hidden or config.hidden
        self.hidden = nn.Linear(config.latents, hidden)
        self.spread = nn.Linear(hidden, config.tokens * squeeze)
        self.widen = nn.Linear(squeeze, config.width)
        self.position = nn.Parameter(torch.randn(config.tokens, 1, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.decoder_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.paint = nn.Linear(config.width, config.patch_values)

    def forward(self, latents_BL: Tensor) -> Tensor:
        """Decode."""
        batch = latents_BL.shape[0]
        hidden = nn.functional.gelu(self.hidden(latents_BL))
        spread = nn.functional.gelu(self.spread(hidden)).reshape(batch, self.tokens, -1)
        x_TBD = self.widen(spread.transpose(0, 1)) + self.position
        for block in self.blocks:
            x_TBD = block(x_TBD)
        painted = to_images(self.paint(self.norm(x_TBD)), self.patch)
        # Probabilities in single precision whatever the products were: bfloat16 has no number between .996 and 1.
        return torch.sigmoid(painted.float()) if self.output == "sigmoid" else painted * 0.5 + 0.5


class Network(nn.Module):
    """Encoder and decoder under one roof."""

    encoder: Encoder | ConvolutionEncoder
    decoder: Decoder | ConvolutionDecoder

    def __init__(self, config: PatchConfig | ConvolutionConfig) -> None:
        super().__init__()
        self.config = config
        match config:
            case PatchConfig():
                self.encoder, self.decoder = Encoder(config), Decoder(config)
            case ConvolutionConfig():
                self.encoder, self.decoder = ConvolutionEncoder(config), ConvolutionDecoder(config)
