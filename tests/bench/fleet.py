"""Speed of the fleet solver: many tenants' fits in one call, beside one-by-one fits and scikit-learn's loop.

    python tests/bench/fleet.py [--tenants 10000] [--peers 20] [--threads 2] [--device cpu]

Timed: `fit_fleet` from latents in memory (float32) and labels to solved fits: checks, ridge by leave-one-out, encoding
model, read, temperatures out of fold, write. Not timed: drawing the synthetic tenants, whose latents all lie in memory
before the clock starts. The peer fits one LogisticRegression per factor at one C, without choosing it and without
writes or calibration; it and the one-by-one fits run on `--peers` tenants and are extrapolated.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from heddle_adapters.artifact import pack
from heddle_adapters.fit import fit_adapter
from heddle_adapters.fleet.intake import FleetTenant
from heddle_adapters.fleet.solver import fit_fleet
from heddle_platform.factors import FactorSet, parse_factor_set

LEVELS = (2, 3, 4, 5, 2, 3, 4, 5)
ROWS, LATENTS = 1_000, 64


def factor_set() -> FactorSet:
    """Return eight categorical factors of two to five levels."""
    factors = [
        {"name": f"factor_{index}", "kind": "categorical", "levels": [str(level) for level in range(count)]}
        for index, count in enumerate(LEVELS)
    ]
    return parse_factor_set({"name": "synthetic", "factors": factors})


def draw(count: int) -> list[FleetTenant]:
    """Draw tenants, each with effects of its own."""
    random, factors = np.random.default_rng(0), factor_set()
    tenants = []
    for _ in range(count):
        values_NF = np.stack([random.integers(levels, size=ROWS) for levels in LEVELS], axis=1)
        latents_NL = random.standard_normal((ROWS, LATENTS), dtype=np.float32)
        for index, levels in enumerate(LEVELS):
            latents_NL += (0.3 * random.standard_normal((levels, LATENTS), dtype=np.float32))[values_NF[:, index]]
        tenants.append(FleetTenant(latents_NL, values_NF.astype(np.float64), factors, "b" * 64))
    return tenants


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall seconds, processor seconds and what the work returned."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - processor, result


def logistic(tenants: list[FleetTenant]) -> None:
    """Fit scikit-learn's classifier to every factor of every tenant."""
    for tenant in tenants:
        scaled_NL = (tenant.latents_NL - tenant.latents_NL.mean(axis=0)) / tenant.latents_NL.std(axis=0)
        for index in range(len(LEVELS)):
            LogisticRegression(C=0.1, max_iter=1_000).fit(scaled_NL, tenant.values_NF[:, index])


def singles(tenants: list[FleetTenant]) -> None:
    """Fit one by one what the fleet solves for."""
    for one in tenants:
        fit_adapter(one.latents_NL, one.values_NF, one.factor_set, base_digest=one.base_digest, refine=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--peers", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    tenants = draw(arguments.tenants)
    peers = tenants[: arguments.peers]
    share = len(tenants) / len(peers)
    fit_fleet(tenants[:32], device=arguments.device, threads=arguments.threads)
    wall, processor, fleet = timed(lambda: fit_fleet(tenants, device=arguments.device, threads=arguments.threads))
    packing, _, _ = timed(lambda: [pack(fleet.adapter(index)) for index in range(len(peers))])
    print(
        f"{len(tenants)} tenants of {ROWS} rows, {LATENTS} latents, {len(LEVELS)} factors; {len(fleet.refused)} refused"
    )
    print(f"{'':<44}{'wall s':>10}{'cpu s':>10}{'ms each':>10}{'times fleet':>13}")

    def line(name: str, wall_seconds: float, cpu_seconds: float) -> None:
        each = 1_000 * wall_seconds / len(tenants)
        print(f"{name:<44}{wall_seconds:>10.1f}{cpu_seconds:>10.1f}{each:>10.2f}{wall_seconds / wall:>13.1f}")

    line(f"fit_fleet, {arguments.threads} thread(s)", wall, processor)
    line(f"  + adapters and artifact bytes ({len(peers)}, extrapolated)", wall + packing * share, 0.0)
    for name, work in (("fit_adapter, closed form", singles), ("LogisticRegression per factor, C = .1", logistic)):
        took, used, _ = timed(lambda work=work: work(peers))  # type: ignore[misc]
        line(f"{name} ({len(peers)}, extrapolated)", took * share, used * share)


if __name__ == "__main__":
    main()
