"""GET of a job while fits run: an open loop of requests at a fixed rate, timed from when each was due.

    python -m tests.bench.job_reads [--rate 200] [--seconds 30] [--waiting 500] [--small]

Jobs that wait, run and are over are read at random. A request that starts late because others were slow counts
from its due time, so that a stall shows (no co-ordinated omission). Bar: p99 at most 20 ms.
"""

import argparse
import asyncio
import re
import time

import numpy as np

from heddle_platform.settled import settle
from tests.bench.stage import draw, post_many, stage

ROWS, TENANTS = 300, 5
WARM_SECONDS = 1.0  # opens the connections; what is sent in them is not counted


class Lines:
    """Keep-alive connections that speak just enough HTTP: a full client takes more of the machine than the plane."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str, key: str = "") -> tuple[int, bytes]:
        """Return status and body."""
        reader, writer = await self._line()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(head[9:12]), body

    async def _line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the plane hangs up on lines that were idle for a while
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def cpu_seconds(self) -> float:
        """Return the processor time the plane has used: unlike wall time, the same on a busy machine."""
        _, text = await self.get("/metrics")
        found = re.search(rb"^heddle_process_cpu_seconds_total ([0-9.e+-]+)", text, re.MULTILINE)
        return float(found.group(1)) if found else float("nan")


async def loop(url: str, calls: list[tuple[str, str]], rate: float) -> tuple[list[float], list[int], float]:
    """Send each (key, job id) when it is due; return milliseconds, statuses, and the plane's processor seconds."""
    lines = Lines(url)
    await _send(lines, calls[: int(WARM_SECONDS * rate)], rate)
    before = await lines.cpu_seconds()
    done = await _send(lines, calls, rate)
    used = await lines.cpu_seconds() - before
    return [each for each, _ in done], [status for _, status in done], used


async def _send(lines: Lines, calls: list[tuple[str, str]], rate: float) -> list[tuple[float, int]]:
    start = time.perf_counter()

    async def one(due: float, key: str, job_id: str) -> tuple[float, int]:
        status, _ = await lines.get(f"/v1/jobs/{job_id}", key)
        return 1_000 * (time.perf_counter() - due), status

    sent = []
    for place, call in enumerate(calls):
        due = start + place / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent.append(asyncio.create_task(one(due, *call)))
    return await asyncio.gather(*sent)


def line(name: str, milliseconds: list[float], statuses: list[int], cpu_seconds: float) -> None:
    p50, p99 = np.quantile(milliseconds, (0.5, 0.99))
    good = sum(status == 200 for status in statuses)
    print(
        f"{name:<22}{len(statuses):>8}{good:>8}{p50:>10.1f}{p99:>10.1f}{max(milliseconds):>10.1f}"
        f"{1_000 * cpu_seconds / len(statuses):>12.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--waiting", type=int, default=1_000, help="fits queued before the reading begins")
    parser.add_argument("--card", choices=("brief", "full"), default="full")
    parser.add_argument("--small", action="store_true", help="50/s for 5 s, 40 fits")
    asked = parser.parse_args()
    rate, seconds, waiting = (50.0, 5.0, 40) if asked.small else (asked.rate, asked.seconds, asked.waiting)
    pictures, random = draw(1_000), np.random.default_rng(0)
    with stage() as running:
        tenants = [running.tenant(f"tenant-{index}") for index in range(TENANTS)]
        sets = []
        for tenant in tenants:
            parts = [np.sort(random.permutation(len(pictures.images))[:ROWS]) for _ in range(4)]
            sets.append(running.ready_sets(tenant, pictures, parts, encoded=True, zipped=asked.card == "full"))
        with running.client(tenants[0]) as client:
            [job] = post_many(client, [(sets[0][0], "warm")], asked.card)
            running.wait([job], 120)
        count = int(rate * seconds)
        settle()  # a full collection here would stall what is measured
        print(f"{rate:.0f} requests/s, open loop, {seconds:.0f} s, {waiting} fits waiting ({asked.card} cards)")
        print(f"{'':<22}{'asked':>8}{'200':>8}{'p50 ms':>10}{'p99 ms':>10}{'worst':>10}{'cpu ms each':>12}")
        line("idle", *asyncio.run(loop(running.stack.control_url, [(tenants[0].key, job)] * count, rate)))
        known = []
        for tenant, own in zip(tenants, sets, strict=True):
            with running.client(tenant) as client:
                wanted = [(own[place % len(own)], f"a-{place}") for place in range(waiting // TENANTS)]
                known += [(tenant.key, found) for found in post_many(client, wanted, asked.card)]
        calls = [known[place] for place in random.integers(0, len(known), size=count)]
        line("while fits run", *asyncio.run(loop(running.stack.control_url, calls, rate)))


if __name__ == "__main__":
    main()
