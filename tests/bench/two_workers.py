"""One recipe on one worker and on two: do both learn alike, and how many images a second.

    python -m tests.bench.two_workers [--steps 150] [--seeds 2]

Each run is the product's own command over Ray Train and gloo (`heddle_workers.train_local`, what `heddle base train
--workers` starts) in a fresh folder. The loss, as the run's log keeps it (running means), is compared at equal steps:
two workers against one with the same seed, and one worker with another seed, which is the noise. They agree where the
first differs by no more than the second.
"""

import argparse
import itertools
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
    parser.add_argument("--seeds", type=int, default=2, help="runs of one worker, at least 2")
    asked = parser.parse_args()
    one = [train(1, seed, asked.steps) for seed in range(asked.seeds)]
    two = train(2, 0, asked.steps)
    # from where every run has been measured
    start = max(asked.steps * SKIPPED, *(run.steps[0] for run in [*one, two]))
    grid = np.linspace(start, asked.steps, POINTS)
    curves, shared = [run.at(grid) for run in one], two.at(grid)
    noise = np.mean([np.abs(left - right) for left, right in itertools.combinations(curves, 2)], axis=0)
    apart = np.abs(shared - curves[0])
    print(f"{'step':>6}" + "".join(f"{f'one, seed {seed}':>14}" for seed in range(len(one))), end="")
    print(f"{'two, seed 0':>14}{'two less one':>14}{'between seeds':>15}")
    for row in range(0, POINTS, 2):
        values = "".join(f"{curve[row]:14,.1f}" for curve in curves)
        print(f"{grid[row]:6.0f}{values}{shared[row]:14,.1f}{shared[row] - curves[0][row]:14,.1f}{noise[row]:15,.1f}")
    rates = ", ".join(f"{run.images_per_second:,.0f}" for run in one)
    print(f"images/s: one worker {rates}; two workers {two.images_per_second:,.0f}")
    verdict = "agree" if apart.mean() <= noise.mean() else "differ"
    print(
        f"mean difference at equal steps: two workers to one {apart.mean():,.2f} nats, seeds {noise.mean():,.2f}: "
        f"the curves {verdict} (nats per image; most anywhere {apart.max():,.2f} and {noise.max():,.2f})"
    )


if __name__ == "__main__":
    main()
