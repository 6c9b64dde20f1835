"""What a sweep shows while it runs: bars on a terminal, a line a training where the output goes to a file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from heddle_platform.base.sweeps.plan import SweepPlan
from heddle_platform.base.sweeps.verdict import SettingResult, Trial, words_of
from heddle_workers.base_sweep.trial import Job

_LINE_SECONDS = 60.0


class View(Protocol):
    """Whoever shows a sweep."""

    def started(self, job: Job) -> None:
        """A training begins or goes on."""

    def step(self, job: Job, step: int) -> None:
        """A training has come to a step."""

    def ended(self, job: Job, trial: Trial) -> None:
        """A training has ended, or was interrupted."""


class Tally:
    """How far a sweep is, and how long it will take at this leg's speed.

    Args:
        plan: the plan.
        before: what earlier legs left.
    """

    def __init__(self, plan: SweepPlan, before: list[SettingResult]) -> None:
        self.plan = plan
        self.wanted = plan.settings_wanted * len(plan.seeds)
        self.ended = sum(trial.status in ("finished", "stopped") for setting in before for trial in setting.trials)
        self._running: dict[tuple[int, int], int] = {}
        self._taken = 0
        self._start = time.monotonic()

    def step(self, job: Job, step: int) -> None:
        """Note where a training is; the first step told is where this leg took it up."""
        self._taken += max(0, step - self._running.get((job.number, job.seed), step))
        self._running[job.number, job.seed] = step

    def end(self, job: Job, trial: Trial) -> None:
        """Note an end."""
        if trial.status != "open":
            self.step(job, trial.step)
            self.ended += 1
        self._running.pop((job.number, job.seed), None)

    @property
    def share(self) -> float:
        """Share of all steps that are behind or need not be taken any more, 0..1."""
        behind = self.ended * self.plan.steps + sum(self._running.values())
        return min(1.0, behind / (self.wanted * self.plan.steps))

    @property
    def seconds_left(self) -> float | None:
        """How long it will take; None before this leg took a step."""
        if not self._taken:
            return None
        return self.wanted * self.plan.steps * (1 - self.share) * (time.monotonic() - self._start) / self._taken

    @property
    def note(self) -> str:
        """Trainings and time left, in words."""
        told = f"{self.ended} of {self.wanted} trainings"
        if self.seconds_left is None:
            return told
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return f"{told}  {minutes}:{seconds:02d} left"


@contextmanager
def shown(plan: SweepPlan, before: list[SettingResult], console: Console | None = None) -> Iterator[View]:
    """Show a sweep on `console`, standard error if None."""
    console, tally = console or Console(stderr=True), Tally(plan, before)
    if not console.is_terminal:
        yield LineView(console, tally)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield BarView(bars, tally)


class LineView:
    """A line for each training that ends, and once a minute; a `View`."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console, self._tally = console, tally
        self._next = time.monotonic() + _LINE_SECONDS

    def started(self, job: Job) -> None:
        """Say nothing."""

    def step(self, job: Job, step: int) -> None:
        """Tell how far the sweep is, once a minute."""
        self._tally.step(job, step)
        if (now := time.monotonic()) >= self._next:
            self._next = now + _LINE_SECONDS
            self._say(f"sweep {self._tally.share:4.0%}  {self._tally.note}")

    def ended(self, job: Job, trial: Trial) -> None:
        """Tell how it ended."""
        self._tally.end(job, trial)
        self._say(f"{_told(job, trial)}  ({self._tally.note})")

    def _say(self, words: str) -> None:
        self._console.print(words, highlight=False, soft_wrap=True, markup=False)


class BarView:
    """A bar for the sweep and one for each training that runs; what has ended stays above; a `View`."""

    def __init__(self, bars: Progress, tally: Tally) -> None:
        self._bars, self._tally = bars, tally
        self._whole = bars.add_task("sweep", total=1.0, note=tally.note)
        bars.update(self._whole, completed=tally.share)
        self._running: dict[tuple[int, int], TaskID] = {}

    def started(self, job: Job) -> None:
        """Add its bar."""
        task = self._bars.add_task(_words(job), total=self._tally.plan.steps, note="")
        self._running[job.number, job.seed] = task

    def step(self, job: Job, step: int) -> None:
        """Move both bars."""
        self._tally.step(job, step)
        self._bars.update(self._running[job.number, job.seed], completed=step, note=f"step {step:,}")
        self._bars.update(self._whole, completed=self._tally.share, note=self._tally.note)

    def ended(self, job: Job, trial: Trial) -> None:
        """Take its bar away and leave a line."""
        self._tally.end(job, trial)
        self._bars.remove_task(self._running.pop((job.number, job.seed)))
        self._bars.update(self._whole, completed=self._tally.share, note=self._tally.note)
        self._bars.console.print(_told(job, trial), highlight=False, soft_wrap=True, markup=False)


def _words(job: Job) -> str:
    return f"{words_of(job.setting)}, seed {job.seed}"


def _told(job: Job, trial: Trial) -> str:
    """How a training ended, in a line."""
    if trial.status == "open":
        return f"{_words(job)}: interrupted at step {trial.step:,}"
    told = f"{_words(job)}: {trial.status}"
    if trial.criterion is not None:
        told += f", criterion {trial.criterion:.3g}"
    if trial.measurement is not None and trial.finished:
        m = trial.measurement
        told += f", MSE {m.distortion:.4f}, KL {m.kl:.1f} nats, {m.active_units} active units"
        told += "".join(f", warning {alarm.name}" for alarm in m.warnings)
    return told + (f": {trial.why}" if trial.why else "")
