"""What statistics remember of the weights that their rows were summed with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.weights import scale_of


@dataclass(frozen=True, eq=False)
class Weighing:
    """The weights that labelled rows were summed with, as given.

    Attributes:
        total, squares: sums over all rows of weights, and of their squares.
        complete: sum of weights over complete rows.
        count_G: over complete rows, sums of ground columns that no weight enters: how many rows a level has.
        sparse_K: weights of the rows with a missing label.
        numbers: per factor the weights of its known values, in their order.
    """

    total: float
    squares: float
    complete: float
    count_G: Floats
    sparse_K: Floats
    numbers: tuple[Floats, ...]

    @classmethod
    def of(cls, weight_N: Floats, whole_N: Mask, ground_NG: Floats, numbers_NF: Floats) -> "Weighing":
        """Return the weighing of rows, of which `whole_N` are complete; `numbers_NF` is NaN but for numbers."""
        order_NF = np.array([np.lexsort((weight_N, values_N)) for values_N in numbers_NF.T]).T  # NaN last
        known_F = np.count_nonzero(~np.isnan(numbers_NF), axis=0)
        return cls(
            float(weight_N.sum()),
            float(weight_N @ weight_N),
            float(weight_N[whole_N].sum()),
            ground_NG.sum(axis=0),
            weight_N[~whole_N],
            tuple(weight_N[order_N[:known]] for order_N, known in zip(order_NF.T, known_F, strict=True)),
        )

    @property
    def scale(self) -> float:
        """What weights are multiplied by for a fit of these rows; see `weights`."""
        return scale_of(self.total, self.squares)

    def relative(self) -> "Weighing":
        """Return the same with what is summed up brought to the scale of a fit."""
        return replace(self, complete=self.scale * self.complete, sparse_K=self.scale * self.sparse_K)

    def less(self, gone: "Weighing | None", stays_K: Mask, numbers: Sequence[Mask]) -> "Weighing":
        """Return what is left without the rows that go, of which `statistics.less` says the rest; None: none goes."""
        left = self
        if gone is not None:
            sums = {
                name: getattr(self, name) - getattr(gone, name) for name in ("total", "squares", "complete", "count_G")
            }
            left = replace(self, **sums)
        kept = tuple(values_N[stays_N] for values_N, stays_N in zip(self.numbers, numbers, strict=True))
        return replace(left, sparse_K=self.sparse_K[stays_K], numbers=kept)
