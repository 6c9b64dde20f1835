"""Progress: how work tells what it is doing, and how a Ray task passes that on while it runs."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from heddle_workers.memory import return_memory

Report = Callable[[str, float], None]
Tell = Callable[[Any], None]
T = TypeVar("T")
_LEAST_STEP: Final = 0.02  # finer steps cost a message each and nobody sees them
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Progress:
    """What is being done (snake_case stage) and the share of it that is, 0..1."""

    stage: str
    share: float


@dataclass(frozen=True)
class Failed:
    """What work raised, as a value: an exception would cross Ray's border wrapped."""

    error: Exception


@dataclass(frozen=True)
class Told:
    """Something that work hands over before its end, such as a checkpoint."""

    message: Any


class Stopped(BaseException):
    """The task was cancelled; raised inside the work at its next report, past every `except Exception`."""


def silent(_stage: str, _share: float) -> None:
    """Report to nobody."""


def streamed(work: Callable[[Report], T]) -> Iterator[Progress | Failed | T]:
    """Run `work` in a thread and yield its reports as they come, then its result or what it raised.

    When the consumer goes away (Ray cancels a task by interrupting it), the work is stopped at its next report.

    Args:
        work: takes a `Report`.
    """
    yield from streamed_telling(lambda report, _tell: work(report))  # type: ignore[misc]  # it tells nothing


def streamed_telling(work: Callable[[Report, Tell], T]) -> Iterator[Progress | Failed | Told | T]:
    """Do what `streamed` does for work that hands over more than progress before its end.

    Args:
        work: takes a `Report` and a `Tell`.
    """
    messages: queue.Queue[tuple[bool, Progress | Failed | Told | T]] = queue.Queue()
    stop = threading.Event()
    last = Progress("", 0.0)

    def report(stage: str, share: float) -> None:
        nonlocal last
        if stop.is_set():
            raise Stopped
        if stage != last.stage or share - last.share >= _LEAST_STEP:
            last = Progress(stage, share)
            messages.put((False, last))

    def tell(message: Any) -> None:
        if stop.is_set():
            raise Stopped
        messages.put((False, Told(message)))

    def run() -> None:
        try:
            messages.put((True, work(report, tell)))
        except Stopped:
            pass
        except Exception as error:
            messages.put((True, Failed(error)))

    thread = threading.Thread(target=run, name="work", daemon=True)
    thread.start()
    try:
        over = False
        while not over:
            try:
                over, message = messages.get(timeout=_POLL_SECONDS)  # short: an interrupt is seen between waits
            except queue.Empty:
                continue
            yield message
    finally:
        stop.set()
        thread.join()
        return_memory()
