"""One recipe on one worker and on two: do both learn alike, and how many images a second.

    python -m tests.bench.two_workers [--steps 150] [--seeds 3]

Each run is the product's own command over Ray Train and gloo (`heddle_workers.train_local`, what `heddle base train
--workers` starts) in a fresh folder. The loss, as the run's log keeps it (running means), is compared at equal steps:
two workers against one with the same seed, and one worker's seeds against each other, which is the noise. They agree
where the first differ by no more than the second.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from heddle_platform.base.config import Recipe
from heddle_platform.base.readings import Measurement
from heddle_platform.base.train import METRICS

RECIPE: dict[str, Any] = {
    "name": "two-workers",
    "corpus": {"images": {"dsprites": 1000}, "held_out": 40},
    "network": {
        "latents": 10, "width": 64, "encoder_blocks": 1, "decoder_blocks": 1, "token_hidden": 32, "squeeze": 16,
        "hidden": 256,
    },
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "optimiser": {"batch": 64, "warmup_steps": 20},
    "evaluate_seconds": 0.5,
    "checkpoint_seconds": 3600,
}  # fmt: skip
POINTS = 20
SKIPPED = 0.1  # of the steps: a running mean starts at the first value it sees


@dataclass(frozen=True)
class Run:
    """A training: its loss over steps, and its speed between its first and its last measurement."""

    steps: NDArray[np.float64]
    losses: NDArray[np.float64]
    images_per_second: float

    def at(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The loss at these steps, between measurements by a straight line."""
        return np.interp(steps, self.steps, self.losses)


def train(workers: int, seed: int, steps: int) -> Run:
    recipe = Recipe.model_validate({**RECIPE, "seed": seed, "steps": steps})
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as name:
        folder = Path(name)
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
        command = [sys.executable, "-m", "heddle_workers.train_local", f"--recipe={folder / 'recipe.yaml'}"]
        subprocess.run([*command, f"--out={folder}", f"--workers={workers}"], check=True, stdout=subprocess.DEVNULL)
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    measured = [Measurement.model_validate_json(line) for line in lines]
    if len(measured) < 3:
        sys.exit(f"{workers} worker(s) measured {len(measured)} times in {steps} steps; take more steps")
    first, last = measured[0], measured[-1]
    rate = (last.step - first.step) * recipe.optimiser.batch / (last.elapsed_seconds - first.elapsed_seconds)
    losses = [float(sum(each.losses.values())) for each in measured]  # both terms weigh 1 once warmed up
    return Run(np.array([float(each.step) for each in measured]), np.array(losses), rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3, help="runs of one worker and of two, at least 2")
    asked = parser.parse_args()
    # In turns, so that what else the machine does weighs on both.
    pairs = [(train(1, seed, asked.steps), train(2, seed, asked.steps)) for seed in range(asked.seeds)]
    one, two = zip(*pairs, strict=True)
    # from where every run has been measured
    start = max(asked.steps * SKIPPED, *(run.steps[0] for run in (*one, *two)))
    grid_P = np.linspace(start, asked.steps, POINTS)
    one_SP, two_SP = (np.stack([run.at(grid_P) for run in runs]) for runs in (one, two))
    noise_P = np.mean([np.abs(left - right) for left, right in itertools.combinations(one_SP, 2)], axis=0)
    apart_P = np.abs(two_SP - one_SP).mean(axis=0)
    print(f"{'step':>6}{'one, mean':>12}{'two, mean':>12}{'two less one, same seed':>26}{'between seeds of one':>23}")
    for point in range(0, POINTS, 2):
        print(
            f"{grid_P[point]:6.0f}{one_SP[:, point].mean():12,.1f}{two_SP[:, point].mean():12,.1f}"
            f"{apart_P[point]:26,.2f}{noise_P[point]:23,.2f}"
        )
    for workers, runs in (("one worker", one), ("two workers", two)):
        rates = [run.images_per_second for run in runs]
        print(f"images/s of {workers}: {statistics.median(rates):,.0f} ({', '.join(f'{rate:,.0f}' for rate in rates)})")
    speedups = [shared.images_per_second / alone.images_per_second for alone, shared in pairs]
    print(f"two workers take {statistics.median(speedups):.2f} times the images of one")
    verdict = "agree" if apart_P.mean() <= noise_P.mean() else "differ"
    print(
        f"mean difference at equal steps, nats per image: two workers to one of the same seed {apart_P.mean():,.2f}, "
        f"one worker's seeds to each other {noise_P.mean():,.2f}: the curves {verdict} "
        f"(most anywhere {np.abs(two_SP - one_SP).max():,.2f} and {noise_P.max():,.2f})"
    )


if __name__ == "__main__":
    main()
