"""A training's progress: bars on a terminal, a line a minute where the output goes to a file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from heddle_platform.base.readings import Measurement
from heddle_platform.base.surroundings import TrainListener, TrainProgress

_LINE_SECONDS = 60.0


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[TrainListener]:
    """Show a training's progress on `console`, standard error if None."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield LineProgress(console)
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield BarProgress(bars)


class BarProgress:
    """Draws bars; a `TrainListener`."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def rendering(self, ready: int, wanted: int) -> None:
        """Show images rendered."""
        self._show("rendering", ready / max(wanted, 1), f"{ready:,} of {wanted:,} images")

    def training(self, progress: TrainProgress) -> None:
        """Show speed, time left and losses."""
        self._show("training", progress.done, _note(progress))

    def measured(self, measurement: Measurement) -> None:
        """Show what was measured above the bars, where it stays."""
        for line in _figures(measurement):
            self._bars.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def exporting(self) -> None:
        """Show that the bundle is being made."""
        self._show("training", 1.0, "done; exporting the bundle")

    def _show(self, name: str, done: float, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=1.0, note=note)
        self._bars.update(self._tasks[name], completed=done, note=note)


class LineProgress:
    """Prints a line at each stage's start, once a minute, and at its end; a `TrainListener`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next: dict[str, float] = {}

    def rendering(self, ready: int, wanted: int) -> None:
        """Tell images rendered."""
        self._tell("rendering", ready / max(wanted, 1), f"{ready:,} of {wanted:,} images")

    def training(self, progress: TrainProgress) -> None:
        """Tell speed, time left and losses."""
        self._tell("training", progress.done, _note(progress))

    def measured(self, measurement: Measurement) -> None:
        """Tell what was measured, a line each for figures and warnings."""
        for line in _figures(measurement):
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def exporting(self) -> None:
        """Tell that the bundle is being made."""
        self._console.print("exporting the bundle", highlight=False)

    def _tell(self, stage: str, done: float, note: str) -> None:
        now = time.monotonic()
        if now >= self._next.get(stage, 0.0) or done >= 1:
            self._next[stage] = now + _LINE_SECONDS
            self._console.print(f"{stage} {done:4.0%}  {note}", highlight=False, soft_wrap=True)


def _note(progress: TrainProgress) -> str:
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    losses = "  ".join(f"{name} {value:,.1f}" for name, value in progress.losses.items())
    rate = f"{progress.images_per_second:,.0f} images/s"
    return f"step {progress.step:,}  {rate}  {minutes}:{seconds:02d} left  {losses}"


def _figures(measurement: Measurement) -> list[str]:
    gap = measurement.score("mig")
    three = [measurement.score(name) for name in ("dci", "dci_completeness", "dci_informativeness")]
    told = "" if gap is None else f"  MIG {gap:.2f}"
    # the three always together: disentanglement alone is high on codes that say nothing
    told += "".join(
        f"{'  DCI' if index == 0 else ' /'} {value:.2f}" for index, value in enumerate(three) if value is not None
    )
    lines = [
        f"measured at step {measurement.step:,}: MSE {measurement.distortion:.4f}  "
        f"KL {measurement.kl:.1f} nats  {measurement.active_units} active units{told}"
    ]
    return lines + [f"warning {alarm.name}: {alarm.finding}; {alarm.advice}" for alarm in measurement.warnings]
