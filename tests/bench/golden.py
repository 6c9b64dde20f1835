"""All scores of the golden arrays beside what disentanglement_lib's own files return for them.

    python -m tests.bench.golden [--without-boosted]

The gradient-boosted DCI of 10,000 rows takes minutes; it was published for the good codes alone and is what this
command is for: the tests run the rest. Prints measured, golden, how far apart they may be, and whether they are; ends
with 1 if any is farther.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from heddle_adapters.scores import dci, irs, mig, modularity_explicitness, sap
from tests.adapters.test_golden import GOLDEN
from tests.bench.avatars import SHARED

NEAR = {"mig": 1e-6, "irs": 1e-6, "mod": 1e-6, "exp": 5e-3, "sap": 5e-3}
# disentanglement, completeness, informativeness on held-out rows; default gradient-boosted classifiers
BOOSTED = {"codes_good": {"dci D": 0.7584, "dci C": 0.7129, "dci I": 0.6066}}
BOOSTED_NEAR = 5e-3


def measured(codes: Any, factors: Any) -> dict[str, float]:
    """Return the scores that `GOLDEN` names, by its names."""
    modular = modularity_explicitness(codes, factors)
    return {
        "mig": mig(codes, factors).value,
        "sap": sap(codes, factors).value,
        "mod": modular.modularity,
        "exp": modular.explicitness,
        "irs": irs(codes, factors).value,
    }


def boosted(codes: Any, factors: Any) -> dict[str, float]:
    """Return the gradient-boosted DCI."""
    result = dci(codes, factors, estimator="boosted")
    return {"dci D": result.disentanglement, "dci C": result.completeness, "dci I": result.informativeness}


def compare(
    name: str, found: Callable[[], Mapping[str, float]], golden: Mapping[str, float], near: Mapping[str, float]
) -> bool:
    """Print one table and return whether every score is near enough."""
    started = time.perf_counter()
    scores = found()
    print(f"\n{name}, {time.perf_counter() - started:.0f} s\n| score | measured | golden | apart | at most | |")
    print("|---|---|---|---|---|---|")
    good = True
    for score, want in golden.items():
        apart = abs(scores[score] - want)
        fine = apart <= near[score]
        good = good and fine
        print(f"| {score} | {scores[score]:.7f} | {want} | {apart:.1e} | {near[score]:.0e} | {'' if fine else 'FAR'} |")
    return good


def main() -> int:
    """Compare everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-boosted", action="store_true", help="the quick ones alone")
    asked = parser.parse_args()
    arrays = dict(np.load(SHARED / "metric_golden.npz"))
    factors = arrays["factors"]
    good = [compare(name, partial(measured, arrays[name], factors), GOLDEN[name], NEAR) for name in GOLDEN]
    for name, golden in {} if asked.without_boosted else BOOSTED.items():
        near = dict.fromkeys(golden, BOOSTED_NEAR)
        good.append(compare(f"{name}, boosted", partial(boosted, arrays[name], factors), golden, near))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
