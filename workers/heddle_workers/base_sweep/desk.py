"""The desk that hands out a sweep's trainings, setting by setting and seed by seed, and takes back their ends."""

from collections import deque

from heddle_platform.base.sweeps.folder import Outcome, SweepFolder
from heddle_platform.base.sweeps.plan import Setting
from heddle_platform.base.sweeps.verdict import SettingResult, Trial, read_trial, summarise
from heddle_platform.base.train import CHECKPOINT
from heddle_workers.base_sweep.settings import open_settings
from heddle_workers.base_sweep.trial import Job

_LOST = ("stopped", "failed")


class Desk:
    """Knows which trainings are wanted, and which have ended; all that it knows stands in the folder.

    Args:
        folder: of the sweep. Trainings that failed in an earlier leg are wanted again.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder, self.plan = folder, folder.plan
        self._tried = folder.settings()
        self._settings = open_settings(self.plan, self._tried)
        self._told: set[int] = set()
        self._waiting: deque[Job] = deque()
        for number, setting in enumerate(self._tried):
            for seed in self.plan.seeds:
                if self._trial(number, seed).status == "failed":
                    folder.trial(number, seed).forget_outcome()
            self._queue(number, setting)
            self._tell_if_ended(number)

    def next_job(self) -> Job | None:
        """A training to run, or None if none is left to be handed out."""
        while True:
            while self._waiting:
                job = self._waiting.popleft()
                if not self._hopeless(job.number):
                    return job
            setting = self._settings.ask()
            if setting is None:
                return None
            self.folder.add_setting(setting)
            self._tried.append(setting)
            self._queue(len(self._tried) - 1, setting)

    def ended(self, job: Job, outcome: Outcome | None = None) -> Trial:
        """A training has ended; `outcome` says how where it could not say so itself."""
        kept = self.folder.trial(job.number, job.seed)
        if outcome is not None:
            kept.end(outcome)
        self._tell_if_ended(job.number)
        trial = self._trial(job.number, job.seed)
        if trial.status in ("finished", "stopped"):
            (kept.path / CHECKPOINT).unlink(missing_ok=True)  # megabytes that nobody needs any more
        return trial

    def results(self) -> list[SettingResult]:
        """All settings tried so far."""
        return [self._result(number) for number in range(len(self._tried))]

    def anything_left(self) -> bool:
        """Whether there is a training to run; it stays to be handed out."""
        job = self.next_job()
        if job is not None:
            self._waiting.appendleft(job)
        return job is not None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: each setting that was handed out has ended, and there are no more."""
        return all(self._over(number) for number in range(len(self._tried))) and not self.anything_left()

    def _queue(self, number: int, setting: Setting) -> None:
        for seed in self.plan.seeds:
            trial = self.folder.trial(number, seed)
            if trial.outcome is None:
                self._waiting.append(Job(number, setting, seed, trial.path))

    def _trial(self, number: int, seed: int) -> Trial:
        return read_trial(self.folder, number, seed)

    def _result(self, number: int) -> SettingResult:
        trials = [self._trial(number, seed) for seed in self.plan.seeds]
        return summarise(self.plan, number, self._tried[number], trials)

    def _hopeless(self, number: int) -> bool:
        """Whether so many seeds are lost that the setting cannot be chosen any more."""
        lost = sum(self._trial(number, seed).status in _LOST for seed in self.plan.seeds)
        return 2 * lost >= len(self.plan.seeds)

    def _over(self, number: int) -> bool:
        return self._hopeless(number) or all(self._trial(number, seed).status != "open" for seed in self.plan.seeds)

    def _tell_if_ended(self, number: int) -> None:
        if number not in self._told and self._over(number):
            self._told.add(number)
            self._settings.tell(self._tried[number], self._result(number).criterion)
