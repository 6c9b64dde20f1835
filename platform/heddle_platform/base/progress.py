"""A training's progress on a terminal: rendering, training with its losses and time left, export."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from heddle_platform.base.train import TrainProgress


class RichProgress:
    """Draws bars; a `TrainListener`, used as a context manager.

    Args:
        console: where to draw; standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console or Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def rendering(self, ready: int, wanted: int) -> None:
        """Show images rendered."""
        self._show("rendering", ready / max(wanted, 1), f"{ready:,} of {wanted:,} images")

    def training(self, progress: TrainProgress) -> None:
        """Show speed, time left and losses."""
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        losses = "  ".join(f"{name} {value:,.1f}" for name, value in progress.losses.items())
        rate = f"{progress.images_per_second:,.0f} images/s"
        note = f"step {progress.step:,}  {rate}  {minutes}:{seconds:02d} left  {losses}"
        self._show("training", progress.done, note)

    def exporting(self) -> None:
        """Show that the bundle is being made."""
        self._show("training", 1.0, "done; exporting the bundle")

    def _show(self, name: str, done: float, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=1.0, note=note)
        self._progress.update(self._tasks[name], completed=done, note=note)
