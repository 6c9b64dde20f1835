"""The convolutional pair: the literature's sizes, every image size, grey and RGB; and the choice between networks."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from heddle_platform.base.convolution import ConvolutionConfig, by_phases
from heddle_platform.base.network import Network, PatchConfig, network_config

TINY: dict[str, dict[str, Any]] = {
    "patch": {
        "latents": 5, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "convolution": {"latents": 5, "maps": (4, 4, 8, 8), "hidden": 16},
}  # fmt: skip


def test_the_standard_pair_has_the_published_numbers_of_weights() -> None:
    network = Network(ConvolutionConfig(channels=1, latents=10))
    # Locatello 2019, table 1: 4x4 kernels, 32-32-64-64, 256 wide; here the encoder, weights and biases.
    layers = [(1, 32), (32, 32), (32, 64), (64, 64)]
    convolutions = sum(before * after * 16 + after for before, after in layers)
    dense = 1024 * 256 + 256 + 2 * (256 * 10 + 10)
    assert sum(weight.numel() for weight in network.encoder.parameters()) == convolutions + dense


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [32, 64, 128])
@pytest.mark.parametrize("kind", list(TINY))
def test_shapes_and_gradients(kind: str, image_size: int, channels: int) -> None:
    network = Network(network_config({"kind": kind, "image_size": image_size, "channels": channels, **TINY[kind]}))
    mean, logvar = network.encoder(torch.rand(2, channels, image_size, image_size))
    assert mean.shape == logvar.shape == (2, 5)
    drawn = network.decoder(mean)
    assert drawn.shape == (2, channels, image_size, image_size)
    (drawn.square().sum() + logvar.sum()).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize(("image_size", "maps"), [(32, (5, 6, 7)), (64, (4, 5, 6, 7)), (128, (4, 4, 5, 6, 7))])
def test_depth_follows_the_image(image_size: int, maps: tuple[int, ...]) -> None:
    assert network_config({"kind": "convolution", "image_size": image_size, "maps": (4, 5, 6, 7)}).depths == maps  # type: ignore[union-attr]


def test_probabilities_stay_between_zero_and_one() -> None:
    network = Network(ConvolutionConfig(latents=3, maps=(4, 4, 8, 8), hidden=16, output="sigmoid"))
    drawn = network.decoder(torch.randn(4, 3) * 100).detach()
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_four_phases_are_the_transposed_convolution(channels: int) -> None:
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(5, channels, 4, 2, 1).double()
    small = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    wanted, got = layer(small), by_phases(small, layer)
    torch.testing.assert_close(got, wanted)
    given = (small, *layer.parameters())
    for mine, torchs in zip(*(torch.autograd.grad(each.sin().sum(), given) for each in (got, wanted)), strict=True):
        torch.testing.assert_close(mine, torchs)


def test_an_image_does_not_see_its_batch() -> None:
    torch.manual_seed(0)
    network = Network(ConvolutionConfig(**TINY["convolution"]))
    images = torch.rand(7, 3, 64, 64)
    together, alone = network.encoder(images)[0][3:4], network.encoder(images[3:4])[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_an_entry_without_a_kind_is_the_patch_network() -> None:
    assert network_config({"latents": 7}) == PatchConfig(latents=7)
    assert network_config(network_config({"kind": "convolution"}).model_dump()) == ConvolutionConfig()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "transformer"}, "transformer"),
        ({"kind": "convolution", "image_size": 48}, "Input should be 32, 64 or 128"),
        ({"kind": "convolution", "width": 3}, "Extra inputs are not permitted"),
        ({"image_size": 60}, "image_size is 60, not a multiple of patch, 8"),
        ({"channels": 2}, "Input should be 1 or 3"),
    ],
)
def test_what_is_no_network_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        network_config(entry)
