"""The log of a training, kept for every run: what it was, and its curves.

    run.json          recipe, seed, code version
    metrics.jsonl     one measurement a line
    traversals/       one picture a measurement

A tracker (MLflow) may be told the same; the folder is written either way, so that no run depends on one.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from heddle_platform.base.readings import Measurement
from heddle_platform.telemetry import code_version

if TYPE_CHECKING:
    from heddle_platform.base.config import Recipe

RUN = "run.json"
METRICS = "metrics.jsonl"
TRAVERSALS = "traversals"


def kept_measurements(out_dir: Path, recipe: dict[str, Any]) -> tuple[Measurement, ...]:
    """What a training of this recipe measured, as its folder tells; none where the folder is not its own."""
    try:
        run = json.loads((out_dir / RUN).read_text(encoding="utf-8"))
        lines = (out_dir / METRICS).read_text(encoding="utf-8").splitlines()
        if run["recipe"] != recipe:
            return ()
        return tuple(Measurement.model_validate_json(line) for line in lines)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


class RunTracker(Protocol):
    """An experiment tracker. It may be away: a training goes on without it."""

    def started(self, recipe: dict[str, Any], code_version: str) -> None:
        """A run begins, or is taken up again."""

    def measured(self, measurement: Measurement, traversal: bytes) -> None:
        """One measurement and its traversal picture (PNG)."""

    def finished(self, digest: str, files: dict[str, bytes]) -> None:
        """The base is exported under this digest; `files` are worth keeping with the run."""


class RunLog:
    """What one training measured, in order.

    Args:
        recipe: what is trained.
        out_dir: the run's folder; None keeps nothing.
        tracker: is told the same.
    """

    def __init__(self, recipe: "Recipe", out_dir: Path | None, tracker: RunTracker | None) -> None:
        self.measurements: list[Measurement] = []
        self._out_dir, self._tracker = out_dir, tracker
        document = recipe.model_dump(mode="json")
        if out_dir is not None:
            (out_dir / TRAVERSALS).mkdir(parents=True, exist_ok=True)
            run = {"recipe": document, "seed": recipe.seed, "code_version": code_version()}
            (out_dir / RUN).write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
            (out_dir / METRICS).write_text("", encoding="utf-8")
        if tracker is not None:
            tracker.started(document, code_version())

    def take_up(self, rows: list[dict[str, Any]]) -> None:
        """Go on behind what a checkpoint remembers; what was measured after it will be measured again."""
        self.measurements = [Measurement.model_validate(row) for row in rows]
        if self._out_dir is not None:
            text = "".join(each.model_dump_json() + "\n" for each in self.measurements)
            (self._out_dir / METRICS).write_text(text, encoding="utf-8")

    def add(self, measurement: Measurement, traversal: bytes) -> None:
        """Keep one measurement and its picture."""
        self.measurements.append(measurement)
        if self._out_dir is not None:
            with (self._out_dir / METRICS).open("a", encoding="utf-8") as file:
                file.write(measurement.model_dump_json() + "\n")
            (self._out_dir / TRAVERSALS / f"step-{measurement.step:07d}.png").write_bytes(traversal)
        if self._tracker is not None:
            self._tracker.measured(measurement, traversal)
