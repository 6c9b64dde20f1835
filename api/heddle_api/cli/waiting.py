"""Waiting on the terminal: a bar on standard error that says what is waited for, since when, and how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from heddle_api.cli.connection import err

T = TypeVar("T")


@contextmanager
def waiting(
    spoken: Callable[[T], tuple[str, float | None]], *, quiet: bool, console: Console = err
) -> Iterator[Callable[[T], None] | None]:
    """Show a bar while the block runs; it goes when the block ends.

    Args:
        spoken: of what was read, what to say and how far it is, 0..1; None: nobody knows.
        quiet: show nothing, for programs.
        console: where.

    Yields:
        What a client's `on_progress` takes, or None.
    """
    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waiting", total=None)

        def told(found: T) -> None:
            description, share = spoken(found)
            bar.update(task, description=description, completed=share, total=None if share is None else 1.0)

        yield told
