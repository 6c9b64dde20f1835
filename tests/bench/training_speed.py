"""How fast bases train on two cores: our two networks beside a plain PyTorch loop of the convolutional pair.

    python -m tests.bench.training_speed [--batch 64] [--rounds 7] [--learn 300]

The plain loop is what a good student writes: the pair of the literature, float32, Adam, torch's own threads, images
ready in memory. Ours are steps of the real `Learner` on the same images in the precision that "auto" settles on, with
one thread, with two, and as two processes that share each batch. All take turns within a round; ratios are medians over
rounds, so that what else the machine does weighs on all. FLOP are counted by torch while a step is taken, the
optimiser's included, and held against matrix products of 1,024 x 1,024 timed in the same rounds.

`--learn N` trains each for N steps and prints the error on held-out images: a network is not fast that learns nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.utils.flop_counter import FlopCounterMode

from heddle_platform.base.batches import Batch, step_generator, to_float
from heddle_platform.base.config import Recipe, load_recipe
from heddle_platform.base.corpus import CorpusConfig, build_corpus
from heddle_platform.base.learner import Learner
from heddle_platform.base.peers import Group
from heddle_platform.base.precision import settled

CORES = 2
SIDE = 1024
SIGMA = 0.1
LATENTS = 10
STEPS = 100_000  # no run gets there: warm-ups and decays stand still
PLAIN, PLAIN_ALONE = "plain loop, 2 threads", "plain loop, 1 thread"
BARS = {"convolution": 2.0, "patch": 5.0}
SHIPPED = Path(__file__).parents[2] / "platform/heddle_platform/base/recipes/default.yaml"

ADAMW = {"kind": "adamw", "learning_rate": 5e-4, "warmup_steps": 1, "weight_decay": 0}
TERMS = [{"kind": "reconstruction", "sigma": SIGMA, "edge": 0}, {"kind": "kl", "schedule": {"weight": 1}}]
# Patches of 16 pixels: after the same images it draws held-out ones with no more than the plain loop's error (--learn).
PATCH = {
    "patch": 16, "width": 64, "encoder_blocks": 1, "decoder_blocks": 1, "token_hidden": 32, "squeeze": 16,
    "hidden": 256,
}  # fmt: skip
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


class Ours:
    """Steps of the real learner."""

    def __init__(self, recipe: Recipe, peers: Group | None = None) -> None:
        self.learner, self._taken = Learner(recipe, (), peers), 0

    def step(self, images: Tensor) -> float:
        peers = self.learner.peers
        labels = torch.zeros(len(images), 0, dtype=torch.int64)
        batch = Batch(images, labels).share(peers.rank, peers.size)
        values = self.learner.step(batch, step_generator(0, self._taken), self._taken, self._taken / STEPS)
        self._taken += 1
        return sum(values.values())

    def error(self, images: Tensor) -> float:
        network = self.learner.network
        with torch.no_grad():
            return float((network.decoder(network.encoder(images)[0]) - images).square().mean())


def recipes(batch: int) -> dict[str, Recipe]:
    """What is trained, by the name it has in the table."""
    shipped = load_recipe(SHIPPED)
    terms = [term.model_dump() for term in shipped.terms if term.kind != "anchor"]  # no labels here
    entries: dict[str, dict[str, Any]] = {
        "convolution": {"network": {"kind": "convolution", "latents": LATENTS}, "terms": TERMS, "optimiser": ADAMW},
        "patch": {"network": {"latents": LATENTS, **PATCH}, "terms": TERMS, "optimiser": ADAMW},
        "patch, shipped": {
            "network": shipped.network.model_dump(), "terms": terms, "optimiser": shipped.optimiser.model_dump(),
        },
    }  # fmt: skip
    common = {"name": "speed", "corpus": {"images": {"micah": 1}}, "precision": "auto", "steps": STEPS}
    return {
        name: Recipe.model_validate({**common, **entry, "optimiser": {**entry["optimiser"], "batch": batch}})
        for name, entry in entries.items()
    }


def pictures(batch: int) -> tuple[Tensor, Tensor]:
    """Batches of training images [S, B, C, H, W], and held-out images, floats in 0..1."""
    corpus = build_corpus(CorpusConfig(images={"micah": 2000}, held_out=250))
    drawn = corpus.parts[0].at(0.0).images
    images = to_float(np.stack([drawn[row] for row in range(len(drawn))])).contiguous()
    whole = images[: len(images) // batch * batch]
    return whole.reshape(-1, batch, *images.shape[1:]), to_float(corpus.held_out[0].images).contiguous()


def join(store: str, rank: int) -> Group:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=CORES)
    torch.set_num_threads(1)
    return Group()


def follow(rank: int, store: str, images: Tensor) -> None:
    """The other process: takes the steps that the first one asks for, until it asks for none."""
    peers = join(store, rank)
    ours = [Ours(recipe, peers) for recipe in recipes(len(images)).values()]
    while (asked := int(peers.agree(0.0))) >= 0:
        ours[asked].step(images)


def seconds(step: Step, batches: Tensor, steps: int) -> float:
    start = time.perf_counter()
    for index in range(steps):
        step(batches[index % len(batches)])
    return time.perf_counter() - start


def product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of a matrix product on all cores."""
    left, right = (torch.ones(SIDE, SIDE, dtype=dtype) for _ in range(2))
    start = time.perf_counter()
    left @ right
    return 2 * SIDE**3 / (time.perf_counter() - start)


