"""One training of a sweep, in a Ray Tune trial: it goes on from its checkpoint and leaves its outcome in its folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.base.surroundings import TrainProgress
from heddle_platform.base.sweeps.folder import Outcome, TrialFolder
from heddle_platform.base.sweeps.plan import Setting, SweepPlan
from heddle_platform.errors import HeddleError

STEP = "step"
WORTH = "worth"
SECONDS = "processor_seconds"
"""Keys of what a trial reports: steps taken; what it is worth, where it may be stopped; processor time of this leg."""

Report = Callable[[dict[str, Any]], None]

_MOST_WORDS = 300
_LIKELIHOODS = ("reconstruction", "bernoulli", "autoregressive")


@dataclass(frozen=True)
class Job:
    """A training to run.

    Attributes:
        number: of its setting.
        setting: dotted field -> what it is set to.
        seed: its seed.
        folder: its folder.
    """

    number: int
    setting: Setting
    seed: int
    folder: Path


def loss_of(measurement: Measurement) -> float:
    """Nats per image of likelihood terms (running mean of the training) plus KL (held out): beta 1 for all."""
    return sum(measurement.losses.get(kind, 0.0) for kind in _LIKELIHOODS) + measurement.kl


def worth_of(plan: SweepPlan, measurement: Measurement) -> float | None:
    """What early stopping goes by, or None where a training is not to be stopped at this step, or cannot be judged."""
    if plan.stop is None or measurement.step not in plan.stop.rungs(plan.steps):
        return None
    return loss_of(measurement) if plan.stop.by == "loss" else plan.criterion.read(measurement)


def run_trial(config: dict[str, Any], plan: SweepPlan) -> None:
    """What Ray Tune calls; `config` holds a `Job` as `job`."""
    from ray import tune

    job: Job = config["job"]
    folder = TrialFolder(job.folder)
    with folder.held():
        if folder.outcome is not None:
            return  # a leg that was killed came to its end meanwhile
        start = time.process_time()

        def spent() -> float:
            return round(time.process_time() - start, 1)

        def report(values: dict[str, Any]) -> None:
            tune.report({**values, SECONDS: spent()})

        try:
            measurement = _trained(plan, job, folder, report)
            outcome = Outcome(status="finished", step=plan.steps, measurement=measurement)
        except HeddleError as error:
            outcome = Outcome(status="failed", step=0, why=error.message)
        except Exception as error:  # one training's fault must not end the others; Tune's stop is no Exception
            outcome = Outcome(status="failed", step=0, why=f"{type(error).__name__}: {error}"[:_MOST_WORDS])
        folder.end(outcome.model_copy(update={"processor_seconds": spent()}))


def _trained(plan: SweepPlan, job: Job, folder: TrialFolder, report: Report) -> Measurement:
    from heddle_adapters.base_scores import base_scores, one_base_score
    from heddle_platform.base.checkpoint import FolderCheckpoints
    from heddle_platform.base.corpus import build_corpus
    from heddle_platform.base.evaluate import evaluate
    from heddle_platform.base.slices import score_parts, with_labels
    from heddle_platform.base.surroundings import Surroundings
    from heddle_platform.base.train import CHECKPOINT, complete_training

    recipe = plan.trained_recipe(job.setting, job.seed)
    corpus = build_corpus(recipe.corpus)
    score = None
    if plan.stop and plan.stop.by == "criterion" and plan.criterion.score != "distortion":
        score = with_labels(one_base_score(plan.criterion.score), corpus.held_out, plan.criterion.labels)
    teller = _Teller(plan, report)
    checkpoint = folder.path / CHECKPOINT
    for row in (FolderCheckpoints(checkpoint).load() or {}).get("measurements", []):
        teller.measured(Measurement.model_validate(row))  # the new Tune knows nothing of earlier legs
    surroundings = Surroundings(progress=teller, score=score, measured_steps=plan.measured_steps)
    finished = complete_training(recipe, corpus, folder.path, surroundings, resume=True)
    codes = evaluate(finished.learner.averaged, corpus.held_out).codes

    def every(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
        found = base_scores(codes_NL, labels_NF) | one_base_score("probe")(codes_NL, labels_NF)
        if plan.criterion.score == "distortion":
            return found
        # What decides has its interval; for all of them a forest would be grown thirty times a training.
        return found | one_base_score(plan.criterion.score, interval=True)(codes_NL, labels_NF)

    scores = score_parts(corpus.held_out, codes, with_labels(every, corpus.held_out, plan.criterion.labels))
    return finished.measurements[-1].model_copy(update={"scores": scores})


class _Teller:
    """Tells Ray Tune how a training goes; a `TrainListener`. A training that Tune stops ends inside `report`."""

    def __init__(self, plan: SweepPlan, report: Report) -> None:
        self._plan, self._report = plan, report

    def rendering(self, ready: int, wanted: int) -> None:
        """Say nothing: the sweep rendered before it began."""

    def training(self, progress: TrainProgress) -> None:
        self._report({STEP: progress.step})

    def measured(self, measurement: Measurement) -> None:
        worth = worth_of(self._plan, measurement)
        if worth is not None:
            self._report({STEP: measurement.step, WORTH: worth})

    def exporting(self) -> None:
        """Say nothing: a trial is not exported."""
