"""Steps on the terminal: each with a spinner, a bar where it has a length, its seconds, and a tick when it is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

_DONE: Final = "[green]✓[/]"
_TITLE_WIDTH: Final = 29
_BAR_WIDTH: Final = 20
_REST_WIDTH: Final = 14  # spinner, seconds, and the gaps between columns
_WIDE: Final = 100  # characters from which on there is room for a bar


class _Seconds(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(f"{seconds or 0.0:5.1f} s", style="dim")


class _Bar(BarColumn):
    def render(self, task: Task) -> Text:  # type: ignore[override]
        # a step without a length has only its spinner: a bar that means nothing is worse than none
        if task.fields["measured"] and not task.finished:
            return super().render(task)  # type: ignore[return-value]
        return Text("")


class Step:
    """One step under way."""

    def __init__(self, progress: Progress, task: TaskID, room: int) -> None:
        self._progress = progress
        self._task = task
        self._room = room

    def say(self, words: str) -> None:
        """Tell what is being done, or what came of it; the last words stay."""
        short = words if len(words) <= self._room else f"{words[: self._room - 1]}…"
        self._progress.update(self._task, words=short)

    def advance(self, done: float, total: float) -> None:
        """Tell how far it is."""
        # a task at its total counts as finished, and finished is what the end of the step says
        self._progress.update(self._task, measured=True, completed=0.999 * done / max(total, 1e-9), total=1.0)


class Steps:
    """A list of steps; several may be under way at once, from several threads."""

    def __init__(self, console: Console) -> None:
        bar_width = _BAR_WIDTH if console.width >= _WIDE else 0
        # rich would cut the seconds before the words where a terminal is narrow, so the words are cut here
        self._room = max(8, console.width - _TITLE_WIDTH - bar_width - _REST_WIDTH)
        self._progress = Progress(
            SpinnerColumn(finished_text=_DONE),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=_TITLE_WIDTH)),
            _Seconds(),
            TextColumn("[dim]{task.fields[words]}[/]"),
            *([_Bar(bar_width=bar_width)] if bar_width else []),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step while the block runs, ticked off when it ends well."""
        task = self._progress.add_task(title, total=None, words="", measured=False)
        yield Step(self._progress, task, self._room)
        self._progress.update(task, completed=1.0, total=1.0)
