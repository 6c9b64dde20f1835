"""Steps: work that asks for pictures in its middle and waits, so that the pictures of several are drawn together.

A generator yields the latents [B, L] whose pictures it wants to have seen again, is sent what was seen of them [B, L],
and returns its result. Several small fits that are driven together take a fifth less than one after the other: what
draws and what computes each fill a processor's caches, and turn out each other. A picture is the same in any company.

Between two steps others compute, so that nothing may be held that is restored at the end of a block: who drives holds
`one_thread` for all.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Singles
from heddle_adapters.one_thread import one_thread

T = TypeVar("T")
Steps = Generator[Singles, Singles, T]
See = Callable[[NDArray[Any]], NDArray[Any]]


def driven(steps: Steps[T], see: See) -> T:
    """Take one through its steps and return its result; raises what it raises.

    Args:
        steps: the work, not begun.
        see: latents -> those of the pictures they draw, [B, L] -> [B, L].
    """
    with one_thread():
        try:
            asked_BL = next(steps)
            while True:
                asked_BL = steps.send(np.asarray(see(asked_BL), dtype=np.float32))
        except StopIteration as end:
            result: T = end.value
            return result


def driven_together(many: Sequence[Steps[T]], see: See) -> list[T | Exception]:
    """Take several through their steps side by side; return for each its result, or what it raised.

    Args:
        many: the works, not begun.
        see: as in `driven`; given what all ask for at once, and if that fails, what each asks for.
    """
    ended: dict[int, T | Exception] = {}
    asked: dict[int, Singles] = {}

    def go_on(place: int, step: Callable[[], Singles]) -> None:
        try:
            asked[place] = step()
        except StopIteration as end:
            ended[place] = end.value
        except Exception as error:  # its own, and told as such
            ended[place] = error

    with one_thread():
        for place, steps in enumerate(many):
            go_on(place, steps.__next__)
        while asked:
            seen, asked = _seen(asked, see), {}
            for place, found in seen.items():
                steps = many[place]
                if isinstance(found, Exception):
                    go_on(place, lambda steps=steps, found=found: steps.throw(found))  # type: ignore[misc]
                else:
                    go_on(place, lambda steps=steps, found=found: steps.send(found))  # type: ignore[misc]
    return [ended[place] for place in range(len(many))]


def _seen(asked: dict[int, Singles], see: See) -> dict[int, Singles | Exception]:
    try:
        seen_BL = np.asarray(see(np.concatenate(list(asked.values()))), dtype=np.float32)
    except Exception:  # one of them is to blame, not all
        return {place: _one_seen(latents_BL, see) for place, latents_BL in asked.items()}
    ends = np.cumsum([len(latents_BL) for latents_BL in asked.values()])[:-1]
    return dict(zip(asked, np.split(seen_BL, ends), strict=True))


def _one_seen(latents_BL: Singles, see: See) -> Singles | Exception:
    try:
        return np.asarray(see(latents_BL), dtype=np.float32)
    except Exception as error:
        return error
