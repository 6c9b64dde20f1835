"""Throughput of the whole path: many small fits of many tenants, from the first POST to the last card.

    python -m tests.bench.drain [--fits 1000] [--tenants 20] [--rows 300] [--card brief] [--small]

Every fit has a set of its own (300 rows drawn from 1,000 avatars, four factors), its latents stored already. Timed:
POST of all jobs, claims, fits in chunks, gate, export, two objects each, rows. Beside it, the processor time of every
process ("control" is mostly the POSTs). `--card full` measures full cards.
"""

import argparse
import time
from collections import Counter

import numpy as np

from tests.bench.processor import processor_seconds, table
from tests.bench.stage import draw, post_many, stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=1_000)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--card", choices=("brief", "full"), default="brief")
    parser.add_argument("--small", action="store_true", help="60 fits of 3 tenants")
    asked = parser.parse_args()
    fits, tenants = (60, 3) if asked.small else (asked.fits, asked.tenants)
    pictures, random = draw(max(1_000, asked.rows)), np.random.default_rng(0)
    each = fits // tenants
    with stage() as running:
        queues = []
        for index in range(tenants):
            tenant = running.tenant(f"tenant-{index}")
            parts = [np.sort(random.permutation(len(pictures.images))[: asked.rows]) for _ in range(each)]
            full = asked.card == "full"
            queues.append((tenant, running.ready_sets(tenant, pictures, parts, encoded=True, zipped=full)))
        warm_tenant, warm_sets = queues[0]
        with running.client(warm_tenant) as client:
            running.wait(post_many(client, [(warm_sets[0], "warm")], asked.card), 120)
        before = processor_seconds(running.stack.data_dir)
        started = time.perf_counter()
        job_ids: list[str] = []
        for tenant, sets in queues:
            with running.client(tenant) as client:
                wanted = [(dataset, f"adapter-{place}") for place, dataset in enumerate(sets)]
                job_ids += post_many(client, wanted, asked.card)
        posted = time.perf_counter() - started
        spans = running.wait(job_ids, 3_600)
        after = processor_seconds(running.stack.data_dir)
    first, last = min(begun for _, _, begun, _ in spans), max(ended for _, _, _, ended in spans)
    made = min(created for _, created, _, _ in spans)
    whole, drain = (last - made).total_seconds(), (last - first).total_seconds()
    print(f"{len(job_ids)} fits of {tenants} tenants, {asked.rows} rows, {asked.card} cards, latents cached")
    print(f"{'statuses':<28}{dict(Counter(status for status, *_ in spans))}")
    print(f"{'POST of all, s':<28}{posted:>10.1f}")
    print(f"{'first POST to last card, s':<28}{whole:>10.1f}{len(job_ids) / whole:>10.1f} fits/s")
    print(f"{'first start to last card, s':<28}{drain:>10.1f}{len(job_ids) / drain:>10.1f} fits/s   (bar: 50)")
    table(before, after, len(job_ids))


if __name__ == "__main__":
    main()
