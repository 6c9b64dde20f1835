"""Objectives that ask latents for independence or for a prior, each against a case whose answer is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from heddle_platform.base.objectives.critic import Critic, CriticConfig, shuffled
from heddle_platform.base.objectives.kl import Capacity, Kl, KlConfig, kl_per_latent
from heddle_platform.base.objectives.mmd import (
    GaussianPrior,
    MixturePrior,
    Mmd,
    MmdConfig,
    SamplesPrior,
    UniformPrior,
    squared_mmd,
)
from heddle_platform.base.objectives.moments import Moments, MomentsConfig
from heddle_platform.base.objectives.term import Pass
from heddle_platform.base.objectives.total_correlation import TotalCorrelation, TotalCorrelationConfig
from heddle_platform.errors import InvalidInput


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blind(images: Tensor) -> tuple[Tensor, Tensor]:
    raise AssertionError("these terms look at the batch alone")


def blank(latents: Tensor) -> Tensor:
    raise AssertionError("these terms look at the batch alone")


def seen(mean: Tensor, logvar: Tensor | None = None, latents: Tensor | None = None, progress: float = 1.0) -> Pass:
    picture = torch.zeros(len(mean), 3, 8, 8)
    spread = torch.zeros_like(mean) if logvar is None else logvar
    labels = torch.full((len(mean), 1), -1)
    code = mean if latents is None else latents
    return Pass(picture, picture, mean, spread, code, labels, progress, chance(), encode=blind, decode=blank)


def correlated(count: int, correlation: float) -> Tensor:
    first, noise = torch.randn(2, count, generator=chance(1), dtype=torch.float64)
    return torch.stack([first, correlation * first + math.sqrt(1 - correlation**2) * noise], dim=1)


def test_free_nats_are_paid_by_nobody() -> None:
    mean = torch.tensor([[2.0, 0.1], [2.0, 0.1]])
    dear, cheap = kl_per_latent(mean, torch.zeros_like(mean))[0].tolist()
    assert cheap < 0.5 < dear
    assert float(Kl(KlConfig(free_nats=0.5))(seen(mean))) == pytest.approx(dear + 0.5)
    assert float(Kl(KlConfig())(seen(mean))) == pytest.approx(dear + cheap)


def test_a_latent_within_its_free_nats_has_no_gradient() -> None:
    mean = torch.tensor([[2.0, 0.1]], requires_grad=True)
    Kl(KlConfig(free_nats=0.5))(seen(mean)).backward()
    assert mean.grad is not None
    assert mean.grad.tolist() == [[2.0, 0.0]]


@pytest.mark.parametrize(("progress", "nats"), [(0.0, 0.0), (0.25, 10.0), (0.5, 20.0), (1.0, 20.0)])
def test_capacity_grows_linearly_and_is_what_kl_is_measured_from(progress: float, nats: float) -> None:
    term = Kl(KlConfig(capacity=Capacity(nats=20, rise=0.5)))
    mean = torch.full((3, 1), 4.0)  # 8 nats an image
    assert float(term(seen(mean, progress=progress))) == pytest.approx(abs(8 - nats))


def test_free_nats_and_capacity_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="not both"):
        KlConfig(free_nats=1, capacity=Capacity(nats=1))


def test_total_correlation_of_equal_posteriors_is_zero() -> None:
    # Every image has the same factorised posterior, so the aggregate is that posterior.
    mean, logvar = torch.full((16, 5), 0.3), torch.full((16, 5), -1.0)
    latents = mean + torch.randn(16, 5, generator=chance()) * math.exp(-0.5)
    value = TotalCorrelation(TotalCorrelationConfig())(seen(mean, logvar, latents))
    assert float(value) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_total_correlation_of_a_gaussian_is_half_the_log_of_its_determinant(correlation: float) -> None:
    # Posteriors narrow beside their means' spread: the aggregate is the means' Gaussian, blurred a little.
    mean = correlated(2000, correlation)
    logvar = torch.full_like(mean, math.log(0.04))
    latents = mean + 0.2 * torch.randn(mean.shape, generator=chance(2), dtype=torch.float64)
    term = TotalCorrelation(TotalCorrelationConfig())
    blurred = correlation / 1.04
    expected = -0.5 * math.log(1 - blurred**2)
    assert float(term(seen(mean, logvar, latents))) == pytest.approx(expected, abs=0.03)


def whitened(count: int = 64, latents: int = 4) -> Tensor:
    raw = torch.randn(count, latents, generator=chance(3), dtype=torch.float64)
    centered = raw - raw.mean(dim=0)
    left, _, right = torch.linalg.svd(centered, full_matrices=False)
    white: Tensor = left @ right * math.sqrt(count)
    return white


def test_moments_of_a_whitened_code_cost_nothing() -> None:
    assert float(Moments(MomentsConfig(of="means"))(seen(whitened()))) == pytest.approx(0, abs=1e-12)


def test_sample_moments_add_the_posterior_variance() -> None:
    # Means of variance .75 and posteriors of variance .25 make samples of variance 1.
    mean, logvar = whitened() * math.sqrt(0.75), torch.full((64, 4), math.log(0.25), dtype=torch.float64)
    assert float(Moments(MomentsConfig(of="samples"))(seen(mean, logvar))) == pytest.approx(0, abs=1e-12)
    assert float(Moments(MomentsConfig(of="means", diagonal=2))(seen(mean, logvar))) == pytest.approx(2 * 4 * 0.25**2)


def test_moments_by_hand() -> None:
    mean = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    # Covariance [[1, 1], [1, 1]]: two off-diagonal ones, variances right.
    assert float(Moments(MomentsConfig(diagonal=7))(seen(mean))) == pytest.approx(2.0)


def test_mmd_of_equal_samples_is_zero_and_grows_with_distance() -> None:
    sample = torch.randn(50, 3, generator=chance(), dtype=torch.float64)
    near, far = (float(squared_mmd(sample, sample + shift)) for shift in (0.5, 2.0))
    assert float(squared_mmd(sample, sample)) == pytest.approx(0, abs=1e-12)
    assert 0 < near < far < 2


PRIORS = (GaussianPrior(), UniformPrior(), MixturePrior(components=2, spread=0.1))


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_have_variance_one_and_are_told_apart(prior: Any) -> None:
    drawn = prior.draw(4000, 2, chance(4))
    assert drawn.mean(dim=0).abs().max() < 0.06
    assert (drawn.std(dim=0) - 1).abs().max() < 0.05
    values = {type(other): float(Mmd(MmdConfig(prior=other))(seen(drawn[:2000]))) for other in PRIORS}
    assert min(values, key=values.__getitem__) is type(prior)


def test_a_prior_of_samples_draws_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "latents.npy"
    np.save(path, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    prior = SamplesPrior(path=path)
    drawn = prior.draw(64, 2, chance())
    assert {tuple(row) for row in drawn.tolist()} == {(1.0, -1.0), (-1.0, 1.0)}
    # Latents that are the samples cost next to nothing, others do.
    alike, other = (
        float(Mmd(MmdConfig(prior=prior))(seen(code))) for code in (prior.draw(64, 2, chance(5)), drawn + 3)
    )
    assert alike < 0.05 < other


def test_samples_of_another_shape_or_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latents.npy"
    np.save(path, np.zeros((5, 3)))
    with pytest.raises(InvalidInput, match=r"latents\.npy has shape \[5, 3\], a prior for 2 latents needs"):
        SamplesPrior(path=path).draw(4, 2, chance())
    with pytest.raises(InvalidInput, match=r"not a \.npy file of latents"):
        SamplesPrior(path=tmp_path / "none.npy").draw(4, 2, chance())


def test_shuffling_keeps_every_latents_values_and_breaks_their_bond() -> None:
    latents = correlated(2000, 0.95)
    apart = shuffled(latents, chance())
    assert torch.equal(apart.sort(dim=0).values, latents.sort(dim=0).values)
    assert abs(float(torch.corrcoef(apart.T)[0, 1])) < 0.1


def test_the_penalty_moves_latents_and_the_cross_entropy_the_critic() -> None:
    torch.manual_seed(0)
    term = Critic(CriticConfig(width=8, layers=1), latents=2)
    latents = correlated(64, 0.9).float().requires_grad_()
    value = term(seen(latents))
    value.backward()
    # The value is the critic's log-odds alone.
    assert float(value.detach()) == pytest.approx(float(term.critic(latents.detach()).mean().detach()), abs=1e-6)
    assert latents.grad is not None
    (through,) = torch.autograd.grad(term.critic(latents).mean(), latents)
    torch.testing.assert_close(latents.grad, through)
    apart = latents.detach()
    entropy = torch.nn.functional.softplus(-term.critic(apart)).mean()
    entropy = entropy + torch.nn.functional.softplus(term.critic(shuffled(apart, chance()))).mean()
    expected = torch.autograd.grad(0.5 * entropy, list(term.critic.parameters()))
    for parameter, gradient in zip(term.critic.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_trained_critic_finds_the_total_correlation_of_a_gaussian() -> None:
    torch.manual_seed(0)
    term = Critic(CriticConfig(width=32, layers=2), latents=2)
    optimiser = torch.optim.Adam(term.parameters(), lr=5e-3)
    latents = correlated(2000, 0.8).float()
    step = seen(latents)
    for _ in range(150):
        optimiser.zero_grad()
        term(step).backward()
        optimiser.step()
    assert float(term(step).detach()) == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.12)
