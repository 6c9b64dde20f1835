"""Accuracy per label: the joint adapter against one tuned logistic regression per factor, on one base.

    python -m tests.bench.few_labels [--labels 100 300 1000 4000] [--draws 5] [--base DIRECTORY]

Both read the same standardised latents of `avatars.npz`; the peer is scikit-learn's `LogisticRegression`, one per
factor, its C chosen among seven by stratified 5-fold cross-validation on the labels it was given. Accuracy is the
mean over factors on 6,000 pictures that neither saw; intervals are 95 % over draws (Student's t).
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from heddle_adapters.fit import fit_adapter
from heddle_adapters.read import scores_of, values_of
from tests.bench.avatars import Avatars, load_avatars

HELD_OUT = 6_000
CANDIDATES = np.logspace(-3, 3, 7)
# gain in accuracy that is promised at each number of labels
BARS = {100: 0.12, 300: 0.06, 1_000: 0.0, 4_000: 0.0}
Reader = Callable[[Avatars, NDArray[np.intp], NDArray[np.intp]], tuple[float, float]]


def adapter_reads(avatars: Avatars, rows: NDArray[np.intp], held: NDArray[np.intp]) -> tuple[float, float]:
    """Return mean accuracy over factors, and seconds of the fit."""
    latents, values = avatars.latents_NL[rows].astype(np.float64), avatars.values_NF[rows].astype(np.float64)
    started = time.perf_counter()
    adapter = fit_adapter(latents, values, avatars.factor_set, base_digest=avatars.base.digest)
    seconds = time.perf_counter() - started
    read_BF = values_of(adapter, scores_of(adapter, avatars.latents_NL[held]))
    return float((read_BF == avatars.values_NF[held]).mean()), seconds


def logistic_reads(avatars: Avatars, rows: NDArray[np.intp], held: NDArray[np.intp]) -> tuple[float, float]:
    """Return the same of one cross-validated logistic regression per factor."""
    right, seconds = [], 0.0
    for index in range(avatars.values_NF.shape[1]):
        level_N = avatars.values_NF[rows, index]
        search = GridSearchCV(LogisticRegression(max_iter=500), {"C": CANDIDATES}, cv=5)
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rare levels with fewer rows than folds
            search.fit(avatars.latents_NL[rows], level_N)
        seconds += time.perf_counter() - started
        right.append(float((search.predict(avatars.latents_NL[held]) == avatars.values_NF[held, index]).mean()))
    return float(np.mean(right)), seconds


def drawn(avatars: Avatars, labels: int, draw: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows to label, at least two levels of every factor among them, and rows held out."""
    order = np.random.default_rng(draw).permutation(len(avatars.images))
    return order[:labels], order[-HELD_OUT:]


def spoken(values: Sequence[float]) -> str:
    """Return "mean +- half of the 95 % interval"."""
    spread = 0.0
    if len(values) > 1:
        spread = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{np.mean(values):.4f} +-{spread:.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=list(BARS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--base", type=Path, help="directory of another base than the shipped one")
    asked = parser.parse_args()
    avatars = load_avatars(base_path=asked.base)
    print(f"base {avatars.base.digest[:12]}, {len(avatars.factor_set.factors)} factors, {asked.draws} draws")
    heads = ("labels", "adapter", "logistic, CV", "gain", "bar", "fit", "peer", "ratio")
    print("{:>6}  {:>15}  {:>15}  {:>15}  {:>5}  {:>8}  {:>9}  {}".format(*heads))
    for labels in asked.labels:
        ours, theirs, fits, searches = [], [], [], []
        for draw in range(asked.draws):
            rows, held = drawn(avatars, labels, draw)
            with threadpool_limits(1):
                accuracy, seconds = adapter_reads(avatars, rows, held)
                peer_accuracy, peer_seconds = logistic_reads(avatars, rows, held)
            ours.append(accuracy)
            theirs.append(peer_accuracy)
            fits.append(seconds)
            searches.append(peer_seconds)
        gains = [one - other for one, other in zip(ours, theirs, strict=True)]
        fit, search = float(np.median(fits)), float(np.median(searches))
        bar = f"{BARS[labels]:+.2f}" if labels in BARS else ""
        print(
            f"{labels:>6}  {spoken(ours):>15}  {spoken(theirs):>15}  {spoken(gains):>15}  {bar:>5}  "
            f"{fit * 1e3:>5.0f} ms  {search:>7.1f} s  {search / fit:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
