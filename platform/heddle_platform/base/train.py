"""Training a base from a recipe: corpus, loop, checkpoints, measurements, and at the end the bundle.

Killed at any moment it goes on from the last checkpoint; with a number of steps as its length the result is the one
an uninterrupted run gives.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
import torch

from heddle_platform.base.batches import BatchSource, step_generator
from heddle_platform.base.bundle import write_bundle
from heddle_platform.base.checkpoint import load_checkpoint, save_checkpoint
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, build_corpus
from heddle_platform.base.evaluate import evaluate
from heddle_platform.base.export import export_bundle
from heddle_platform.base.learner import Learner
from heddle_platform.errors import InvalidInput
from heddle_platform.ports import ObjectStore

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
BUNDLE = "bundle"

_REPORT_SECONDS = 1.0
_SMOOTHING = 0.98

_log = structlog.get_logger()


@dataclass(frozen=True)
class TrainProgress:
    """Where a training stands.

    Attributes:
        done: share of the training, 0..1.
        step: steps taken.
        images_per_second: since the last report.
        seconds_left: estimated from the share done.
        losses: term -> nats per image, unweighted, running mean.
    """

    done: float
    step: int
    images_per_second: float
    seconds_left: float
    losses: dict[str, float]


class TrainListener(Protocol):
    """Whoever shows a training's progress."""

    def rendering(self, ready: int, wanted: int) -> None:
        """Images of the corpus that are ready, and that are wanted."""

    def training(self, progress: TrainProgress) -> None:
        """Called about once a second."""

    def exporting(self) -> None:
        """The training is over; the bundle is being made."""


def train(
    recipe: Recipe,
    out_dir: Path,
    *,
    cache_dir: Path | None = None,
    resume: bool = True,
    progress: TrainListener | None = None,
    store: ObjectStore | None = None,
) -> Path:
    """Train a base and write its bundle.

    Args:
        recipe: what to train.
        out_dir: gets checkpoint.pt, metrics.jsonl and the bundle's directory.
        cache_dir: where rendered images live; the user's cache directory if None.
        resume: go on from `out_dir`'s checkpoint if there is one; otherwise start anew.
        progress: is told how it goes.
        store: where the corpus's sources named `stored` lie.
    Returns:
        The bundle's directory.
    Raises:
        InvalidInput: the checkpoint is of another network, corpus or set of terms.
        ParityError: the exported graphs do not compute what the network computes.
    """
    told = progress.rendering if progress else None
    corpus = build_corpus(recipe.corpus, cache_dir=cache_dir, progress=told, store=store)
    learner, steps = run_training(recipe, corpus, out_dir, resume=resume, progress=progress)
    if progress:
        progress.exporting()
    bundle = export_bundle(learner.averaged, recipe, corpus, steps=steps)
    write_bundle(bundle, out_dir / BUNDLE)
    _log.info("base_exported", base=recipe.name, digest=bundle.digest, steps=steps)
    return out_dir / BUNDLE


def run_training(
    recipe: Recipe, corpus: Corpus, out_dir: Path, *, resume: bool, progress: TrainListener | None = None
) -> tuple[Learner, int]:
    """Train to the recipe's end, without the bundle.

    Returns:
        The learner, whose `averaged` weights are the ones to ship, and the number of steps taken.
    Raises:
        InvalidInput: see `train`.
    """
    torch.set_num_threads(recipe.threads)
    out_dir.mkdir(parents=True, exist_ok=True)
    loop = _Loop(recipe, corpus, out_dir, progress)
    if resume:
        loop.take_up(load_checkpoint(out_dir / CHECKPOINT))
    loop.run()
    return loop.learner, loop.step


class _Loop:
    def __init__(self, recipe: Recipe, corpus: Corpus, out_dir: Path, progress: TrainListener | None) -> None:
        self.recipe, self.corpus, self.out_dir, self.progress = recipe, corpus, out_dir, progress
        self.learner = Learner(recipe, corpus.factors)
        self.source = BatchSource.of(recipe, corpus)
        self.step, self.elapsed = 0, 0.0
        self.losses: dict[str, float] = {}
        self._told = (0, 0.0)

    def take_up(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        shape = recipe_shape(self.recipe)
        if state.get("shape", shape) != shape:
            raise InvalidInput(
                f"{self.out_dir / CHECKPOINT} was written by {state['shape']}, the recipe says {shape}; "
                "train into another directory or start anew",
                code="checkpoint_mismatch",
            )
        self.learner.restore(state["learner"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self.losses = dict(state.get("losses", {}))
        self._told = (self.step, self.elapsed)

    def done(self) -> float:
        if self.recipe.steps is not None:
            return self.step / self.recipe.steps
        return self.elapsed / (60 * float(self.recipe.minutes or 0))

    def run(self) -> None:
        saved = measured = self.elapsed
        last = time.monotonic()
        while self.done() < 1:
            self.take_step()
            now = time.monotonic()
            self.elapsed, last = self.elapsed + now - last, now
            if self.elapsed - self._told[1] >= _REPORT_SECONDS:
                self.tell()
            if self.elapsed - saved >= self.recipe.checkpoint_seconds:
                self.save()
                saved = self.elapsed
            if self.elapsed - measured >= self.recipe.evaluate_seconds:
                self.measure()
                measured = self.elapsed
        self.save()
        self.measure()

    def take_step(self) -> None:
        generator = step_generator(self.recipe.seed, self.step)
        values = self.learner.step(self.source.draw(generator, self.step), generator, self.step, self.done())
        self.step += 1
        for name, value in values.items():
            self.losses[name] = value + _SMOOTHING * (self.losses.get(name, value) - value)

    def tell(self) -> None:
        steps, seconds = self.step - self._told[0], self.elapsed - self._told[1]
        self._told = (self.step, self.elapsed)
        if self.progress:
            done = self.done()
            rate = steps * self.recipe.optimiser.batch / seconds
            left = max(0.0, self.elapsed * (1 - done) / max(done, 1e-9))
            self.progress.training(TrainProgress(min(1.0, done), self.step, rate, left, dict(self.losses)))

    def save(self) -> None:
        state = {
            "learner": self.learner.state(),
            "step": self.step,
            "elapsed": self.elapsed,
            "losses": self.losses,
            "shape": recipe_shape(self.recipe),
        }
        save_checkpoint(state, self.out_dir / CHECKPOINT)

    def measure(self) -> None:
        figures = evaluate(self.learner.averaged, self.corpus.held_out)
        row = {
            "step": self.step,
            "elapsed_seconds": round(self.elapsed, 1),
            "losses": {name: round(value, 3) for name, value in self.losses.items()},
            "mse": {name: round(value, 5) for name, value in figures.mse.items()},
            "active_units": figures.active_units,
            "kl_per_latent": [round(value, 3) for value in figures.kl_per_latent],
        }
        with (self.out_dir / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        _log.debug("base_measured", step=self.step, active_units=figures.active_units)


def recipe_shape(recipe: Recipe) -> str:
    """What a checkpoint must agree with: the network, the optimiser, the kinds of terms, the corpus's parts.

    Lengths, rates, weights and shares may change between two legs of a training.
    """
    network = recipe.network.model_dump_json()
    terms = ", ".join(term.kind for term in recipe.terms)
    return (
        f"network {network}, optimiser {recipe.optimiser.kind}, terms {terms}, parts {', '.join(recipe.corpus.names)}"
    )
