"""The scores of a base that are read while it trains and on its card: what `heddle_platform.base` is handed.

At most a thousand labelled rows: MIG by neighbours, whose histogram is biased there (see `scores.mig`), with the
20-bin value beside it for comparison with published ones.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.scores import dci, jackknife, lps, mig, probe
from heddle_platform.base.readings import Reading, Score
from heddle_platform.errors import InvalidInput


def base_scores(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    """Return MIG, DCI, LPS of codes against labels that are all known; what is not defined is left out.

    Args:
        codes_NL: posterior means.
        labels_NF: levels of each factor.
    """
    return _defined({**_gaps(codes_NL, labels_NF), **_others(codes_NL, labels_NF)})


def base_scores_with_intervals(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    """Return the same with a probe's accuracy, and 95 % intervals of the gap by jackknife (slower)."""
    found = base_scores(codes_NL, labels_NF)
    readings: dict[str, Callable[[], dict[str, Reading]]] = {"probe": partial(_probe, codes_NL, labels_NF)}
    found |= _defined(readings)
    gaps = {"mig": partial(mig, estimator="knn"), "mig_20_bins": partial(mig, estimator="histogram")}
    for name, gap in gaps.items():
        if name in found and len(codes_NL) >= 100:
            interval = jackknife(gap, np.asarray(codes_NL), np.asarray(labels_NF))
            found[name] = found[name].model_copy(update={"low": interval.low, "high": interval.high})
    return found


def one_base_score(name: str) -> Score:
    """Return a function that computes one of these scores alone; `dci` comes with its other two."""

    def score(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
        every = {**_gaps(codes_NL, labels_NF), **_others(codes_NL, labels_NF)}
        every["probe"] = partial(_probe, codes_NL, labels_NF)
        return _defined({name: every[name]})

    return score


def _defined(readings: dict[str, Callable[[], dict[str, Reading]]]) -> dict[str, Reading]:
    found: dict[str, Reading] = {}
    for read in readings.values():
        try:
            found |= read()
        except InvalidInput:
            continue  # such as a factor with too few rows of a level
    return found


def _gaps(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Callable[[], dict[str, Reading]]]:
    rows = f"n = {len(codes_NL)}"

    def by_neighbours() -> dict[str, Reading]:
        return {"mig": Reading(value=mig(codes_NL, labels_NF, "knn").value, by=f"3 neighbours, {rows}")}

    def by_bins() -> dict[str, Reading]:
        return {"mig_20_bins": Reading(value=mig(codes_NL, labels_NF).value, by=f"20 bins, {rows}")}

    return {"mig": by_neighbours, "mig_20_bins": by_bins}


def _others(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Callable[[], dict[str, Reading]]]:
    rows = f"n = {len(codes_NL)}"

    def three() -> dict[str, Reading]:
        score = dci(codes_NL, labels_NF)
        by = f"forest, {rows}"
        return {
            "dci": Reading(value=score.disentanglement, by=by),
            "dci_completeness": Reading(value=score.completeness, by=by),
            "dci_informativeness": Reading(value=score.informativeness, by=by),
        }

    def predictability() -> dict[str, Reading]:
        return {"lps": Reading(value=lps(codes_NL).value, by=f"ridge, 5 folds, {rows}")}

    return {"dci": three, "lps": predictability}


def _probe(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    score = probe(codes_NL, labels_NF)
    return {"probe": Reading(value=score.value, by=f"ridge, out of 5 folds, n = {len(codes_NL)}")}
