"""Cross-fitting: one fit per fold on all other folds, and the fit of all rows that is served."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.discover import Tried, find_interactions, kept
from heddle_adapters.fit import fit_adapter
from heddle_adapters.interaction import Interaction
from heddle_platform.factors import FactorSet

Progress = Callable[[str, float], None]
_THREADS = 2


@dataclass(frozen=True, eq=False)
class CrossFit:
    """How the folds' adapters and the served one are fitted.

    Attributes:
        latents_NL, values_NF: the labelled set.
        fold_N: fold of each row, 0..
        factor_set, base_digest, pool_ML: see `fit.fit_adapter`.
        weight_N: of the rows, see `fit.fit_adapter`.
        tell: told of the stage "fit" and the share of it done, 0..1.
    """

    latents_NL: Floats
    values_NF: Floats
    fold_N: NDArray[np.intp]
    factor_set: FactorSet
    base_digest: str
    pool_ML: Floats | None
    tell: Progress
    weight_N: Floats | None = None

    def all(self, *, interacting: bool) -> tuple[list[Adapter], Adapter, tuple[Tried, ...], float]:
        """Return a fit per fold, the fit of all rows, the pairs it tried, and the seconds it took.

        Every fold finds its own pairs, so that no row judges what it helped to choose.
        """
        pairs = None if interacting else ()
        folds = int(self.fold_N.max()) + 1
        # linear algebra leaves Python's lock, so two threads fit in less time than one; each fit sums on one as ever
        everything = np.ones(len(self.fold_N), dtype=np.bool_)
        with ThreadPoolExecutor(_THREADS) as pool:
            taught = [*(self.fold_N != fold for fold in range(folds)), everything]
            fitted = []
            for place, one in enumerate(pool.map(lambda one_N: self._timed(one_N, pairs), taught)):
                fitted.append(one)
                self.tell("fit", (place + 1) / (folds + 1))
        (adapter, tried), seconds = fitted[-1]
        adapters = [own for (own, _), _ in fitted[:-1]]
        return adapters, adapter, tried, seconds

    def _timed(
        self, taught_N: Mask, pairs: Sequence[Interaction] | None
    ) -> tuple[tuple[Adapter, tuple[Tried, ...]], float]:
        started = time.perf_counter()
        return self.one(taught_N, pairs), time.perf_counter() - started

    def one(self, taught_N: Mask, pairs: Sequence[Interaction] | None) -> tuple[Adapter, tuple[Tried, ...]]:
        """Fit on some rows, with the pairs that are found among them if none are given."""
        latents_NL, values_NF = self.latents_NL[taught_N], self.values_NF[taught_N]
        weight_N = None if self.weight_N is None else self.weight_N[taught_N]
        tried = find_interactions(latents_NL, values_NF, self.factor_set, weight_N=weight_N) if pairs is None else ()
        adapter = fit_adapter(
            latents_NL,
            values_NF,
            self.factor_set,
            base_digest=self.base_digest,
            pool_ML=self.pool_ML,
            weight_N=weight_N,
            interactions=kept(tried) if pairs is None else pairs,
        )
        return adapter, tuple(tried)
