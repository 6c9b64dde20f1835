"""The patch network: exact patching, shapes, images independent of their batch."""

import torch

from heddle_platform.base.network import Network, PatchConfig, to_images, to_patches

SMALL = PatchConfig(latents=5, width=16, token_hidden=8, squeeze=4, hidden=24, encoder_blocks=1, decoder_blocks=1)


def test_patches_and_back_is_exact() -> None:
    images = torch.rand(3, 3, 64, 64)
    patches = to_patches(images, 8)
    assert patches.shape == (64, 3, 192)
    assert torch.equal(to_images(patches, 8), images)


def test_a_patch_is_a_square_of_the_image() -> None:
    images = torch.rand(1, 3, 64, 64)
    # Token 10 is row 1, column 2 of the 8 x 8 grid.
    assert torch.equal(to_patches(images, 8)[10, 0].reshape(3, 8, 8), images[0, :, 8:16, 16:24])


def test_shapes() -> None:
    network = Network(SMALL)
    mean, logvar = network.encoder(torch.rand(4, 3, 64, 64))
    assert mean.shape == logvar.shape == (4, 5)
    assert network.decoder(mean).shape == (4, 3, 64, 64)


def test_an_image_does_not_see_its_batch() -> None:
    torch.manual_seed(0)
    network = Network(SMALL)
    images = torch.rand(7, 3, 64, 64)
    together, alone = network.encoder(images)[0][3:4], network.encoder(images[3:4])[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    latents = torch.randn(7, 5)
    torch.testing.assert_close(network.decoder(latents)[3:4], network.decoder(latents[3:4]), rtol=1e-4, atol=1e-5)


def test_every_weight_gets_a_gradient() -> None:
    network = Network(SMALL)
    mean, logvar = network.encoder(torch.rand(2, 3, 64, 64))
    (network.decoder(mean).square().sum() + logvar.sum()).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []
