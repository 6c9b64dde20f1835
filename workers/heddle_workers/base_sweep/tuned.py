"""The run of a sweep's trainings on Ray Tune: what the desk hands out is run, stopped early by ASHA, and taken back.

Tune's own records go to a folder that is thrown away: a sweep's state is its own folder, from which Tune is taught
again what earlier legs measured.
"""

import logging
import os
import tempfile
from dataclasses import dataclass
from typing import Any, Final

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from heddle_platform.base.sweeps.folder import Outcome
from heddle_platform.base.sweeps.plan import Stopping, SweepPlan
from heddle_workers.base_sweep.desk import Desk
from heddle_workers.base_sweep.show import View
from heddle_workers.base_sweep.trial import SECONDS, STEP, WORTH, Job, run_trial, worth_of

# No logs of Tune's own; a report may tell progress and no worth.
_QUIET: Final = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def run_jobs(desk: Desk, view: View, *, concurrent: int, resources: dict[str, float]) -> None:
    """Run all that the desk hands out; Ray must be there.

    Args:
        desk: hands out and takes back.
        view: is told.
        concurrent: trainings at once.
        resources: what each of them reserves.
    """
    os.environ.update(_QUIET)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    plan = desk.plan
    with tempfile.TemporaryDirectory(prefix="heddle-sweep-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(run_trial, plan=plan), tune.PlacementGroupFactory([resources])),
            tune_config=tune.TuneConfig(
                search_alg=_Asker(desk, view),
                scheduler=_scheduler(desk),
                num_samples=plan.settings_wanted * len(plan.seeds),
                max_concurrent_trials=concurrent,
                reuse_actors=True,  # torch is imported once a process, not once a training
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(name="sweep", storage_path=scratch, verbose=0),
        )
        tuner.fit()


class _Unkept:
    """Tune writes down its searcher and its scheduler to take them up again; here the sweep's folder is for that."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class _Asker(_Unkept, Searcher):
    """Asks the desk and tells it."""

    def __init__(self, desk: Desk, view: View) -> None:
        super().__init__(metric=WORTH, mode="max")
        self._desk, self._view = desk, view
        self._jobs: dict[str, Job] = {}

    def suggest(self, trial_id: str) -> Any:
        job = self._desk.next_job()
        if job is None:
            return Searcher.FINISHED
        self._jobs[trial_id] = job
        self._view.started(job)
        return {"job": job}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if STEP in result:
            self._view.step(self._jobs[trial_id], int(result[STEP]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        job = self._jobs.pop(trial_id)
        died = Outcome(status="failed", step=0, why="its process died; was there too little memory?")
        self._view.ended(job, self._desk.ended(job, died if error else None))


@dataclass(frozen=True)
class _Recalled:
    """A training of an earlier leg, as far as ASHA looks at one."""

    trial_id: str


class _Asha(_Unkept, AsyncHyperBandScheduler):
    """Notes in the folder whom it stops."""

    def __init__(self, desk: Desk, stop: Stopping) -> None:
        plan = desk.plan
        lowest = stop.by == "loss" or plan.criterion.wanted == "lowest"
        super().__init__(
            time_attr=STEP,
            metric=WORTH,
            mode="min" if lowest else "max",
            grace_period=stop.grace,
            reduction_factor=stop.reduction,
            max_t=plan.steps,
        )
        self._desk = desk

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action = str(super().on_trial_result(tune_controller, trial, result))
        if action == TrialScheduler.STOP and not isinstance(trial, _Recalled):
            job: Job = trial.config["job"]
            self._desk.folder.trial(job.number, job.seed).end(_stopped(self._desk.plan, result))
        return action


def _scheduler(desk: Desk) -> Any:
    plan = desk.plan
    if plan.stop is None:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    scheduler = _Asha(desk, plan.stop)
    for setting in desk.results():
        for trial in setting.trials:
            if trial.status in ("finished", "stopped"):
                _recall(scheduler, plan, desk, setting.number, trial.seed)
    return scheduler


def _recall(scheduler: Any, plan: SweepPlan, desk: Desk, number: int, seed: int) -> None:
    """Let ASHA see what a training of an earlier leg was worth where it may have been stopped."""
    trial = _Recalled(f"{number}-{seed}")
    scheduler.on_trial_add(None, trial)
    for measurement in desk.folder.trial(number, seed).measurements:
        worth = worth_of(plan, measurement)
        if worth is not None:
            scheduler.on_trial_result(None, trial, {STEP: measurement.step, WORTH: worth})


def _stopped(plan: SweepPlan, result: dict[str, Any]) -> Outcome:
    by = plan.criterion.score if plan.stop is None or plan.stop.by == "criterion" else "loss"
    reduction = plan.stop.reduction if plan.stop else 0
    why = f"{by} {result[WORTH]:.3g} at step {result[STEP]:,} was not among the best 1/{reduction}"
    return Outcome(status="stopped", step=result[STEP], why=why, processor_seconds=result[SECONDS])
