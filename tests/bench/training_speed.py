"""How fast bases train on two cores: our two networks beside a plain PyTorch loop of the convolutional pair.

    python -m tests.bench.training_speed [--batch 64] [--rounds 7] [--steps 10] [--learn 300]

The plain loop is what a good student writes: the pair of the literature, float32, Adam, torch's own threads, images
ready in memory, the C library's allocator as it comes. Ours are steps of the real `Learner` on the same images in the
precision that "auto" settles on, with one thread, with two, and as two processes that share each batch; as in every
training, their processes keep freed memory (`base.allocator`) and images lie in memory as `to_float` leaves them. The
plain loop has a process of its own, or it would share that setting.

All take turns within a round, one at a time; ratios are medians over rounds, so that what else the machine does weighs
on all. The first step of a turn is not timed: in a training it comes after others of its kind, not after those of
another network. FLOP are counted by torch while a step is taken, the optimiser's included, and held against matrix
products of 1,024 x 1,024 timed in the same rounds.

`--learn N` trains each anew for N steps and prints the error on held-out images: a network is not fast that learns
nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing
from torch.utils.flop_counter import FlopCounterMode

from heddle_platform.base.allocator import keep_freed_memory
from heddle_platform.base.batches import Batch, step_generator, to_float
from heddle_platform.base.config import Recipe, load_recipe
from heddle_platform.base.corpus import CorpusConfig, build_corpus
from heddle_platform.base.learner import Learner
from heddle_platform.base.peers import Group
from heddle_platform.base.precision import settled
from tests.bench.plain_loop import LATENTS, SIGMA, Plain, Step, seconds, take_plain_turns, turn

CORES = 2
SIDE = 1024
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
Turn = Callable[[int], float]  # steps -> seconds


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
    """Batches of training images [S, B, C, H, W], and held-out images, floats in 0..1; channels innermost in memory."""
    corpus = build_corpus(CorpusConfig(images={"micah": 2000}, held_out=250))
    drawn = corpus.parts[0].at(0.0).images
    images = to_float(np.stack([drawn[row] for row in range(len(drawn))]))
    whole = images[: len(images) // batch * batch]
    return whole.reshape(-1, batch, *images.shape[1:]), to_float(corpus.held_out[0].images)


def join(store: str, rank: int) -> Group:
    keep_freed_memory()
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=CORES)
    torch.set_num_threads(1)
    return Group()


def follow(rank: int, store: str, images: Tensor) -> None:
    """The other process: takes the turns that the first one asks for, until it asks for none."""
    peers = join(store, rank)
    ours = [Ours(recipe, peers) for recipe in recipes(len(images)).values()]
    while (asked := int(peers.agree(0.0))) >= 0:
        turn(ours[asked].step, images[None], int(peers.agree(0.0)))


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
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each in a round")
    parser.add_argument("--learn", type=int, default=0, help="also train each for so many steps and print its error")
    asked = parser.parse_args()
    batches, held_out = pictures(asked.batch)
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    plain = spawned.Process(target=take_plain_turns, args=(there, batches), daemon=True)
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        store = str(Path(folder) / "store")
        other = spawned.Process(target=follow, args=(1, store, batches[0].clone()), daemon=True)
        plain.start()
        other.start()
        peers = join(store, 0)
        try:
            compare(asked, batches, here, peers)
        finally:
            here.send(None)
            peers.agree(-1.0)
            plain.join(60)
            other.join(60)
            distributed.destroy_process_group()
    if asked.learn:
        learn(asked.learn, batches, held_out)


def compare(asked: argparse.Namespace, batches: Tensor, plain: Connection, peers: Group) -> None:
    wanted = recipes(asked.batch)
    alone = {name: Ours(recipe) for name, recipe in wanted.items()}
    shared = {name: Ours(recipe, peers) for name, recipe in wanted.items()}
    names = list(wanted)

    def apart(threads: int) -> Turn:
        def take(steps: int) -> float:
            plain.send((threads, steps))
            return float(plain.recv())

        return take

    def here(name: str, threads: int) -> Turn:
        def take(steps: int) -> float:
            torch.set_num_threads(threads)
            return turn(alone[name].step, batches, steps)

        return take

    def side_by_side(name: str) -> Turn:
        def take(steps: int) -> float:
            torch.set_num_threads(1)
            peers.agree(float(names.index(name)))
            peers.agree(float(steps))
            return turn(shared[name].step, batches[:1], steps)  # the other process has the first batch

        return take

    rows: dict[str, Turn] = {PLAIN: apart(CORES), PLAIN_ALONE: apart(1)}
    for name in wanted:
        rows[f"{name}, 1 thread"] = here(name, 1)
        rows[f"{name}, 2 threads"] = here(name, CORES)
        rows[f"{name}, 2 processes"] = side_by_side(name)
    flop = {"plain loop": flop_per_image(Plain().step, batches[0])}
    flop |= {name: flop_per_image(ours.step, batches[0]) for name, ours in alone.items()}
    taken: dict[str, list[float]] = {row: [] for row in rows}
    rates: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for round_ in range(asked.rounds + 1):  # the first one warms up
        for row, take in rows.items():
            taken[row].append(take(asked.steps if round_ else 1))
        torch.set_num_threads(CORES)
        for dtype, found in rates.items():
            found.append(product_rate(dtype))
    report(asked, {row: times[1:] for row, times in taken.items()}, flop, rates)


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


def learn(steps: int, batches: Tensor, held_out: Tensor) -> None:
    print(f"held-out error after {steps} steps, the learning rate of each recipe:")
    torch.set_num_threads(CORES)
    trained: dict[str, Plain | Ours] = {"plain loop": Plain()}
    trained |= {name: Ours(recipe) for name, recipe in recipes(batches.shape[1]).items()}
    for name, each in trained.items():
        seconds(each.step, batches, steps)
        print(f"  {name:16}{each.error(held_out):.5f}", flush=True)


if __name__ == "__main__":
    main()
