"""Training a base from a recipe: corpus, loop, checkpoints, measurements, and at the end the bundle and its card.

Killed at any moment it goes on from the last checkpoint; with a number of steps as its length the result is the one
an uninterrupted run gives.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import torch

from heddle_platform.base.allocator import keep_freed_memory
from heddle_platform.base.batches import BatchSource, step_generator
from heddle_platform.base.bundle import write_bundle
from heddle_platform.base.card import BaseCard, make_card, write_card
from heddle_platform.base.checkpoint import FolderCheckpoints
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, build_corpus
from heddle_platform.base.export import export_bundle
from heddle_platform.base.learner import Learner
from heddle_platform.base.measure import measure
from heddle_platform.base.readings import Measurement, Score
from heddle_platform.base.run_log import METRICS as METRICS
from heddle_platform.base.run_log import RunLog, RunTracker
from heddle_platform.base.surroundings import Surroundings, TrainListener, TrainProgress
from heddle_platform.errors import InvalidInput
from heddle_platform.ports import ObjectStore

CHECKPOINT = "checkpoint.pt"
BUNDLE = "bundle"

_REPORT_SECONDS = 1.0
_SMOOTHING = 0.98

_log = structlog.get_logger()


def train(
    recipe: Recipe,
    out_dir: Path,
    *,
    cache_dir: Path | None = None,
    resume: bool = True,
    progress: TrainListener | None = None,
    store: ObjectStore | None = None,
    score: Score | None = None,
    card_score: Score | None = None,
    tracker: RunTracker | None = None,
) -> Path:
    """Train a base and write its bundle and its card.

    Args:
        recipe: what to train.
        out_dir: gets checkpoint.pt, metrics.jsonl, run.json, traversals/ and the bundle's directory.
        cache_dir: where rendered images live; the user's cache directory if None.
        resume: go on from `out_dir`'s checkpoint if there is one; otherwise start anew.
        progress: is told how it goes.
        store: where the corpus's sources named `stored` lie.
        score: computes scores on the labelled slice while it trains; None: none are measured.
        card_score: computes the scores of the card; None: `score` does.
        tracker: keeps the run's log elsewhere too.
    Returns:
        The bundle's directory, the card beside its files.
    Raises:
        InvalidInput: the checkpoint is of another network, corpus or set of terms.
        ParityError: the exported graphs do not compute what the network computes.
    """
    told = progress.rendering if progress else None
    corpus = build_corpus(recipe.corpus, cache_dir=cache_dir, progress=told, store=store)
    surroundings = Surroundings(progress=progress, score=score, card_score=card_score, tracker=tracker)
    finished = complete_training(recipe, corpus, out_dir, surroundings, resume=resume)
    export_run(recipe, corpus, out_dir, finished, surroundings)
    return out_dir / BUNDLE


@dataclass(frozen=True)
class Finished:
    """A training at its end: its learner, the steps it took, and what was measured on the way."""

    learner: Learner
    steps: int
    measurements: tuple[Measurement, ...]


def export_run(
    recipe: Recipe, corpus: Corpus, out_dir: Path, finished: Finished, surroundings: Surroundings
) -> BaseCard:
    """Write a finished training's bundle and card into `out_dir`/bundle, and close its log.

    Raises:
        ParityError: the exported graphs do not compute what the network computes.
    """
    if surroundings.progress:
        surroundings.progress.exporting()
    bundle = export_bundle(finished.learner.averaged, recipe, corpus, steps=finished.steps)
    write_bundle(bundle, out_dir / BUNDLE)
    score = surroundings.card_score or surroundings.score
    card = make_card(bundle, corpus.held_out, score=score, measurements=finished.measurements)
    page = write_card(card, out_dir / BUNDLE)
    if surroundings.tracker:
        surroundings.tracker.finished(bundle.digest, {"card.html": page})
    _log.info("base_exported", base=recipe.name, digest=bundle.digest, steps=finished.steps)
    return card


def run_training(
    recipe: Recipe,
    corpus: Corpus,
    out_dir: Path,
    *,
    resume: bool,
    progress: TrainListener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Learner, int]:
    """Train to the recipe's end, without the bundle.

    Args:
        clock: seconds by which the recipe's minutes are counted; `time.process_time` gives each of several runs the
            same budget whatever else the machine does.

    Returns:
        The learner, whose `averaged` weights are the ones to ship, and the number of steps taken.
    Raises:
        InvalidInput: see `train`.
    """
    finished = complete_training(recipe, corpus, out_dir, Surroundings(progress=progress, clock=clock), resume=resume)
    return finished.learner, finished.steps


def complete_training(
    recipe: Recipe, corpus: Corpus, out_dir: Path, surroundings: Surroundings, *, resume: bool
) -> Finished:
    """Train to the recipe's end in given surroundings; every process of `peers` calls this.

    Raises:
        InvalidInput: see `train`; code `uneven_shares`: the processes cannot share a batch evenly.
    """
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    whole, parts = (recipe.optimiser.batch // 2, "pairs") if recipe.needs_pairs else (recipe.optimiser.batch, "images")
    if whole % surroundings.peers.size:
        # A mean of means is the mean only of equal shares, and a share must hold an image's partner too.
        raise InvalidInput(
            f"{surroundings.peers.size} processes cannot share batches of {whole} {parts} evenly; "
            "take a number of workers that divides it, or another optimiser.batch",
            code="uneven_shares",
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    loop = _Loop(recipe, corpus, out_dir, surroundings)
    if resume:
        loop.take_up(loop.checkpoints.load())
    loop.run()
    return Finished(loop.learner, loop.step, tuple(loop.log.measurements))


class _Loop:
    def __init__(self, recipe: Recipe, corpus: Corpus, out_dir: Path, surroundings: Surroundings) -> None:
        self.recipe, self.corpus = recipe, corpus
        self.progress, self.score, self.peers = surroundings.progress, surroundings.score, surroundings.peers
        self.measured_steps = surroundings.measured_steps
        self.clock = surroundings.clock
        self.checkpoints = surroundings.checkpoints or FolderCheckpoints(out_dir / CHECKPOINT)
        self.learner = Learner(recipe, corpus.factors, self.peers)
        self.source = BatchSource.of(recipe, corpus)
        self.log = RunLog(recipe, out_dir, surroundings.tracker) if self.first else _silent_log(recipe)
        self.step, self.elapsed = 0, 0.0
        self.losses: dict[str, float] = {}
        self._told = (0, 0.0)

    @property
    def first(self) -> bool:
        return self.peers.rank == 0

    def take_up(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        shape = recipe_shape(self.recipe)
        if state.get("shape", shape) != shape:
            raise InvalidInput(
                f"the checkpoint was written by {state['shape']}, the recipe says {shape}; "
                "train into another directory or start anew",
                code="checkpoint_mismatch",
            )
        self.learner.restore(state["learner"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self.losses = dict(state.get("losses", {}))
        self._told = (self.step, self.elapsed)
        self.log.take_up(state.get("measurements", []))

    def done(self) -> float:
        if self.recipe.steps is not None:
            return self.step / self.recipe.steps
        return self.elapsed / (60 * float(self.recipe.minutes or 0))

    def run(self) -> None:
        saved = measured = self.elapsed
        last = self.clock()
        while self.done() < 1:
            self.take_step()
            now = self.clock()
            self.elapsed, last = self.elapsed + now - last, now
            if self.recipe.steps is None:  # else nothing hangs on the clock
                self.elapsed = self.peers.agree(self.elapsed)
            if not self.first:
                continue
            if self.elapsed - self._told[1] >= _REPORT_SECONDS:
                self.tell()
            if self.step in self.measured_steps or self.elapsed - measured >= self.recipe.evaluate_seconds:
                self.measure()
                measured = self.elapsed
            if self.elapsed - saved >= self.recipe.checkpoint_seconds:
                self.save()
                saved = self.elapsed
        if self.first:
            self.measure()
            self.save()

    def take_step(self) -> None:
        generator = step_generator(self.recipe.seed, self.step)
        batch = self.source.draw(generator, self.step).share(self.peers.rank, self.peers.size)
        values = self.peers.mean(self.learner.step(batch, generator, self.step, self.done()))
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
            "measurements": [each.model_dump(mode="json") for each in self.log.measurements],
        }
        self.checkpoints.save(state, self.step)

    def measure(self) -> None:
        if self.log.measurements and self.log.measurements[-1].step == self.step:
            return  # a finished training that is started again has nothing new to say
        measurement, traversal = measure(
            self.learner.averaged,
            self.recipe,
            self.corpus.held_out,
            step=self.step,
            elapsed_seconds=self.elapsed,
            done=self.done(),
            losses=self.losses,
            most_active_before=max((each.active_units for each in self.log.measurements), default=0),
            score=self.score,
        )
        self.log.add(measurement, traversal)
        if self.progress:
            self.progress.measured(measurement)
        _log.debug("base_measured", step=self.step, active_units=measurement.active_units)


def _silent_log(recipe: Recipe) -> RunLog:
    """The log of a process that is not the first: it keeps nothing."""
    return RunLog(recipe, None, None)


def recipe_shape(recipe: Recipe) -> str:
    """What a checkpoint must agree with: the network, the optimiser, the kinds of terms, the corpus's parts.

    Lengths, rates, weights and shares may change between two legs of a training.
    """
    network = recipe.network.model_dump_json()
    terms = ", ".join(term.kind for term in recipe.terms)
    return (
        f"network {network}, optimiser {recipe.optimiser.kind}, terms {terms}, parts {', '.join(recipe.corpus.names)}"
    )