def flop_per_image(step: Step, images: Tensor) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        step(images)
    return float(counter.get_total_flops()) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="images of a step, for all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="steps of each in a round")
    parser.add_argument("--learn", type=int, default=0, help="also train each for so many steps and print its error")
    asked = parser.parse_args()
    batches, held_out = pictures(asked.batch)
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        store = str(Path(folder) / "store")
        follower = multiprocessing.get_context("spawn").Process
        other = follower(target=follow, args=(1, store, batches[0].clone()), daemon=True)
        other.start()
        peers = join(store, 0)
        try:
            compare(asked, batches, held_out, peers)
        finally:
            peers.agree(-1.0)
            other.join(60)
            distributed.destroy_process_group()


def compare(asked: argparse.Namespace, batches: Tensor, held_out: Tensor, peers: Group) -> None:
    wanted = recipes(asked.batch)
    plain = Plain()
    alone = {name: Ours(recipe) for name, recipe in wanted.items()}
    shared = {name: Ours(recipe, peers) for name, recipe in wanted.items()}
    names = list(wanted)

    def led(name: str) -> Step:
        def step(images: Tensor) -> float:
            peers.agree(float(names.index(name)))
            return shared[name].step(images)

        return step

    rows: dict[str, tuple[Step, int]] = {PLAIN: (plain.step, CORES), PLAIN_ALONE: (plain.step, 1)}
    for name in wanted:
        rows[f"{name}, 1 thread"] = (alone[name].step, 1)
        rows[f"{name}, 2 threads"] = (alone[name].step, CORES)
        rows[f"{name}, 2 processes"] = (led(name), 1)
    flop = {"plain loop": flop_per_image(plain.step, batches[0])}
    flop |= {name: flop_per_image(ours.step, batches[0]) for name, ours in alone.items()}
    taken: dict[str, list[float]] = {row: [] for row in rows}
    rates: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for turn in range(asked.rounds + 1):  # the first one warms up
        for row, (step, threads) in rows.items():
            torch.set_num_threads(threads)
            used = batches[:1] if row.endswith("processes") else batches  # the other process has the first one
            taken[row].append(seconds(step, used, asked.steps if turn else 1))
        torch.set_num_threads(CORES)
        for dtype, found in rates.items():
            found.append(product_rate(dtype))
    report(asked, {row: times[1:] for row, times in taken.items()}, flop, rates)
    if asked.learn:
        learn(asked.learn, batches, held_out, plain, alone)


def report(
    asked: argparse.Namespace,
    taken: dict[str, list[float]],
    flop: dict[str, float],
    rates: dict[torch.dtype, list[float]],
) -> None:
    single, half = (statistics.median(rates[dtype][1:]) for dtype in (torch.float32, torch.bfloat16))
    print(
        f"matrix products on {CORES} cores: {single / 1e9:,.0f} GFLOP/s float32, {half / 1e9:,.0f} bfloat16; ", end=""
    )
    print(f"ours multiply in {settled('auto')}; batches of {asked.batch}, {asked.rounds} rounds")
    print(f"{'':28}{'images/s':>9}{'of the plain loop':>19}{'MFLOP/image':>13}{'of float32':>12}{'of bfloat16':>13}")
    base = taken[PLAIN]
    best: dict[str, float] = {}
    for row, times in taken.items():
        name = row.rpartition(",")[0]
        rate = asked.batch * asked.steps / statistics.median(times)
        ratio = statistics.median(plain / ours for plain, ours in zip(base, times, strict=True))
        best[name] = max(best.get(name, 0.0), ratio)
        used = rate * flop[name]
        print(f"{row:28}{rate:9,.0f}{ratio:19.2f}{flop[name] / 1e6:13.0f}{used / single:12.0%}{used / half:13.0%}")
    for name, bar in BARS.items():
        verdict = "met" if best[name] >= bar else "missed"
        one_core = zip(taken[PLAIN_ALONE], taken[f"{name}, 1 thread"], strict=True)
        ratio = statistics.median(plain / ours for plain, ours in one_core)
        print(
            f"{name}: {best[name]:.2f} times the plain loop on two cores, at least {bar:g} wanted: {verdict}; "
            f"on one core each {ratio:.2f}"
        )


def learn(steps: int, batches: Tensor, held_out: Tensor, plain: Plain, ours: dict[str, Ours]) -> None:
    print(f"held-out error after {steps} more steps, the learning rate of each recipe:")
    trained: dict[str, Plain | Ours] = {"plain loop": plain, **ours}
    for name, each in trained.items():
        torch.set_num_threads(CORES)
        seconds(each.step, batches, steps)
        print(f"  {name:16}{each.error(held_out):.5f}", flush=True)


if __name__ == "__main__":
    main()
