"""Objectives in closed form."""

import math

import pytest
import torch
from torch import Tensor

from heddle_platform.base.objectives.anchor import Anchor, AnchorConfig
from heddle_platform.base.objectives.autoregressive import Autoregressive, AutoregressiveConfig
from heddle_platform.base.objectives.kl import Kl, KlConfig, kl_per_latent
from heddle_platform.base.objectives.reconstruction import Reconstruction, ReconstructionConfig, edge_energy, energy
from heddle_platform.base.objectives.term import Pass, Schedule


def seen(
    *,
    images: Tensor | None = None,
    reconstruction: Tensor | None = None,
    mean: Tensor | None = None,
    labels: Tensor | None = None,
) -> Pass:
    picture = torch.zeros(2, 3, 64, 64) if images is None else images
    code = torch.zeros(len(picture), 4) if mean is None else mean
    return Pass(
        images=picture,
        reconstruction=picture if reconstruction is None else reconstruction,
        mean=code,
        logvar=torch.zeros_like(code),
        latents=code,
        labels=torch.full((len(picture), 1), -1) if labels is None else labels,
        progress=0.5,
        generator=torch.Generator().manual_seed(0),
        encode=lambda images: (images.mean(dim=(2, 3)), images.mean(dim=(2, 3))),
        decode=lambda latents: latents[:, :3, None, None].expand(-1, -1, 64, 64),
    )


def test_kl_of_a_standard_normal_is_zero() -> None:
    assert float(Kl(KlConfig())(seen())) == 0


def test_kl_by_hand() -> None:
    mean, logvar = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]])
    expected = torch.tensor([[0.5, 0.5 * (4 - 1 - math.log(4.0))]])
    torch.testing.assert_close(kl_per_latent(mean, logvar), expected)


def test_kl_agrees_with_torch() -> None:
    mean, logvar = torch.randn(6, 3), torch.randn(6, 3)
    posterior = torch.distributions.Normal(mean, torch.exp(logvar / 2))
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_latent(mean, logvar), expected)


def test_perfect_reconstruction_costs_nothing() -> None:
    assert float(Reconstruction(ReconstructionConfig())(seen(images=torch.rand(2, 3, 64, 64)))) == 0


def test_constant_error_has_no_edges() -> None:
    term = Reconstruction(ReconstructionConfig(sigma=0.1, edge=1.0))
    images = torch.rand(2, 3, 64, 64)
    value = float(term(seen(images=images, reconstruction=images + 0.2)))
    assert value == pytest.approx(3 * 64 * 64 * 0.04 / (2 * 0.01), rel=1e-4)


def test_edge_energy_of_one_pixel() -> None:
    difference = torch.zeros(1, 1, 8, 8)
    difference[0, 0, 4, 4] = 3.0
    # Two horizontal and two vertical differences of 3.
    assert edge_energy(difference).tolist() == [4 * 9]


@pytest.mark.parametrize("edge", [0.0, 0.7])
def test_the_written_out_gradient_of_the_energy_is_autograds(edge: float) -> None:
    torch.manual_seed(0)
    difference = torch.randn(3, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64)
    across, down = difference.diff(dim=-1), difference.diff(dim=-2)
    plain = sum(
        part.square().flatten(1).sum(dim=1) * share for part, share in ((difference, 1), (across, edge), (down, edge))
    )
    found = energy(difference, edge)
    torch.testing.assert_close(found, plain)
    wanted, got = (torch.autograd.grad((each * weights).sum(), difference)[0] for each in (plain, found))
    torch.testing.assert_close(got, wanted)
    same = torch.zeros(2, 1, 3, 3, requires_grad=True)
    [gradient] = torch.autograd.grad(energy(same, edge).sum(), same)
    assert torch.equal(gradient, torch.zeros_like(same)), "no picture is drawn so well that its gradient is none"


def test_fitted_sigma_by_hand() -> None:
    term = Reconstruction(ReconstructionConfig(sigma="fitted", edge=0))
    images = torch.rand(2, 3, 64, 64)
    errors = torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1)
    expected = 3 * 64 * 64 / 2 * (math.log(0.0102 / 0.01) + math.log(0.0402 / 0.01)) / 2
    assert float(term(seen(images=images, reconstruction=images + errors))) == pytest.approx(expected, rel=1e-4)


