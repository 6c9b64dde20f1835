"""A control plane in this process over real PostgreSQL, tenants that talk to it, and a worker played by hand."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from heddle_api.auth import mint_key
from heddle_api.control.app import create_app
from heddle_infra.database import bases, datasets, jobs, queue, versions
from heddle_infra.database.engine import Database
from heddle_infra.database.versions import NewVersion
from heddle_infra.memory import MemoryCache, MemoryObjectStore
from heddle_infra.wiring import Ports
from heddle_platform import keys
from heddle_platform.digest import json_digest, sha256_hex
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.records import GateVerdict, Job, JobError
from heddle_platform.settings import (
    CacheSettings,
    DatabaseSettings,
    DispatchSettings,
    LimitSettings,
    ObjectStoreSettings,
    SecuritySettings,
    ServiceSettings,
    Settings,
    WebhookSettings,
)
from tests.api.tiny_editor import tiny_parts

FACTORS: dict[str, Any] = {
    "name": "avatars",
    "factors": [
        {"name": "glasses", "kind": "categorical", "levels": ["none", "round"]},
        {"name": "smile", "kind": "binary"},
    ],
}
SECRET = "a secret of these tests, long enough"
EDGE_URL = "http://edge.test:8001"
PART_BYTES = 5 * 1024**2


def settings_for(postgres_url: str, admin_key: str, *, poll_seconds: float = 0.02) -> Settings:
    """Settings whose object store and cache are never connected to: the ports are in memory."""
    nowhere = SecretStr("unused")
    return Settings(
        database=DatabaseSettings(database_url=SecretStr(postgres_url)),
        objects=ObjectStoreSettings(s3_endpoint_url="http://127.0.0.1:1", s3_access_key=nowhere, s3_secret_key=nowhere),
        cache=CacheSettings(redis_url=SecretStr("redis://127.0.0.1:1")),
        security=SecuritySettings(secret_key=SecretStr(SECRET), admin_key=SecretStr(admin_key)),
        limits=LimitSettings(upload_part_bytes=PART_BYTES, upload_max_bytes=8 * PART_BYTES),
        dispatch=DispatchSettings(),
        service=ServiceSettings(edge_url=EDGE_URL),
        webhooks=WebhookSettings(
            webhook_allow_loopback=True,
            webhook_first_retry_seconds=0.01,
            webhook_longest_retry_seconds=0.05,
            webhook_max_attempts=4,
            webhook_poll_seconds=poll_seconds,
            webhook_timeout_seconds=2.0,
        ),
    )


@dataclass
class World:
    """One control plane, its ports, and its operator."""

    app: FastAPI
    state: dict[str, Any]
    ports: Ports
    objects: MemoryObjectStore
    cache: MemoryCache
    admin: httpx.AsyncClient
    admin_key: str

    def client(self, api_key: str | None) -> httpx.AsyncClient:
        """Return a client of the plane with this key."""

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = dict(self.state)  # as a server does with what the lifespan yields
            await self.app(scope, receive, send)

        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        transport = httpx.ASGITransport(with_state)
        return httpx.AsyncClient(transport=transport, base_url="http://control.test", headers=headers)

    async def tenant(self, name: str = "acme") -> "Person":
        """Make a tenant and return a client with its first key."""
        made = (await self.admin.post("/v1/admin/tenants", json={"name": name})).json()
        return Person(self, made["id"], made["api_key"], self.client(made["api_key"]))

    async def publish_base(self, name: str = "tiny", alias: str = "default") -> str:
        """Make a base known by its row and its two graphs; publishing through the API has tests of its own."""
        _, encoder, decoder = tiny_parts()
        graphs = {"encoder.onnx": encoder, "decoder.onnx": decoder}
        files = {file: sha256_hex(data) for file, data in graphs.items()}
        manifest = {"name": name, "image_size": 64, "latents": 8, "files": files}
        for file, data in graphs.items():
            self.objects.put(keys.base_file(name, json_digest([name, alias]), file), data)
        async with self.ports.database.platform_transaction() as session:
            base, _ = await bases.publish(session, name=name, digest=json_digest([name, alias]), manifest=manifest)
            await bases.set_alias(session, alias, base.id)
        return base.id


@asynccontextmanager
async def open_world(
    postgres_url: str, objects: MemoryObjectStore | None = None, *, poll_seconds: float = 0.02
) -> AsyncIterator[World]:
    """Start a control plane; `poll_seconds`: how often it looks for webhooks to send."""
    admin_key = mint_key().plaintext
    settings = settings_for(postgres_url, admin_key, poll_seconds=poll_seconds)
    objects, cache = objects or MemoryObjectStore(), MemoryCache()
    ports = Ports(settings, Database(settings.database), objects, cache)
    app = create_app(ports)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        world = World(app, dict(state), ports, objects, cache, httpx.AsyncClient(), admin_key)
        world.admin = world.client(admin_key)
        while (await world.admin.get("/readyz")).status_code != 200:
            pass
        yield world
    await ports.close()


@dataclass
class Person:
    """A tenant with its key; every step asserts that it was taken."""

    world: World
    id: str
    key: str
    http: httpx.AsyncClient

    async def get(self, path: str, **options: Any) -> Any:
        """GET a document."""
        answer = await self.http.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """POST a document."""
        answer = await self.http.post(path, json=body, **options)
        assert answer.is_success, answer.text
        return answer.json()

    async def upload(self, data: bytes = b"a zip", *, http: httpx.AsyncClient | None = None) -> str:
        """Upload bytes through presigned URLs."""
        return await upload(self.world, http or self.http, data)

    async def dataset(self, data: bytes = b"a zip", name: str = "spring", factors: Any = None) -> str:
        """Register the factor set and a labelled set that is still to be validated."""
        factor_set = await self.post("/v1/factor_sets", factors or FACTORS)
        body = {"name": name, "factor_set": factor_set["name"], "upload": await self.upload(data)}
        return str((await self.post("/v1/datasets", body))["id"])

    async def ready_dataset(self, data: bytes = b"a zip", name: str = "spring") -> str:
        """Register a labelled set and play the worker that finds it valid."""
        dataset = await self.dataset(data, name)
        await self.validated(dataset, data)
        return dataset

    async def validated(self, dataset: str, data: bytes | None, images: int = 3) -> None:
        """Play the worker that validates: `data` None rejects the set."""
        job = next(job for job in await claim_all(self.world) if job.spec.get("dataset_id") == dataset)
        digest = sha256_hex(data) if data is not None else None
        if digest is not None and data is not None:
            rows = tuple(
                ManifestImage(file=f"{row}.png", sha256=sha256_hex(b"%d" % row), labels={"smile": str(row % 2)})
                for row in range(images)
            )
            manifest = Manifest(images=digest, rows=rows, unlabelled=(ManifestImage(file="x.png", sha256="0" * 64),))
            self.world.objects.put(keys.dataset_manifest(self.id, digest), manifest.to_bytes())
            self.world.objects.put(keys.dataset_images(self.id, digest), data)
        fault = {
            "pointer": "/labels.csv/3/glasses",
            "code": "unknown_level",
            "detail": "no",
            "row": 3,
            "column": "glasses",
        }
        report = {
            "valid": digest is not None,
            "fault_count": 0 if digest else 1,
            "errors": [] if digest else [fault],
            "warnings": [],
            "levels": {"smile": {"off": 2, "on": 1}},
        }
        error = None if digest else JobError(code="dataset_rejected", message="the set has 1 fault")
        async with self.world.ports.database.platform_transaction() as session:
            await queue.fence(session, job.id, job.attempt)
            await datasets.finish_validation(
                session, self.id, dataset, report=report, digest=digest, images=images if digest else None
            )
            await jobs.close(session, job.id, status="succeeded")
            await jobs.release_waiting(session, dataset, error=error)

    async def queue_fit(self, dataset: str, adapter: str = "avatars") -> str:
        """Queue a fit on the default base."""
        body = {"type": "fit", "adapter": adapter, "factor_set": "avatars", "dataset": dataset, "base": "default"}
        return str((await self.post("/v1/jobs", body))["id"])

    async def queue_two_fits(self) -> tuple[str, str]:
        """Queue two fits on one ready set."""
        await self.world.publish_base()
        dataset = await self.ready_dataset()
        return await self.queue_fit(dataset), await self.queue_fit(dataset)

    async def fitted(self, adapter: str = "avatars", verdict: GateVerdict = "needs_approval") -> int:
        """Go the whole way to a fitted version, the fit played by hand; return the version's number."""
        await self.world.publish_base()
        data = adapter.encode() + b" set"
        dataset = await self.ready_dataset(data, name=f"for-{adapter}")
        job_id = await self.queue_fit(dataset, adapter)
        job = next(job for job in await claim_all(self.world) if job.id == job_id)
        return await finish_fit(self.world, job, verdict)


