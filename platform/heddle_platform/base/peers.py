"""Training side by side: processes that take the same steps, each on its share of every batch.

All draw the same batch and the same noise from (seed, step) and keep every n-th row; gradients are averaged. So a
step of n processes is the step of one on the whole batch, up to rounding, for terms that are means over images;
terms that look across a batch, or average over its labelled images, see a share of it. Whatever else is random in a
term comes from (seed, step, rank).
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch import distributed as dist

_RANK_STRIDE = 7_368_787


class Peers(Protocol):
    """The processes of one training. `rank` 0 measures, keeps checkpoints and exports."""

    rank: int
    size: int

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its mean over all processes."""

    def agree(self, value: float) -> float:
        """Return rank 0's value everywhere."""

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Return the mean over all processes, name by name."""


class Alone:
    """One process: nothing to agree on."""

    rank, size = 0, 1

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Leave the gradients as they are."""

    def agree(self, value: float) -> float:
        """Return the value."""
        return value

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Return the values."""
        return values


class Group:
    """The processes of torch's process group, which must be there (gloo)."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Average in one message: a step has few millions of numbers, and every message costs a round trip."""
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for parameter in parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()

    def agree(self, value: float) -> float:
        """Broadcast rank 0's value."""
        told = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(told, src=0)
        return float(told)

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Average in one message."""
        told = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.all_reduce(told)
        return dict(zip(values, (told / self.size).tolist(), strict=True))


def term_generator(peers: Peers, generator: torch.Generator) -> torch.Generator:
    """The source of chance of this process's terms: the step's own for one process, else one per rank."""
    if peers.size == 1:
        return generator
    return torch.Generator().manual_seed(generator.initial_seed() + (peers.rank + 1) * _RANK_STRIDE)
