"""What a sweep tells the process that started it on a cluster: small files in its folder, each whole at any moment."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from heddle_platform.errors import HeddleError, InvalidInput, Unavailable
from heddle_platform.whole_file import write_whole

if TYPE_CHECKING:
    from heddle_platform.base.sweeps.plan import SweepPlan
    from heddle_platform.base.sweeps.verdict import SettingResult, Trial
    from heddle_workers.base_sweep.trial import Job

PROGRESS: Final = "progress.json"
FAILURE: Final = "failure.json"

_SAY_SECONDS: Final = 0.5
_RENDERED: Final = 0.05  # share of the whole that is behind it once the corpus is rendered


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        stage: rendering, or sweeping.
        share: of the whole that is done, 0..1.
        trainings, of: that have ended, and are wanted.
        best: best criterion of any training so far.
        seconds_left: at this attempt's speed; None before it took a step.
    """

    stage: str
    share: float
    trainings: int = 0
    of: int = 0
    best: float | None = None
    seconds_left: int | None = None


class ToldView:
    """Writes how far the sweep is; a `show.View`.

    Args:
        folder: the sweep's.
        plan: the plan.
        before: what earlier attempts left.
    """

    def __init__(self, folder: Path, plan: "SweepPlan", before: "list[SettingResult]") -> None:
        from heddle_workers.base_sweep.show import Tally

        self._path, self._tally = folder / PROGRESS, Tally(plan, before)
        self._highest = plan.criterion.wanted == "highest"
        self._best: float | None = None
        for setting in before:
            for trial in setting.trials:
                self._note(trial.criterion)
        self._next = 0.0

    def rendering(self, ready: int, wanted: int) -> None:
        """Tell how much of the corpus is rendered."""
        self._say(SweepProgress("rendering", _RENDERED * ready / max(wanted, 1)))

    def started(self, job: "Job") -> None:
        """Say that it sweeps."""
        self._sweeping(at_once=False)

    def step(self, job: "Job", step: int) -> None:
        """Tell how far it is."""
        self._tally.step(job, step)
        self._sweeping(at_once=False)

    def ended(self, job: "Job", trial: "Trial") -> None:
        """Tell of every end."""
        self._tally.end(job, trial)
        self._note(trial.criterion)
        self._sweeping(at_once=True)

    def _note(self, criterion: float | None) -> None:
        if criterion is not None:
            known = [criterion] if self._best is None else [criterion, self._best]
            self._best = max(known) if self._highest else min(known)

    def _sweeping(self, *, at_once: bool) -> None:
        if not at_once and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _SAY_SECONDS
        tally, left = self._tally, self._tally.seconds_left
        share = _RENDERED + (1 - _RENDERED) * tally.share
        seconds = None if left is None else round(left)
        self._say(SweepProgress("sweeping", share, tally.ended, tally.wanted, self._best, seconds))

    def _say(self, progress: SweepProgress) -> None:
        write_whole(self._path, json.dumps(asdict(progress)).encode())


def read_progress(folder: Path) -> SweepProgress | None:
    """What was told last, or None."""
    found = _document(folder / PROGRESS)
    return None if found is None else SweepProgress(**found)


def tell_failure(folder: Path, error: HeddleError) -> None:
    """Keep why a sweep failed."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"message": error.message, "code": error.code, "param": error.param, "retryable": error.retryable}
    write_whole(folder / FAILURE, json.dumps(told).encode())


def read_failure(folder: Path) -> HeddleError | None:
    """Why a sweep failed, or None; only whether it may be tried again is left of the error's type."""
    found = _document(folder / FAILURE)
    if found is None:
        return None
    kind = Unavailable if found.pop("retryable") else InvalidInput
    return kind(found["message"], code=found["code"], param=found["param"])


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
