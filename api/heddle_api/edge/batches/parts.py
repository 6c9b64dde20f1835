"""Parts of a batch: what is wrong with an image or an edit is said with its place, and all of it at once."""

from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeVar

from heddle_platform.errors import Detail, InvalidInput, NotFound

Part = TypeVar("Part")
Result = TypeVar("Result")
_MOST_TOLD: Final = 20


def each(name: Literal["image", "edits"], parts: Iterable[Part], work: Callable[[Part], Result]) -> list[Result]:
    """Do a work for every part of a batch.

    Args:
        name: the field that holds the parts.
        parts: images or edits, in the order they came in.
        work: raises what is wrong with one.

    Returns:
        What the work returned, in that order.

    Raises:
        InvalidInput, NotFound: as the first part that failed raised it, its place before the sentence; `details` hold
            the first twenty parts that failed.
    """
    done: list[Result] = []
    failed: list[tuple[int, InvalidInput | NotFound]] = []
    for place, part in enumerate(parts):
        try:
            done.append(work(part))
        except (InvalidInput, NotFound) as error:
            failed.append((place, error))
    if not failed:
        return done
    place, first = failed[0]
    word = "image" if name == "image" else "edit"
    more = f" ({len(failed)} {word}s have faults)" if len(failed) > 1 else ""
    raise type(first)(
        f"{word} {place}, counted from 0: {first.message}{more}",
        code=first.code,
        param=_pointer(name, place, first),
        details=[
            Detail(_pointer(name, place, error), error.code, error.message) for place, error in failed[:_MOST_TOLD]
        ],
    )


def _pointer(name: str, place: int, error: InvalidInput | NotFound) -> str:
    within = error.param or ""
    return f"/{name}/{place}{within if within.startswith('/') else ''}"
