"""The plain PyTorch loop of the convolutional pair that `training_speed` measures against, and how turns are timed."""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

SIGMA = 0.1
LATENTS = 10
Step = Callable[[Tensor], float]


class Pair(nn.Module):
    """The pair of Burgess 2018 as it is usually written."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(),
        )  # fmt: skip
        self.mean, self.logvar = nn.Linear(256, LATENTS), nn.Linear(256, LATENTS)
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
            nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 4, 2, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(images)
        mean, logvar = self.mean(hidden), self.logvar(hidden)
        latents = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
        return self.decoder(latents), mean, logvar


class Plain:
    """The plain loop."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.pair = Pair()
        self.optimiser = torch.optim.Adam(self.pair.parameters(), lr=5e-4)

    def step(self, images: Tensor) -> float:
        drawn, mean, logvar = self.pair(images)
        energy = nn.functional.mse_loss(drawn, images, reduction="sum") / (2 * SIGMA**2)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum()
        loss = (energy + kl) / len(images)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.item())

    def error(self, images: Tensor) -> float:
        with torch.no_grad():
            return float((self.pair.decoder(self.pair.mean(self.pair.encoder(images))) - images).square().mean())


def take_plain_turns(asked: Connection, batches: Tensor) -> None:
    """The plain loop's process: is asked for (threads, steps), answers with the seconds, until the other end closes."""
    plain, contiguous = Plain(), batches.contiguous()
    while wanted := asked.recv():
        threads, steps = wanted
        torch.set_num_threads(threads)
        asked.send(turn(plain.step, contiguous, steps))


def turn(step: Step, batches: Tensor, steps: int) -> float:
    """Seconds of so many steps, after one that is not timed."""
    step(batches[0])
    return seconds(step, batches, steps)


def seconds(step: Step, batches: Tensor, steps: int) -> float:
    start = time.perf_counter()
    for index in range(steps):
        step(batches[index % len(batches)])
    return time.perf_counter() - start
