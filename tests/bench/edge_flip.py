"""How long an alias's move takes to be seen on two replicas under load, and whether any request fails meanwhile.

    python -m tests.bench.edge_flip [--flips 10] [--rate 60]

Bar: at most 1 s on both replicas, no failed request.
"""

import argparse
import asyncio
import threading
import time

from heddle_infra.cache import RedisCache
from heddle_infra.database.serving import CHANGED_CHANNEL
from heddle_platform.settings import CacheSettings
from tests.bench.edge_load import load, quantiles
from tests.bench.edge_stage import Stage, stage


def announce(made: Stage) -> None:
    """Tell edges, as the control plane does after its commit."""

    async def tell() -> None:
        cache = RedisCache(CacheSettings(redis_url=made.redis_url))
        await cache.publish(CHANGED_CHANNEL, "alias_moved")
        await cache.close()

    asyncio.run(tell())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flips", type=int, default=10)
    parser.add_argument("--rate", type=float, default=60.0)
    arguments = parser.parse_args()
    moves: list[tuple[float, str]] = []
    with stage(64) as made, made.edge() as one, made.edge() as two:

        def flip() -> None:
            for number in range(arguments.flips):
                time.sleep(1.5)
                version = 2 - number % 2
                made.point_at(version)
                moves.append((time.time(), f"avatars@{version}"))
                announce(made)

        flipping = threading.Thread(target=flip)
        flipping.start()
        records = load([one.url, two.url], made, rate=arguments.rate, seconds=1.5 * (arguments.flips + 1))
        flipping.join()
    failed = [record for record in records if record["status"] != 200]
    slowest = 0.0
    print(f"{'flip':<6}{'to':<12}{'replica 1':>12}{'replica 2':>12}")
    for number, (at, version) in enumerate(moves):
        ends = moves[number + 1][0] if number + 1 < len(moves) else float("inf")
        waits = []
        for url in (one.url, two.url):
            stale = [
                record["at"]
                for record in records
                if record["url"] == url and at <= record["at"] < ends and record["version"] not in ("", version)
            ]
            waits.append(max(stale, default=at) - at)
        slowest = max(slowest, *waits)
        print(f"{number:<6}{version:<12}{waits[0]:>10.3f} s{waits[1]:>10.3f} s")
    median, tail = quantiles(records)
    print(f"{len(records)} requests, {len(failed)} failed; p50 {median:.1f} ms, p99 {tail:.1f} ms")
    print(f"slowest {slowest:.3f} s (bar 1 s): {'met' if slowest <= 1.0 and not failed else 'MISSED'}")


if __name__ == "__main__":
    main()