def test_fitted_sigma_lets_a_badly_drawn_image_pull_less() -> None:
    images = torch.zeros(2, 3, 64, 64)
    drawn = torch.tensor([0.05, 0.3]).reshape(2, 1, 1, 1).expand(2, 3, 64, 64).clone().requires_grad_()
    Reconstruction(ReconstructionConfig(sigma="fitted", edge=0))(seen(images=images, reconstruction=drawn)).backward()
    assert drawn.grad is not None
    assert drawn.grad[0].norm() > drawn.grad[1].norm()


def test_untrained_heads_cost_one_per_known_factor() -> None:
    anchor = Anchor(AnchorConfig(), latents=4, levels=[2, 5, 8])
    torch.nn.init.zeros_(anchor.heads.weight)
    torch.nn.init.zeros_(anchor.heads.bias)
    labels = torch.tensor([[0, 4, 7], [1, -1, 3]])
    # log K over log K is 1: three known factors, and two.
    assert float(anchor(seen(labels=labels)).detach()) == pytest.approx(2.5, abs=1e-5)


def test_anchor_is_cross_entropy() -> None:
    torch.manual_seed(0)
    anchor = Anchor(AnchorConfig(), latents=4, levels=[3, 6])
    mean = torch.randn(2, 4)
    labels = torch.tensor([[2, 5], [0, -1]])
    logits = anchor.heads(mean)
    entropy = torch.nn.functional.cross_entropy
    expected = (
        entropy(logits[:, :3], labels[:, 0], reduction="sum") / math.log(3)
        + entropy(logits[:1, 3:], labels[:1, 1]) / math.log(6)
    ) / 2
    value = anchor(seen(mean=mean, labels=labels))
    # The soft bound on logits moves them by less than .1 % here.
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-3)


def test_unlabelled_images_do_not_dilute_the_anchor() -> None:
    torch.manual_seed(0)
    anchor = Anchor(AnchorConfig(), latents=4, levels=[3])
    mean = torch.randn(2, 4)
    both = float(anchor(seen(mean=mean, labels=torch.tensor([[1], [-1]]))).detach())
    one = seen(images=torch.zeros(1, 3, 64, 64), mean=mean[:1], labels=torch.tensor([[1]]))
    alone = float(anchor(one).detach())
    assert both == pytest.approx(alone, rel=1e-6)


def test_a_batch_without_labels_costs_nothing_and_still_differentiates() -> None:
    anchor = Anchor(AnchorConfig(), latents=4, levels=[3])
    mean = torch.randn(2, 4, requires_grad=True)
    value = anchor(seen(mean=mean))
    value.backward()
    assert float(value.detach()) == 0


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.0), (0.05, 2.0), (0.1, 4.0), (0.9, 4.0)])
def test_schedule_rises_linearly(progress: float, weight: float) -> None:
    assert Schedule(weight=4, warmup=0.1).at(progress) == pytest.approx(weight)


def test_schedule_without_warmup_is_constant() -> None:
    assert Schedule(weight=3).at(0) == 3


def strong_decoder() -> Autoregressive:
    torch.manual_seed(0)
    term = Autoregressive(AutoregressiveConfig(sigma=0.5, kernel=5, width=4), 3)
    torch.nn.init.normal_(term.paint.weight)
    return term


def test_a_strong_decoder_sees_no_pixel_but_preceding_ones() -> None:
    error = torch.randn(1, 3, 8, 8, requires_grad=True)
    corrected = strong_decoder().correction(error)
    (slope,) = torch.autograd.grad(corrected[0, :, 4, 3].sum(), error)
    places = torch.arange(64).reshape(8, 8)
    looked_at = slope[0].abs().sum(dim=0) > 0
    assert bool(looked_at.any())
    assert int(places[looked_at].max()) == 4 * 8 + 2, "the pixel to the left is the last one seen"


def test_a_strong_decoder_begins_as_a_plain_one() -> None:
    images, drawn = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    term = Autoregressive(AutoregressiveConfig(sigma=0.5), 3)
    term.paint.bias = None
    plain = Reconstruction(ReconstructionConfig(sigma=0.5, edge=0))
    one = seen(images=images, reconstruction=drawn)
    torch.testing.assert_close(term(one), plain(one))
