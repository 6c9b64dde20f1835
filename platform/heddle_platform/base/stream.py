"""A part of the corpus that does not fit into memory: a window of its shards, moving as training goes on.

The shards lie in a random order, drawn anew for every pass. A few of them are in memory, batches are drawn from all of
their images, and every so often the oldest makes room for the next: what a shuffled list of shards and a shuffle buffer
do. Which shards are there follows from how many images have been drawn by then, and from nothing that happened before:
a resumed training sees what an uninterrupted one sees.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.sources.shards import Loaded

Scalar = TypeVar("Scalar", bound=np.generic)


class Rows(Generic[Scalar]):
    """Arrays one after the other, read by row without being joined."""

    def __init__(self, arrays: Sequence[NDArray[Scalar]]) -> None:
        self._arrays = arrays
        self._ends = list(accumulate(len(array) for array in arrays))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, row: int) -> NDArray[Scalar]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        at = bisect_right(self._ends, row)
        return np.asarray(self._arrays[at][row - (self._ends[at - 1] if at else 0)])


class Window:
    """What of a streamed part is in memory: `images` uint8 [N, S, S, 3] and `labels` int16 [N, F], by row."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.images = Rows([images for images, _ in loaded])
        self.labels = Rows([labels for _, labels in loaded])


class StreamedPart:
    """A part whose shards are loaded while training goes on.

    Args:
        name: of the part.
        counts: images of each shard, at least 1 each.
        load: reads a shard by its number.
        window: the most images in memory, rounded down to whole shards, at least one; one more shard is being
            loaded beside them.
        seed: of the order of shards.
    """

    def __init__(
        self, name: str, counts: Sequence[int], load: Callable[[int], Loaded], *, window: int, seed: int
    ) -> None:
        self.name, self.count = name, sum(counts)
        self._shards, self._load, self._seed = len(counts), load, seed
        self._resident = min(len(counts), max(1, window // max(counts)))
        self._mean = self.count / len(counts)
        self._at: dict[int, Future[Loaded]] = {}
        self._window: tuple[int, Window] | None = None
        # One thread: the next shard is decoded while the present ones are trained on.
        self._loader = ThreadPoolExecutor(1, thread_name_prefix=f"shards-{name}")

    def at(self, drawn: float) -> Window:
        """The window after `drawn` images of this part have been drawn; waits for shards that are not there yet.

        Raises:
            DataCorrupt, Unavailable: a shard cannot be read.
        """
        if self._resident == self._shards:
            first, ahead = 0, 0
        else:
            first, ahead = int(drawn / self._mean), 1
        if self._window is not None and self._window[0] == first:
            return self._window[1]
        wanted = range(first, first + self._resident + ahead)
        self._at = {place: self._at.get(place) or self._submit(place) for place in wanted}
        window = Window([self._at[place].result() for place in wanted[: self._resident]])
        self._window = (first, window)
        return window

    def _submit(self, place: int) -> "Future[Loaded]":
        return self._loader.submit(self._load, self.shard_at(place))

    def shard_at(self, place: int) -> int:
        """Number of the shard at a place of the endless sequence of passes."""
        turn, within = divmod(place, self._shards)
        return int(np.random.default_rng([self._seed, turn]).permutation(self._shards)[within])
