"""From POST to card: one fit of 1,000 labelled 64x64 images, six factors, full card; latents cold and cached.

    python -m tests.bench.fit_path [--rows 1000] [--times 5] [--card full] [--small]

Every time has a set of its own, so nothing of an earlier fit is found again. Warm: fits went through before. Timed
as a client sees it: POST /v1/jobs until GET of the job says it is over, asked every 20 ms. Queueing, encoding (cold),
the fit with all pictures, pages, export, objects and rows are in it. Beside it, what the database says: start to end.
"""

import argparse
import time
from collections.abc import Sequence

import httpx
import numpy as np

from tests.bench.stage import Stage, Tenant, draw, post_fit, stage

FACTORS = 6
_FINAL = ("succeeded", "awaiting_approval", "failed", "cancelled")
_BARS = {"cold": 5.0, "cached": 2.0}


def timed(client: httpx.Client, dataset: str, adapter: str, card: str) -> tuple[str, float, str]:
    """Fit; return the job, the seconds seen from outside, and how it ended."""
    started = time.perf_counter()
    job_id = post_fit(client, dataset, adapter, card)
    while True:
        job = client.get(f"/v1/jobs/{job_id}").json()
        if job["status"] in _FINAL:
            return job_id, time.perf_counter() - started, str(job["status"])
        time.sleep(0.02)


def measure(running: Stage, tenant: Tenant, sets: Sequence[str], name: str, card: str) -> None:
    """Fit each set once and print a line."""
    with running.client(tenant) as client:
        seen = [timed(client, dataset, f"{name}-{place}", card) for place, dataset in enumerate(sets)]
    spans = running.spans([job_id for job_id, _, _ in seen])
    inside = [(ended - begun).total_seconds() for _, _, begun, ended in spans if begun and ended]
    seconds = [each for _, each, _ in seen]
    statuses = ",".join(sorted({status for _, _, status in seen}))
    print(
        f"{name:<10}{np.median(seconds):>12.2f}{max(seconds):>10.2f}{np.median(inside):>18.2f}{_BARS[name]:>8.1f}"
        f"   {statuses}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--card", choices=("brief", "full"), default="full")
    parser.add_argument("--small", action="store_true", help="200 images, twice")
    asked = parser.parse_args()
    rows, times = (200, 2) if asked.small else (asked.rows, asked.times)
    pictures, random = draw(rows + 200, FACTORS), np.random.default_rng(0)

    def parts(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
        return [np.sort(random.permutation(len(pictures.images))[:rows]) for _ in range(count)]

    with stage() as running:
        tenant = running.tenant()
        warm = running.ready_sets(tenant, pictures, parts(2), encoded=False, zipped=True)
        with running.client(tenant) as client:
            for place, dataset in enumerate(warm):
                timed(client, dataset, f"warm-{place}", asked.card)
        cold = running.ready_sets(tenant, pictures, parts(times), encoded=False, zipped=True)
        cached = running.ready_sets(tenant, pictures, parts(times), encoded=True, zipped=True)
        print(f"{rows} images, {FACTORS} factors, {asked.card} card, {times} times")
        print(f"{'latents':<10}{'POST->card s':>12}{'worst s':>10}{'start->end s':>18}{'bar s':>8}")
        measure(running, tenant, cold, "cold", asked.card)
        measure(running, tenant, cached, "cached", asked.card)


if __name__ == "__main__":
    main()
