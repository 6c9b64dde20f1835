"""The demo's pictures: labelled avatars to fit on and others held out, rendered here and now by two processes."""

import csv
import io
import multiprocessing
import signal
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # renders with packages of the demo extra, so nothing is imported before it is asked for
    from heddle_platform.base.rendered import LabelledSet

STYLE: Final = "micah"
FACTOR_SET: Final = "avatars"
_CHUNK: Final = 125  # images per task: small enough for a progress bar, large enough to be worth a process
_FIT_SEED: Final = 1_000
_HELD_OUT_SEED: Final = 9_000
_PROCESSES: Final = 2


@dataclass(frozen=True)
class Avatars:
    """Rendered avatars with what they show.

    Attributes:
        levels: factor -> its levels, factors in order.
        images: N PNG files.
        labels: N rows, factor -> level.
    """

    levels: dict[str, tuple[str, ...]]
    images: tuple[bytes, ...]
    labels: tuple[dict[str, str], ...]

    def factor_set(self) -> dict[str, Any]:
        """Return the factor set that a tenant registers for them."""
        factors = [{"name": name, "kind": "categorical", "levels": list(known)} for name, known in self.levels.items()]
        return {"name": FACTOR_SET, "factors": factors}

    def archive(self) -> bytes:
        """Return the labelled set as it travels: a zip of the images and labels.csv."""
        table = io.StringIO()
        writer = csv.DictWriter(table, ["file", *self.levels])
        writer.writeheader()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for number, (image, labels) in enumerate(zip(self.images, self.labels, strict=True)):
                name = f"avatar-{number:05d}.png"
                archive.writestr(name, image)
                writer.writerow({"file": name, **labels})
            archive.writestr("labels.csv", table.getvalue())
        return buffer.getvalue()


@contextmanager
def renderers() -> Iterator[Executor]:
    """Open the processes that render; leaving early, as Ctrl-C does, throws away what was not begun."""
    # spawned, not forked: the demo runs threads, and a fork would copy their locks as they stand
    pool = ProcessPoolExecutor(_PROCESSES, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def render(pool: Executor, fit: int, held_out: int, on_progress: Callable[[int, int], None]) -> tuple[Avatars, Avatars]:
    """Render the labelled set and the held-out one.

    Args:
        pool: runs the work.
        fit: images to label and fit on.
        held_out: images that the adapter never sees.
        on_progress: told images done and images in all.

    Call it on the main thread.

    Returns:
        The two sets; the same numbers always give the same pictures.
    """
    with _interrupts_ignored():
        fit_parts = _submit(pool, fit, _FIT_SEED)
        held_parts = _submit(pool, held_out, _HELD_OUT_SEED)
    done = 0
    for part in as_completed([*fit_parts, *held_parts]):
        done += len(part.result().images)
        on_progress(done, fit + held_out)
    return _join(fit_parts), _join(held_parts)


def _submit(pool: Executor, count: int, seed: int) -> "list[Future[LabelledSet]]":
    sizes = [min(_CHUNK, count - start) for start in range(0, count, _CHUNK)]
    return [pool.submit(_render_part, size, seed + index) for index, size in enumerate(sizes)]


def _render_part(count: int, seed: int) -> "LabelledSet":
    from heddle_platform.base import rendered

    return rendered.labelled_set(style=STYLE, n=count, seed=seed)


def _join(parts: "list[Future[LabelledSet]]") -> Avatars:
    sets = [part.result() for part in parts]
    levels = dict(zip(sets[0].factors, sets[0].levels, strict=True))
    labels = tuple(
        {name: known[level] for (name, known), level in zip(levels.items(), row, strict=True)}
        for each in sets
        for row in each.labels
    )
    return Avatars(levels, tuple(image for each in sets for image in each.images), labels)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    # Ctrl-C reaches every process of a terminal. Those started now inherit that they ignore it: the parent ends them.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
