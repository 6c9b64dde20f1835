"""What holding a fleet costs: one edge with 1, 10,000 and 100,000 tenants' adapters resident.

    python -m tests.bench.edge_fleet [--tenants 1 10000 100000] [--rate 60] [--seconds 10]

Bars: at 10,000 at most 150 MB above one tenant's, p99 unchanged within noise. 100,000 is reported. The adapters are
those of the demo's six factors on the shipped base (64 latents); the object store makes them as they are asked for,
so that start-up is unpacking and not a disk's speed.
"""

import argparse

from tests.bench.edge_load import load, quantiles
from tests.bench.edge_stage import stage


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, nargs="+", default=[1, 10_000, 100_000])
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    print(f"{'tenants':>8}{'ready s':>10}{'MB':>10}{'above 1':>10}{'KB each':>10}{'p50 ms':>9}{'p99 ms':>9}")
    alone = 0.0
    with stage(64) as made:
        for tenants in arguments.tenants:
            with made.edge(tenants=tenants) as edge:
                load([edge.url], made, rate=arguments.rate, seconds=2.0)
                records = load([edge.url], made, rate=arguments.rate, seconds=arguments.seconds)
                resident = edge.resident_mb()
            alone = alone or resident
            above = resident - alone
            median, tail = quantiles(records)
            each = 1024 * above / max(1, tenants - 1)
            print(
                f"{tenants:>8}{edge.ready_seconds:>10.1f}{resident:>10.0f}{above:>10.0f}{each:>10.1f}"
                f"{median:>9.2f}{tail:>9.2f}"
            )
            if tenants == 10_000:
                print(f"         bar at 10,000: 150 MB above one tenant's: {'met' if above <= 150 else 'MISSED'}")


if __name__ == "__main__":
    main()
