"""A client that costs less than the services it measures: whole requests on kept connections, only lengths are read.

python -m tests.bench.edge_client JSON        (a load; the benches start it, so that it runs on a core of its own)
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tests.bench.edge_latency import KEY_FILE
from tests.bench.edge_request import post, unlike


@dataclass(frozen=True)
class Plan:
    """What is sent: the images of a directory to a path of a port, `at_once` requests under way for `seconds`.

    `fresh`: every image in bytes nobody has sent yet; else the same ones over and over. Of `turns` of a field's values
    each request takes the next. The process is bound to `core`, unless that is None.
    """

    directory: str
    port: int
    path: str
    fields: dict[str, str]
    seconds: float
    at_once: int
    fresh: bool = True
    turns: dict[str, list[str]] | None = None
    core: int | None = None

    def run(self) -> "Told":
        """Send it from a process of its own."""
        command = [sys.executable, "-m", "tests.bench.edge_client", json.dumps(asdict(self))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return Told(**json.loads(done.stdout))


@dataclass(frozen=True)
class Told:
    """How many were answered in how many seconds, and milliseconds as the client sees them."""

    answers: int
    seconds: float
    p50: float
    p99: float

    @classmethod
    def of(cls, milliseconds: list[float], seconds: float) -> Self:
        return cls(len(milliseconds), seconds, *(float(np.quantile(milliseconds, share)) for share in (0.5, 0.99)))


class Connection(asyncio.Protocol):
    """Sends the next request when the last one is answered, until the time is over."""

    def __init__(self, requests: Iterator[bytes], ends: float, taken: list[float]) -> None:
        self._requests, self._ends, self._taken = requests, ends, taken
        self._seen = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self._seen[:2_000].decode(errors="replace")))
            self._transport.close()
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= length:
            self._taken.append(1000 * (time.perf_counter() - self._sent_at))
            self._seen = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the service closed the connection"))

    def _next(self) -> None:
        self._sent_at = time.perf_counter()
        if self._sent_at < self._ends:
            self._transport.write(next(self._requests))
        else:
            self.done.set_result(None)
            self._transport.close()


async def _drive(plan: Plan) -> Told:
    loop = asyncio.get_running_loop()
    requests, taken, started = _requests(plan), list[float](), time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Connection(requests, started + plan.seconds, taken), "127.0.0.1", plan.port
        )
        for _ in range(plan.at_once)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    return Told.of(taken, time.perf_counter() - started)


def _requests(plan: Plan) -> Iterator[bytes]:
    directory = Path(plan.directory)
    images = [path.read_bytes() for path in sorted((directory / "images").iterdir())]
    key, salt, number = (directory / KEY_FILE).read_text(), time.time_ns(), 0
    turns = plan.turns or {}
    while True:
        image = images[number % len(images)]
        fields = {**plan.fields, **{name: values[number % len(values)] for name, values in turns.items()}}
        yield post(plan.path, key, fields, unlike(image, salt + number) if plan.fresh else image)
        number += 1


def main() -> None:
    plan: dict[str, Any] = json.loads(sys.argv[1])
    asked = Plan(**plan)
    if asked.core is not None:
        import psutil

        psutil.Process().cpu_affinity([asked.core])
    print(json.dumps(asdict(asyncio.run(_drive(asked)))))


if __name__ == "__main__":
    main()
