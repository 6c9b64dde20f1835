"""Objectives on drawn images and views: likelihoods, the pyramid, codes and their recogniser, InfoNCE."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from heddle_platform.base.objectives.bernoulli import Bernoulli, BernoulliConfig
from heddle_platform.base.objectives.information import Information, InformationConfig, code_latents
from heddle_platform.base.objectives.invariance import Invariance, InvarianceConfig, info_nce
from heddle_platform.base.objectives.perceptual import Perceptual, PerceptualConfig, laplacian_pyramid
from heddle_platform.base.objectives.term import Pass
from heddle_platform.errors import InvalidInput


def painted(latents: Tensor) -> Tensor:
    """Each of four latents fills one quarter of a grey 16 x 16 picture."""
    return latents.reshape(-1, 1, 2, 2).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


def read(images: Tensor) -> tuple[Tensor, Tensor]:
    mean = torch.nn.functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 2).flatten(1)
    return mean, torch.zeros_like(mean)


def seen(images: Tensor, drawn: Tensor | None = None, decode: Callable[[Tensor], Tensor] = painted) -> Pass:
    mean, logvar = read(images)
    chance = torch.Generator().manual_seed(0)
    labels = torch.full((len(images), 1), -1)
    return Pass(
        images, images if drawn is None else drawn, mean, logvar, mean, labels, 1.0, chance, encode=read, decode=decode
    )


def test_bernoulli_is_the_likelihood_of_coins() -> None:
    chance, images = torch.rand(3, 1, 8, 8), (torch.rand(3, 1, 8, 8) > 0.5).float()
    expected = -torch.log(torch.where(images > 0, chance, 1 - chance)).sum() / 3
    torch.testing.assert_close(Bernoulli(BernoulliConfig())(seen(images, chance)), expected)


def test_bernoulli_and_its_gradient_are_torchs_own_even_where_the_draft_is_certain() -> None:
    images = torch.rand(3, 1, 8, 8)
    values, gradients = [], []
    for ours in (True, False):
        drawn = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(5))
        drawn[0, 0, 0], drawn[0, 0, 1] = 0, 1
        drawn.requires_grad_()
        if ours:
            value = Bernoulli(BernoulliConfig())(seen(images, drawn))
        else:
            value = torch.nn.functional.binary_cross_entropy(drawn, images, reduction="sum") / 3
        gradients.append(torch.autograd.grad(value, drawn)[0])
        values.append(value.detach())
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


def test_a_picture_drawn_for_certain_costs_nothing() -> None:
    images = (torch.rand(3, 1, 8, 8) > 0.5).float()
    assert float(Bernoulli(BernoulliConfig())(seen(images, images))) == 0


def test_the_pyramid_has_its_levels_and_a_plain_picture_only_its_rest() -> None:
    bands = laplacian_pyramid(torch.full((2, 3, 32, 32), 0.25), 3)
    assert [band.shape[-1] for band in bands] == [32, 16, 8, 4]
    assert all(float(band.abs().max()) < 1e-6 for band in bands[:-1])
    torch.testing.assert_close(bands[-1], torch.full((2, 3, 4, 4), 0.25))


def test_perceptual_by_hand() -> None:
    term = Perceptual(PerceptualConfig(levels=2, sigma=0.5))
    images = torch.rand(2, 3, 32, 32)
    assert float(term(seen(images, images))) == 0
    # A constant error is all in the rest: 3 x 8 x 8 numbers, each 16 pixels large.
    assert float(term(seen(images, images + 0.1))) == pytest.approx(16 * 3 * 64 * 0.1 / 0.5, rel=1e-4)


def test_the_mean_of_two_pictures_is_no_cheaper_than_either() -> None:
    # A squared error halves for the mean of what might be; absolute differences do not pay for that blur.
    first, second = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    first[..., 10:], second[..., 14:] = 1, 1
    term = Perceptual(PerceptualConfig())

    def cost(drawn: Tensor) -> float:
        return float(term(seen(first, drawn))) + float(term(seen(second, drawn)))

    mean = (first + second) / 2
    assert cost(mean) == pytest.approx(cost(first), rel=1e-5)
    squared = [float(((drawn - first) ** 2 + (drawn - second) ** 2).sum()) for drawn in (mean, first)]
    assert squared[0] == pytest.approx(squared[1] / 2)


@pytest.mark.parametrize("size", [2, 5])
def test_codes_have_mean_zero_and_variance_one(size: int) -> None:
    latents = code_latents(torch.arange(size), size)
    torch.testing.assert_close(latents.mean(dim=0), torch.zeros(size), atol=1e-6, rtol=0)
    torch.testing.assert_close(latents.square().mean(dim=0), torch.ones(size))


def test_a_blind_recogniser_knows_nothing() -> None:
    term = Information(InformationConfig(codes=(3,), width=8), latents=4, channels=1)
    for parameter in term.recogniser[-1].parameters():
        torch.nn.init.zeros_(parameter)
    assert float(term(seen(torch.zeros(32, 1, 16, 16))).detach()) == pytest.approx(0, abs=1e-6)


def test_what_a_decoder_paints_a_recogniser_learns_and_what_it_hides_it_cannot() -> None:
    def trained(decode: Callable[[Tensor], Tensor]) -> float:
        torch.manual_seed(0)
        term = Information(InformationConfig(codes=(3,), width=16), latents=4, channels=1)
        optimiser = torch.optim.Adam(term.parameters(), lr=1e-2)
        step = seen(torch.zeros(256, 1, 16, 16), decode=decode)
        for _ in range(100):
            optimiser.zero_grad()
            term(step).backward()
            optimiser.step()
        return float(term(step).detach())

    assert trained(painted) == pytest.approx(-math.log(3), abs=0.05)
    # Only the latent that is no part of the code shows.
    assert abs(trained(lambda latents: painted(latents[:, 3:].expand(-1, 4)))) < 0.1


def test_information_reaches_the_decoder() -> None:
    term = Information(InformationConfig(codes=(3,), width=8), latents=4, channels=1)
    gain = torch.ones((), requires_grad=True)
    term(seen(torch.zeros(8, 1, 16, 16), decode=lambda latents: painted(latents) * gain)).backward()
    assert gain.grad is not None
    assert float(gain.grad.abs()) > 0


def test_codes_must_fit_the_latents() -> None:
    with pytest.raises(InvalidInput, match=r"codes \[3, 2\] take 5 latents, the network has 4"):
        Information(InformationConfig(codes=(3, 2)), latents=4, channels=1)
    with pytest.raises(ValidationError, match="it needs at least 2"):
        InformationConfig(codes=(1,))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_codes_that_are_all_alike_tell_nothing(temperature: float) -> None:
    alike = torch.ones(8, 3)
    assert float(info_nce(alike, alike, temperature)) == pytest.approx(math.log(15), rel=1e-5)


def test_info_nce_by_hand() -> None:
    # Orthogonal codes: e^(1/t) for the twin, e^0 for each of the others.
    codes, temperature = torch.eye(4), 0.5
    expected = -math.log(math.exp(2) / (math.exp(2) + 6))
    assert float(info_nce(codes, codes * 3, temperature)) == pytest.approx(expected, rel=1e-5)


def test_a_code_of_what_augmentations_leave_is_cheaper_than_one_of_what_they_change() -> None:
    # Views are mirrored, shifted and recoloured: their contrast stays far more than what stands in their corner.
    images = torch.from_numpy(np.random.default_rng(0).random((16, 1, 16, 16), dtype=np.float32))
    strength = torch.linspace(0, 1, 16).reshape(-1, 1, 1, 1)
    term = Invariance(InvarianceConfig(projection=0, temperature=0.1), latents=2)

    def contrast(views: Tensor) -> tuple[Tensor, Tensor]:
        angle = views.std(dim=(1, 2, 3)) * 8
        return torch.stack([angle.cos(), angle.sin()], dim=1), torch.zeros(len(views), 2)

    def corner(views: Tensor) -> tuple[Tensor, Tensor]:
        angle = views[:, 0, :2, :2].mean(dim=(1, 2)) * 8
        return torch.stack([angle.cos(), angle.sin()], dim=1), torch.zeros(len(views), 2)

    def value(encode: Callable[[Tensor], tuple[Tensor, Tensor]]) -> float:
        chance = torch.Generator().manual_seed(0)
        pictures = 0.5 + (images - 0.5) * strength
        mean, logvar = encode(pictures)
        labels = torch.full((16, 1), -1)
        return float(term(Pass(pictures, pictures, mean, logvar, mean, labels, 1.0, chance, encode, painted)))

    assert value(contrast) < value(corner)
