"""The learner: network, terms, optimiser and averaged weights, and what one step does to them."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from heddle_platform.base.batches import Batch
from heddle_platform.base.config import OptimiserConfig, Recipe, TermConfig
from heddle_platform.base.corpus import Factor
from heddle_platform.base.muon import Muon
from heddle_platform.base.network import Network, NetworkConfig
from heddle_platform.base.objectives.ada import Ada, AdaConfig
from heddle_platform.base.objectives.anchor import Anchor, AnchorConfig
from heddle_platform.base.objectives.autoregressive import Autoregressive, AutoregressiveConfig
from heddle_platform.base.objectives.bernoulli import Bernoulli, BernoulliConfig
from heddle_platform.base.objectives.critic import Critic, CriticConfig
from heddle_platform.base.objectives.information import Information, InformationConfig
from heddle_platform.base.objectives.invariance import Invariance, InvarianceConfig
from heddle_platform.base.objectives.kl import Kl, KlConfig
from heddle_platform.base.objectives.mmd import Mmd, MmdConfig
from heddle_platform.base.objectives.moments import Moments, MomentsConfig
from heddle_platform.base.objectives.perceptual import Perceptual, PerceptualConfig
from heddle_platform.base.objectives.pin import PinConfig, PinLatents
from heddle_platform.base.objectives.reconstruction import Reconstruction, ReconstructionConfig
from heddle_platform.base.objectives.term import Pass, Term
from heddle_platform.base.objectives.total_correlation import TotalCorrelation, TotalCorrelationConfig
from heddle_platform.base.peers import Alone, Peers, term_generator
from heddle_platform.base.precision import Precision, computed_in, settled


def build_term(config: TermConfig, network: NetworkConfig, factors: tuple[Factor, ...]) -> Term:
    """The term a recipe's entry stands for."""
    latents = network.latents
    match config:
        case ReconstructionConfig():
            return Reconstruction(config)
        case KlConfig():
            return Kl(config)
        case AnchorConfig():
            return Anchor(config, latents, [len(factor.levels) for factor in factors])
        case TotalCorrelationConfig():
            return TotalCorrelation(config)
        case CriticConfig():
            return Critic(config, latents)
        case MomentsConfig():
            return Moments(config)
        case MmdConfig():
            return Mmd(config)
        case BernoulliConfig():
            return Bernoulli(config)
        case AutoregressiveConfig():
            return Autoregressive(config, network.channels)
        case PerceptualConfig():
            return Perceptual(config)
        case InformationConfig():
            return Information(config, latents, network.channels)
        case AdaConfig():
            return Ada(config)
        case PinConfig():
            return PinLatents(config, latents, factors)
        case InvarianceConfig():
            return Invariance(config, latents)


def learning_rate(config: OptimiserConfig, step: int, progress: float) -> float:
    """Linear warm-up over the first steps, then cosine decay to `final_share` of the peak."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    decayed = config.final_share + (1 - config.final_share) * cosine
    return config.learning_rate * decayed * min(1.0, (step + 1) / max(1, config.warmup_steps))


def build_optimisers(config: OptimiserConfig, network: Network, terms: nn.Module) -> list[torch.optim.Optimizer]:
    """One optimiser for the network's matrices if they are Muon's, one AdamW for the rest."""
    matrices = [weight for weight in network.parameters() if weight.ndim == 2 and min(weight.shape) > 1]
    if config.kind == "adamw":
        matrices = []
    turned = {id(weight) for weight in matrices}
    others = [weight for weight in (*network.parameters(), *terms.parameters()) if id(weight) not in turned]
    optimisers: list[torch.optim.Optimizer] = []
    if matrices:
        tokens = network.config.tokens
        blocks = {
            id(network.encoder.gather.weight): {"column_blocks": tokens},
            id(network.decoder.spread.weight): {"row_blocks": tokens},
        }
        groups = [{"params": [weight], **blocks.get(id(weight), {})} for weight in matrices]
        optimisers.append(Muon(groups, learning_rate=config.learning_rate, weight_decay=config.weight_decay))
    optimisers.append(
        torch.optim.AdamW(
            others, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98), fused=True
        )
    )
    return optimisers


class Learner:
    """Everything a checkpoint must hold."""

    def __init__(self, recipe: Recipe, factors: tuple[Factor, ...], peers: Peers | None = None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.peers: Peers = peers or Alone()
        self.network = Network(recipe.network)
        terms = [build_term(config, recipe.network, factors) for config in recipe.terms]
        self.terms, self._terms = nn.ModuleList(terms), terms
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self._parameters = [*self.network.parameters(), *self.terms.parameters()]
        self.optimisers = build_optimisers(recipe.optimiser, self.network, self.terms)
        # Timings differ from process to process; all must compute alike.
        narrow = self.peers.agree(float(settled(recipe.precision) == "bfloat16"))
        self._compute_in("bfloat16" if narrow else "float32")

    def _compute_in(self, precision: Precision) -> None:
        self.precision = precision
        encoder, decoder = self.network.encoder, self.network.decoder
        self._encode = computed_in(precision, torch.compile(encoder) if self.recipe.compile else encoder)
        self._decode = computed_in(precision, torch.compile(decoder) if self.recipe.compile else decoder)

    def _forward(self, batch: Batch, progress: float, generator: torch.Generator) -> list[Tensor]:
        mean, logvar = self._encode(batch.images)
        for term, entry in zip(self._terms, self.recipe.terms, strict=True):
            mean, logvar = term.posterior(mean, logvar, entry.schedule.at(progress))
        whole = (self.recipe.optimiser.batch, mean.shape[1])
        noise = torch.randn(whole, generator=generator)[self.peers.rank :: self.peers.size]
        latents = mean + noise * torch.exp(0.5 * logvar)
        seen = Pass(
            images=batch.images,
            reconstruction=self._decode(latents),
            mean=mean,
            logvar=logvar,
            latents=latents,
            labels=batch.labels,
            progress=progress,
            generator=term_generator(self.peers, generator),
            encode=self._encode,
            decode=self._decode,
        )
        return [term(seen) for term in self.terms]

    def step(self, batch: Batch, generator: torch.Generator, step: int, progress: float) -> dict[str, float]:
        """Take one optimiser step.

        Args:
            batch: this process's share of the step's batch.
            generator: the step's, having drawn the batch.
            step: steps taken before.
            progress: share of the training that is done.
        Returns:
            Each term's value in nats per image, unweighted.
        """
        config = self.recipe.optimiser
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, step, progress)
        values = self._forward(batch, progress, generator)
        weights = [entry.schedule.at(progress) for entry in self.recipe.terms]
        total = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
        for parameter in self._parameters:
            parameter.grad = None
        total.backward()  # type: ignore[no-untyped-call]
        self.peers.average(self._parameters)
        nn.utils.clip_grad_norm_(self._parameters, config.clip_norm)
        for optimiser in self.optimisers:
            optimiser.step()
        # Early on the average must forget the random start quickly.
        decay = min(config.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - decay)
        names = [entry.kind for entry in self.recipe.terms]
        return {name: float(value.detach()) for name, value in zip(names, values, strict=True)}

    def state(self) -> dict[str, Any]:
        """All tensors, and the precision, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "terms": self.terms.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "precision": self.precision,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's tensors, and the precision that it was computed in."""
        self._compute_in(state["precision"])
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.terms.load_state_dict(state["terms"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
