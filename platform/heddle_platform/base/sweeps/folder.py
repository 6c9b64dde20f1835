"""A sweep's folder: all that a sweep knows, whole at any moment, so that a killed one goes on from it.

plan.json                       what is swept
settings.jsonl                  the settings tried, one a line, in order
trials/003-seed-1/              one training: checkpoint, metrics, traversals, and at its end outcome.json
sweep.json best.yaml report.html
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from heddle_platform.base.readings import Measurement
from heddle_platform.base.run_log import METRICS, TRAVERSALS
from heddle_platform.base.sweeps.plan import Setting, SweepPlan
from heddle_platform.errors import Conflict, InvalidInput
from heddle_platform.whole_file import write_whole

RESULT: Final = "sweep.json"
BEST: Final = "best.yaml"
REPORT: Final = "report.html"
SETTINGS: Final = "settings.jsonl"
LOCK: Final = "lock"

_PLAN: Final = "plan.json"
_TRIALS: Final = "trials"
_OUTCOME: Final = "outcome.json"


class Outcome(BaseModel):
    """How one training ended.

    Attributes:
        status: finished; stopped early; failed.
        step: steps taken.
        why: what stopped it, or what it failed of.
        measurement: of its last step, with all scores; None where nothing was measured.
        processor_seconds: of the leg that ended it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["finished", "stopped", "failed"]
    step: int
    why: str = ""
    measurement: Measurement | None = None
    processor_seconds: float = 0.0


class TrialFolder:
    """The folder of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None while it has not."""
        try:
            return Outcome.model_validate_json((self.path / _OUTCOME).read_bytes())
        except FileNotFoundError:
            return None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured on the way; a line that a kill cut off is left out."""
        try:
            lines = (self.path / METRICS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        found = []
        for line in lines:
            try:
                found.append(Measurement.model_validate_json(line))
            except ValidationError:
                break
        return tuple(found)

    @property
    def traversal(self) -> bytes | None:
        """The last traversal picture (PNG), or None."""
        pictures = sorted((self.path / TRAVERSALS).glob("step-*.png"))
        return pictures[-1].read_bytes() if pictures else None

    def end(self, outcome: Outcome) -> None:
        """Keep how it ended, the first time that is said."""
        if self.outcome is None:
            self._make()
            write_whole(self.path / _OUTCOME, outcome.model_dump_json(indent=1).encode())

    def forget_outcome(self) -> None:
        """Let a failed training be tried again."""
        (self.path / _OUTCOME).unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other process trains here: one that outlived a killed sweep may do so for a moment."""
        self._make()
        with (self.path / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        """Make the folder; not the sweep's, which is gone where a cancelled one's training still ends."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.mkdir(exist_ok=True)


class SweepFolder:
    """A sweep's folder, with its plan.

    Args:
        path: the folder.
        plan: what is swept.
        anew: throw away what is there.
    Raises:
        InvalidInput: code `sweep_mismatch`: another plan's trainings are in it.
        Conflict: code `sweep_running`: another process sweeps in it.
    """

    def __init__(self, path: Path, plan: SweepPlan, *, anew: bool = False) -> None:
        self.path, self.plan = path.resolve(), plan
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Conflict(
                f"a sweep is running in {path}; wait for it, or take another folder", code="sweep_running"
            ) from None
        if anew:
            shutil.rmtree(self.path / _TRIALS, ignore_errors=True)
            for name in (_PLAN, SETTINGS, RESULT, BEST, REPORT):
                (self.path / name).unlink(missing_ok=True)
        self._agree()

    def close(self) -> None:
        """Let others sweep here."""
        self._lock.close()

    def _agree(self) -> None:
        mine, kept = self.plan.identity(), self.path / _PLAN
        if kept.exists():
            theirs = json.loads(kept.read_text(encoding="utf-8"))
            apart = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
            if apart:
                raise InvalidInput(
                    f"{self.path} holds a sweep with another {', another '.join(apart)}; take another folder, or "
                    "start again with --anew",
                    code="sweep_mismatch",
                )
        write_whole(kept, json.dumps(mine, indent=1).encode())

    def settings(self) -> list[Setting]:
        """The settings tried so far, in order."""
        path = self.path / SETTINGS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def add_setting(self, setting: Setting) -> None:
        """Note a setting before it is trained."""
        lines = [json.dumps(each) + "\n" for each in (*self.settings(), setting)]
        write_whole(self.path / SETTINGS, "".join(lines).encode())

    def trial(self, number: int, seed: int) -> TrialFolder:
        """The folder of one training."""
        return TrialFolder(self.path / _TRIALS / f"{number:03d}-seed-{seed}")