async def upload(world: World, http: httpx.AsyncClient, data: bytes, sha256: str | None = None) -> str:
    """Announce, send and complete an upload."""
    digest = sha256 or hashlib.sha256(data).hexdigest()
    begun = (await http.post("/v1/uploads", json={"filename": "set.zip", "bytes": len(data), "sha256": digest})).json()
    parts = [
        {
            "number": part["number"],
            "etag": world.objects.follow_put(
                part["url"], data[part["first_byte"] : part["first_byte"] + part["bytes"]]
            ),
        }
        for part in begun["parts"]
    ]
    done = await http.post(f"/v1/uploads/{begun['id']}/complete", json={"parts": parts})
    assert done.status_code == 200, done.text
    return str(begun["id"])


async def claim_all(world: World) -> list[Job]:
    """Lease every waiting job, as a dispatcher would."""
    async with world.ports.database.platform_transaction() as session:
        return await queue.claim(session, owner="test", limit=1000, lease_seconds=300, max_attempts=5)


async def finish_fit(
    world: World, job: Job, verdict: GateVerdict, *, pack: bytes | None = None, matrices: bytes | None = None
) -> int:
    """Play the worker that ends a fit: files first (`pack`: the lesser ones), then its rows in one transaction."""
    spec = job.spec
    matrices = matrices or b"matrices of " + job.id.encode()
    contents = {
        "adapter.npz": matrices,
        "adapter.onnx": b"graph",
        "editor.core": tiny_parts()[0],
        "card.html": b"<!doctype html><title>card</title>",
        "playbook.html": b"<!doctype html><title>playbook</title>",
    }
    if pack is not None:
        contents = {"adapter.npz": matrices, "files.zip": pack}
    digest = sha256_hex(matrices)
    for file, data in contents.items():
        world.objects.put(keys.adapter_file(job.tenant, digest, file), data)
    new = NewVersion(
        adapter_name=spec["adapter"],
        digest=digest,
        base_id=spec["base_id"],
        base_digest=spec["base_digest"],
        factor_set_id=spec["factor_set_id"],
        factor_set_version=spec["factor_set_version"],
        dataset_id=spec["dataset_id"],
        verdict=verdict,
        gate={"reasons": ["glasses reads .50, .70 is needed"]},
        card={"adapter": spec["adapter"], "accuracy": 0.9},
        files={file: sha256_hex(data) for file, data in contents.items()},
    )
    final = {"pass": "succeeded", "needs_approval": "awaiting_approval", "fail": "failed"}[verdict]
    async with world.ports.database.platform_transaction() as session:
        await queue.fence(session, job.id, job.attempt)
        version = await versions.add_version(session, job.tenant, job.id, new)
        result = {"adapter": spec["adapter"], "version": version.version, "card": new.card}
        await jobs.close(session, job.id, status=final, result=result)  # type: ignore[arg-type]
    return version.version


def events_of(stream: str) -> list[dict[str, Any]]:
    """Parse server-sent events."""
    found = []
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            found.append({"id": fields.get("id"), "event": fields["event"], "data": json.loads(fields["data"])})
    return found
