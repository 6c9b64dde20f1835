"""Speed of the scores on 10,000 and 1,000 rows of 10 codes and 5 factors, each beside its peer in the same run.

    python tests/bench/scores.py [--boosted-rows 10000] [--data FILE.npz]

Prints wall and processor seconds: on a machine that does other work only the second compares. The peers are the loops
of the published implementations on scikit-learn. Gradient boosting runs on `--boosted-rows` rows in full; with fewer
than 10,000 its time is scaled by rows and the line says so.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from heddle_adapters.scores.panel import measures

LEVELS = (3, 6, 40, 32, 32)


def made_up(rows: int) -> tuple[Any, Any]:
    """Five factors each held by one noisy code, and five codes of noise."""
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(levels, size=rows) for levels in LEVELS], axis=1)
    held = (factors - factors.mean(axis=0)) / factors.std(axis=0) + 0.1 * random.normal(size=factors.shape)
    return np.hstack([held, 0.1 * random.normal(size=factors.shape)]), factors


def timed(measure: Callable[[], Any], repeats: int = 1) -> tuple[float, float]:
    """Return the least (wall, processor) seconds of some repeats."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        measure()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


def mig_loop(codes: Any, factors: Any) -> None:
    for code in codes.T:
        bins = np.digitize(code, np.histogram(code, 20)[1][:-1])
        for factor in factors.T:
            mutual_info_score(factor, bins)


def sap_loop(codes: Any, factors: Any) -> None:
    cut = 2 * len(codes) // 3
    for code in codes.T:
        for factor in factors.T:
            LinearSVC(C=0.01, class_weight="balanced").fit(code[:cut, None], factor[:cut]).predict(code[cut:, None])


def boosted_loop(codes: Any, factors: Any, rows: int) -> None:
    cut = 3 * rows // 4
    for factor in factors.T:
        GradientBoostingClassifier().fit(codes[:cut], factor[:cut])


def show(name: str, wall: float, processor: float, note: str = "") -> None:
    print(f"{name:32} {wall * 1e3:10.1f} {processor * 1e3:10.1f}  {note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boosted-rows", type=int, default=10_000)
    parser.add_argument("--data", type=Path, help="an .npz with codes_good and factors instead of made-up ones")
    options = parser.parse_args()
    codes, factors = made_up(10_000)
    if options.data is not None:
        found = np.load(options.data)
        codes, factors = found["codes_good"], found["factors"]
    spent: dict[str, float] = {}
    for rows in (10_000, 1_000):
        print(f"\n{rows:,} rows, 10 codes, 5 factors {'':6} wall ms     cpu ms")
        panel = measures(codes[:rows], factors[:rows])
        panel["mig"]()  # once, so that no import is timed
        walls = processors = 0.0
        for name, measure in panel.items():
            wall, processor = timed(measure, 5 if name == "mig" else 1)
            walls, processors = walls + wall, processors + processor
            spent[f"{name} {rows}"] = processor
            show(name, wall, processor)
        show("all of them", walls, processors)
    print("\npeers, 10,000 rows")
    _, loop = timed(lambda: mig_loop(codes, factors))
    show("MIG, scikit-learn loop", _, loop, f"{loop / spent['mig 10000']:.0f} x ours")
    _, loop = timed(lambda: sap_loop(codes, factors))
    show("SAP, LinearSVC loop", _, loop, f"{loop / spent['sap 10000']:.1f} x ours")
    rows = options.boosted_rows
    _, loop = timed(lambda: boosted_loop(codes, factors, rows))
    scale = 10_000 / rows
    note = "in full" if rows == 10_000 else f"on {rows:,} rows, times {scale:.1f}"
    show("DCI, gradient boosting", _ * scale, loop * scale, f"{loop * scale / spent['dci 10000']:.0f} x forest, {note}")


if __name__ == "__main__":
    main()
