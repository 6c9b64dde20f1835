"""How the round trips of a card are spent: which held-out rows are edited, by whom, and who reports.

Fold 0 tunes: on its rows gains and drawing modes are chosen. The other folds report, so no number on the card
comes from an edit that chose something.
"""

import numpy as np
from numpy.typing import NDArray

GAINS = (1.0, 1.25, 1.5, 2.0, 2.5)
MOST_ROWS = 300  # edits of one factor that report, per mode; more than 300 narrow the interval by under a point
MOST_TUNING_ROWS = 60
_TUNING_SHARE = 0.5  # an upper bound: most factors are settled by the first gain, the rest of it goes to reporting
_FEWEST_ROWS = 8


def tuning_rows(fold_N: NDArray[np.intp], factors: int, modes: int, round_trips: int, seed: int) -> NDArray[np.intp]:
    """Return the rows of fold 0 on which every factor is edited at every gain that is tried.

    Args:
        fold_N: fold of each row.
        factors: F.
        modes: drawing modes to judge, 1 or 2.
        round_trips: pictures that may be drawn; a few rows are used however small it is.
        seed: of the rows drawn.
    """
    worst = 1 + factors * (len(GAINS) + modes - 1)
    count = int(np.clip(_TUNING_SHARE * round_trips / worst, _FEWEST_ROWS, MOST_TUNING_ROWS))
    return _some(np.flatnonzero(fold_N == 0), count, np.random.default_rng(seed))


def reporting_rows(
    fold_N: NDArray[np.intp], factors: int, modes: int, round_trips: int, seed: int
) -> dict[int, NDArray[np.intp]]:
    """Return fold -> rows on which every factor is edited once in each mode; arguments as `tuning_rows`."""
    random = np.random.default_rng(seed + 1)
    reporting = range(1, int(fold_N.max()) + 1)
    count = int(np.clip(round_trips / (1 + factors * modes), _FEWEST_ROWS, MOST_ROWS))
    shares = {fold: count // len(reporting) + (fold <= count % len(reporting)) for fold in reporting}
    return {fold: _some(np.flatnonzero(fold_N == fold), share, random) for fold, share in shares.items() if share}


def _some(rows: NDArray[np.intp], count: int, random: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(random.permutation(rows)[:count])
