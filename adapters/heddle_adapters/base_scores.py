"""The scores of a base that are read while it trains and on its card: what `heddle_platform.base` is handed.

At most a thousand labelled rows: MIG by neighbours, whose histogram is biased there (see `scores.mig`), with the
20-bin value beside it for comparison with published ones.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from heddle_adapters.scores import dci, lps, mig, probe
from heddle_adapters.scores.jackknife import jackknife_each
from heddle_platform.base.readings import Reading, Score
from heddle_platform.errors import InvalidInput

Read = Callable[[NDArray[Any], NDArray[Any]], dict[str, Reading]]
_LEAST_ROWS = 100  # of an interval: each of its ten groups decides too much otherwise


def base_scores(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    """Return MIG, DCI, LPS of codes against labels that are all known; what is not defined is left out.

    Args:
        codes_NL: posterior means.
        labels_NF: levels of each factor.
    """
    found: dict[str, Reading] = {}
    for read in (_by_neighbours, _by_bins, _three, _predictability):
        found |= _defined(read, codes_NL, labels_NF)
    return found


def base_scores_with_intervals(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    """Return the same with a probe's accuracy, each with a 95 % interval by jackknife (ten times as slow)."""
    found: dict[str, Reading] = {}
    for read in (_by_neighbours, _by_bins, _three, _predictability, _probe):
        found |= _with_interval(read, codes_NL, labels_NF)
    return found


def one_base_score(name: str, *, interval: bool = False) -> Score:
    """Return a function that computes one of these scores alone; `dci` comes with its other two.

    Args:
        name: mig, mig_20_bins, dci, lps or probe.
        interval: with a 95 % interval by jackknife, which is ten times as slow.
    """
    reads: dict[str, Read] = {
        "mig": _by_neighbours,
        "mig_20_bins": _by_bins,
        "dci": _three,
        "lps": _predictability,
        "probe": _probe,
    }
    return partial(_with_interval if interval else _defined, reads[name])


def _defined(read: Read, codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    try:
        return read(codes_NL, labels_NF)
    except InvalidInput:
        return {}  # such as a factor with too few rows of a level


def _with_interval(read: Read, codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    found = _defined(read, codes_NL, labels_NF)
    if not found or len(codes_NL) < _LEAST_ROWS:
        return found

    def values(left_NL: NDArray[Any], left_NF: NDArray[Any]) -> dict[str, float]:
        return {name: reading.value for name, reading in read(left_NL, left_NF).items()}

    try:
        intervals = jackknife_each(values, codes_NL, labels_NF)
    except InvalidInput:
        return found  # defined on all rows, not on those that a group leaves
    return {
        name: reading.model_copy(update={"low": intervals[name].low, "high": intervals[name].high})
        for name, reading in found.items()
    }


def _by_neighbours(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    return {"mig": Reading(value=mig(codes_NL, labels_NF, "knn").value, by=f"3 neighbours, n = {len(codes_NL)}")}


def _by_bins(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    return {"mig_20_bins": Reading(value=mig(codes_NL, labels_NF).value, by=f"20 bins, n = {len(codes_NL)}")}


def _three(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    score, by = dci(codes_NL, labels_NF), f"forest, n = {len(codes_NL)}"
    return {
        "dci": Reading(value=score.disentanglement, by=by),
        "dci_completeness": Reading(value=score.completeness, by=by),
        "dci_informativeness": Reading(value=score.informativeness, by=by),
    }


def _predictability(codes_NL: NDArray[Any], _labels_NF: NDArray[Any]) -> dict[str, Reading]:
    return {"lps": Reading(value=lps(codes_NL).value, by=f"ridge, 5 folds, n = {len(codes_NL)}")}


def _probe(codes_NL: NDArray[Any], labels_NF: NDArray[Any]) -> dict[str, Reading]:
    score = probe(codes_NL, labels_NF)
    return {"probe": Reading(value=score.value, by=f"ridge, out of 5 folds, n = {len(codes_NL)}")}
