"""Time of a preview: the mathematics, and the route over HTTP on loopback.

    python tests/bench/preview.py [--rows 300] [--candidates 300] [--repeats 30] [--url http://127.0.0.1:8000 --key KEY]

300 labelled rows and as many unlabelled ones, 64 latents, 8 factors. The route is timed where a running control plane
(`heddle up`) and a tenant's key are given. It gets the latents inline, so its time holds what sending and reading them
as JSON costs; for a labelled set they come from the object store instead.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from heddle_adapters.preview import preview
from heddle_platform.factors import parse_factor_set

LEVELS = (2, 3, 4, 5, 2, 3, 4, 5)
LATENTS = 64


def draw(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float64], dict[str, Any]]:
    """Draw latents, labels and the document of a factor set of eight categorical factors."""
    random = np.random.default_rng(0)
    values_NF = np.stack([random.integers(levels, size=rows) for levels in LEVELS], axis=1)
    latents_NL = random.standard_normal((rows, LATENTS), dtype=np.float32)
    for index, levels in enumerate(LEVELS):
        latents_NL += (0.3 * random.standard_normal((levels, LATENTS), dtype=np.float32))[values_NF[:, index]]
    factors = [
        {"name": f"factor_{index}", "kind": "categorical", "levels": [str(level) for level in range(count)]}
        for index, count in enumerate(LEVELS)
    ]
    return latents_NL, values_NF.astype(np.float64), {"name": "preview_bench", "factors": factors}


def table(name: str, work: Callable[[], object], repeats: int) -> None:
    """Print one line: quantiles of wall and processor milliseconds."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        taken.append((1_000 * (time.perf_counter() - wall), 1_000 * (time.process_time() - processor)))
    wall_ms, cpu_ms = np.array(taken).T
    print(f"{name:<28}{np.median(wall_ms):>10.1f}{np.quantile(wall_ms, 0.95):>10.1f}{np.median(cpu_ms):>10.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--url", help="control plane")
    parser.add_argument("--key", help="key of a tenant")
    arguments = parser.parse_args()
    total = arguments.rows + arguments.candidates
    latents_NL, values_NF, document = draw(total)
    factor_set = parse_factor_set(document)
    values_NF[arguments.rows :] = np.nan
    print(f"{arguments.rows} labelled rows, {total - arguments.rows} candidates, 64 latents, 8 factors")
    print(f"{'':<28}{'p50 ms':>10}{'p95 ms':>10}{'cpu ms':>10}")
    table("mathematics", lambda: preview(latents_NL, values_NF, factor_set), arguments.repeats)
    partly_NF = values_NF.copy()
    partly_NF[: arguments.rows : 5, 2] = np.nan
    table("mathematics, labels missing", lambda: preview(latents_NL, partly_NF, factor_set), arguments.repeats)
    if arguments.url:
        post = poster(arguments.url, arguments.key, latents_NL, values_NF, document)
        table("POST /v1/fits/preview", post, arguments.repeats)


def poster(
    url: str, key: str, latents_NL: NDArray[np.float32], values_NF: NDArray[np.float64], document: dict[str, Any]
) -> Callable[[], object]:
    """Return what sends one preview over a kept connection."""
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    client.post("/v1/factor_sets", json=document).raise_for_status()
    names = [factor["name"] for factor in document["factors"]]
    labels = [
        {name: str(int(value)) for name, value in zip(names, row, strict=True) if not np.isnan(value)}
        for row in values_NF.tolist()
    ]
    body = json.dumps(
        {"factor_set": document["name"], "latents": latents_NL.astype(np.float64).round(4).tolist(), "labels": labels}
    )

    def send() -> object:
        answer = client.post("/v1/fits/preview", content=body, headers={"Content-Type": "application/json"})
        return answer.raise_for_status().json()

    return send


if __name__ == "__main__":
    main()
