"""Open-loop load on edges, sent by a second process: at its rate, whether answers come or not.

python -m tests.bench.edge_load JSON     (a load; the benches start it)
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from tests.bench.edge_latency import KEY_FILE, Caller
from tests.bench.edge_request import post, unlike

OF_SATURATION, BAR_MS = 0.6, 40.0
_LATE_MS = 200.0
_ANSWERED = 0.97  # of the requests, within `_LATE_MS`: below it an edge is saturated


class Aim(Protocol):
    """Where the key stands, and which images are sent."""

    @property
    def directory(self) -> Path: ...

    @property
    def images(self) -> list[bytes]: ...


@dataclass(frozen=True)
class Sent:
    """What an open loop sends: the key stands in the directory."""

    directory: Path
    images: list[bytes]


def load(urls: list[str], aim: Aim, *, rate: float, seconds: float, poisson: bool = False) -> list[dict[str, Any]]:
    """Send uncached edits from a second process.

    Args:
        urls: edges, in turn.
        aim: the key and the images.
        rate: a second.
        seconds: how long.
        poisson: with exponential gaps, as people who know nothing of each other send; else evenly.

    Returns:
        One record per request: {at, ms, status, version, url, code}; `ms` counts from when it was due.
    """
    plan = {"urls": urls, "directory": str(aim.directory), "rate": rate, "seconds": seconds, "poisson": poisson}
    images = aim.directory / "images"
    images.mkdir(exist_ok=True)
    for place, data in enumerate(aim.images[:64]):
        (images / f"{place:03d}.png").write_bytes(data)
    command = [sys.executable, "-m", "tests.bench.edge_load", json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


class _Line(asyncio.Protocol):
    """A connection that is kept, for one request at a time."""

    def __init__(self) -> None:
        self._seen = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def is_open(self) -> bool:
        """Whether the edge has not closed it."""
        return not self._transport.is_closing()

    def send(self, request: bytes) -> "asyncio.Future[tuple[bytes, bytes]]":
        """Return what will be the head, in lower case, and the body of the answer."""
        self._seen = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if found and self._answer is not None and not self._answer.done():
            head = head.lower()
            if len(body) >= int(_header(head, b"content-length") or 0):
                self._answer.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the edge closed the connection"))


def _header(head: bytes, name: bytes) -> str:
    found = head.partition(b"\r\n" + name + b": ")[2]
    return found.partition(b"\r\n")[0].decode()


async def _load(plan: dict[str, Any]) -> list[dict[str, Any]]:
    directory = Path(plan["directory"])
    images = [path.read_bytes() for path in sorted((directory / "images").iterdir())]
    key, salt = (directory / KEY_FILE).read_text(), random.randrange(10**12)
    fields = {"edit": json.dumps({"adapter": "avatars", "set": {"glasses": "round"}})}
    loop = asyncio.get_running_loop()
    free: dict[str, list[_Line]] = {url: [] for url in plan["urls"]}
    records: list[dict[str, Any]] = []

    async def one(request: bytes, url: str, due: float) -> None:
        record: dict[str, Any] = {"at": time.time(), "url": url, "version": "", "code": ""}
        try:
            while (line := free[url].pop() if free[url] else None) is not None and not line.is_open:
                pass  # the edge closes what was idle for long
            if line is None:
                _, line = await loop.create_connection(_Line, "127.0.0.1", urlsplit(url).port or 80)
            async with asyncio.timeout(30):
                head, body = await line.send(request)
            free[url].append(line)
            record |= {"status": int(head[9:12]), "version": _header(head, b"x-adapter-version")}
            if record["status"] != 200:
                record["code"] = json.loads(body).get("code", "")
        except OSError as error:  # TimeoutError is one
            record |= {"status": 0, "code": type(error).__name__}
        record["ms"] = 1000 * (time.perf_counter() - due)  # from when it was due: a late send counts
        records.append(record)

    count = int(plan["rate"] * plan["seconds"])
    requests = [
        post("/v1/edits", key, fields, unlike(images[number % len(images)], salt + number)) for number in range(count)
    ]
    gaps = random.Random(7)
    due = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(requests):
            due += gaps.expovariate(plan["rate"]) if plan["poisson"] else 1.0 / plan["rate"]
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(request, plan["urls"][number % len(plan["urls"])], due))
    return records


def quantiles(records: list[dict[str, Any]]) -> tuple[float, float]:
    """Return p50 and p99 of the answered, in milliseconds."""
    answered = [record["ms"] for record in records if record["status"] == 200]
    return float(np.median(answered)), float(np.quantile(answered, 0.99))


def saturation(send: Callable[[float], list[dict[str, Any]]]) -> float:
    """Return the highest rate at which nearly all is answered within 200 ms, by doubling and halving."""
    low, high, rate = 10.0, 0.0, 80.0
    for _ in range(8):
        records = send(rate)
        fine = [record for record in records if record["status"] == 200 and record["ms"] < _LATE_MS]
        if len(fine) >= _ANSWERED * len(records):
            low = rate
        else:
            high = rate
        rate = 2 * rate if not high else (low + high) / 2
        if high and high / low < 1.1:
            break
    return low


def open_loop(port: int, aim: Aim, seconds: float) -> None:
    """Find saturation, and print what edits take at a part of it beside edits one after another."""
    urls = [f"http://127.0.0.1:{port}"]
    caller = Caller(port, (aim.directory / KEY_FILE).read_text())
    load(urls, aim, rate=20.0, seconds=2.0)  # warm
    salt = time.time_ns()  # in bytes of their own: the latents of the images themselves are cached by now
    alone = [caller.edit(unlike(image, salt + n), {"set": {"skin": "sand"}}).seen for n, image in enumerate(aim.images)]
    most = saturation(lambda rate: load(urls, aim, rate=rate, seconds=4.0))
    rate = OF_SATURATION * most
    before = caller.server_cpu_seconds()
    records = load(urls, aim, rate=rate, seconds=seconds, poisson=True)
    used = 1000 * (caller.server_cpu_seconds() - before) / max(len(records), 1)
    failed = sum(record["status"] != 200 for record in records)
    median, tail = quantiles(records)
    print(f"{'uncached edits':<40}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}{'edge cpu ms':>13}")
    one = 1000 * len(alone) / sum(alone)
    print(f"{'one after another':<40}{one:>10.0f}{np.median(alone):>9.2f}{np.quantile(alone, 0.99):>9.2f}{0:>8}")
    print(f"{'saturated, even arrivals':<40}{most:>10.0f}")
    name = f"{OF_SATURATION:.0%} of it, Poisson arrivals"
    print(f"{name:<40}{rate:>10.0f}{median:>9.2f}{tail:>9.2f}{failed:>8}{used:>13.2f}")
    met = tail <= BAR_MS and not failed
    print(f"p99 at {OF_SATURATION:.0%} of saturation {tail:.1f} ms (bar {BAR_MS:.0f} ms): {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_load(json.loads(sys.argv[1])))))
