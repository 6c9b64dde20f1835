"""The world of an edge under test: real base, really fitted adapters, ports in memory, no database."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import digest_of, pack
from heddle_adapters.fit import fit_adapter
from heddle_api.auth import mint_key
from heddle_api.edge.app import EdgePorts, create_app
from heddle_api.edge.drift import DriftSink
from heddle_api.meter import UsageSink
from heddle_infra.database.serving import ServedBase, ServedKey, ServedVersion, ServingSnapshot
from heddle_infra.memory import MemoryCache, MemoryObjectStore
from heddle_platform import keys, pixels
from heddle_platform.base import rendered
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.errors import Unavailable
from heddle_platform.factors import FactorSet, LevelledFactor, parse_factor_set
from heddle_platform.ports import Cache, Looked
from heddle_platform.rate import Rate, Taken
from heddle_platform.settings import CacheSettings, LimitSettings, SecuritySettings, ServiceSettings

LABELS = 300
TENANT, OTHER = "ten_01jd00000000000000000000aa", "ten_01jd00000000000000000000bb"


@dataclass
class ListedSource:
    """A `SnapshotSource` that says what the test wrote down; `away` makes it Unavailable."""

    now: ServingSnapshot
    away: bool = False
    fresh_keys: dict[str, tuple[ServedKey, int]] = field(default_factory=dict)
    lookups: int = 0
    stamped: str | None = None
    snapshots: int = 0

    async def snapshot(self) -> ServingSnapshot:
        self._answer()
        self.snapshots += 1
        return self.now

    async def stamp(self) -> str | None:
        self._answer()
        return self.stamped

    async def find_key(self, key_hash: str) -> tuple[ServedKey, int] | None:
        self._answer()
        self.lookups += 1
        return self.fresh_keys.get(key_hash)

    def change(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("the database cannot be reached")


class FlakyCache(MemoryCache):
    """A cache that can be taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def get(self, key: str) -> bytes | None:
        if self.away:
            raise Unavailable("the cache cannot be reached")
        return await super().get(key)

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        if self.away:
            raise Unavailable("the cache cannot be reached")
        return await super().take(key, rate, requests)

    async def look(self, first: str, second: str, claim: str, *, ttl_seconds: float) -> Looked:
        if self.away:
            raise Unavailable("the cache cannot be reached")
        return await super().look(first, second, claim, ttl_seconds=ttl_seconds)

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        if self.away:
            raise Unavailable("the cache cannot be reached")
        await super().set(key, value, ttl_seconds=ttl_seconds)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A labelled set, and the adapter fitted on its first rows."""

    factor_set: FactorSet
    images: list[bytes]
    latents_NL: NDArray[np.float32]
    labels_NF: NDArray[np.int16]
    adapter: Adapter
    data: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    def level(self, row: int, factor: str) -> str:
        index = self.factor_set.names.index(factor)
        found = self.factor_set.factors[index]
        assert isinstance(found, LevelledFactor)
        return found.level_names[int(self.labels_NF[row, index])]


def fit_demo(runtime: BaseRuntime) -> Fitted:
    """Render the demo's avatars and fit an adapter on them, with `mouth` refused."""
    drawn = rendered.labelled_set("micah", n=LABELS + 20, seed=5, size=96)
    factors = [
        {"name": name, "kind": "categorical", "levels": list(levels)}
        for name, levels in zip(drawn.factors, drawn.levels, strict=True)
    ]
    factor_set = parse_factor_set({"name": "avatars", "factors": factors})
    small = [
        pixels.resize(pixels.decode(data, max_bytes=10**6, max_pixels=10**6), runtime.image_size)
        for data in drawn.images
    ]
    latents_NL = runtime.encode(np.stack(small))
    adapter = fit_adapter(
        latents_NL[:LABELS].astype(np.float64),
        drawn.labels[:LABELS].astype(np.float64),
        factor_set,
        base_digest=runtime.digest,
    ).with_refused(["mouth"])
    return Fitted(factor_set, drawn.images, latents_NL, drawn.labels, adapter, pack(adapter))


def fit_kinds() -> Adapter:
    """An adapter with a factor of each kind, fitted on made latents."""
    factor_set = parse_factor_set(
        {
            "name": "kinds",
            "factors": [
                {"name": "smile", "kind": "binary"},
                {"name": "hat", "kind": "categorical", "levels": ["none", "cap", "fez"]},
                {"name": "size", "kind": "ordinal", "levels": ["s", "m", "l", "xl"]},
                {"name": "age", "kind": "continuous", "range": [0, 90]},
                {"name": "hue", "kind": "periodic", "period": 360},
            ],
        }
    )
    generator = np.random.default_rng(0)
    values_NF = np.stack(
        [
            generator.integers(0, 2, 400),
            generator.integers(0, 3, 400),
            generator.integers(0, 4, 400),
            generator.uniform(0, 90, 400),
            generator.uniform(0, 360, 400),
        ],
        axis=1,
    ).astype(np.float64)
    angle_N = values_NF[:, 4] * np.pi / 180
    signal_NS = np.column_stack([values_NF[:, 0], np.eye(3)[values_NF[:, 1].astype(int)], values_NF[:, 2]])
    signal_NS = np.column_stack([signal_NS, values_NF[:, 3] / 30, np.cos(angle_N), np.sin(angle_N)])
    latents_NL = signal_NS @ generator.normal(size=(8, 16)) + 0.3 * generator.normal(size=(400, 16))
    return fit_adapter(latents_NL, values_NF, factor_set, base_digest="b" * 64)


@dataclass(eq=False)
class World:
    """Everything outside the edge, and what a caller holds."""

    source: ListedSource
    objects: MemoryObjectStore
    cache: FlakyCache
    fitted: Fitted
    keys: dict[str, str]
    limits: LimitSettings
    usage: UsageSink | None = None
    drift: DriftSink | None = None
    near_bytes: int = 1_000_000

    def headers(self, who: str = "tenant") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[who]}"}

    def store(self, adapter: Adapter, tenant_id: str = TENANT) -> str:
        data = pack(adapter)
        self.objects.put(keys.adapter_file(tenant_id, digest_of(data), "adapter.npz"), data)
        return digest_of(data)

    def ports(self, cache: Cache | None = None) -> EdgePorts:
        return EdgePorts(
            self.source,
            self.objects,
            cache or self.cache,
            CacheSettings(redis_url=SecretStr("redis://unused"), cache_near_bytes=self.near_bytes),
            SecuritySettings(secret_key=SecretStr("a secret of the tests")),
            self.limits,
            ServiceSettings(control_url="http://127.0.0.1:8000", edge_poll_seconds=0.05),
            usage=self.usage,
            drift=self.drift,
        )


def make_world(bundle: BaseBundle, fitted: Fitted) -> World:
    """A world with one tenant's adapter `avatars`, version 1 in production, and a tenant that has none."""
    objects = MemoryObjectStore()
    for file, data in bundle.all_files().items():
        objects.put(keys.base_file("default", bundle.digest, file), data)
    minted = {who: mint_key() for who in ("tenant", "other", "reader", "admin")}
    served = {
        minted["tenant"].hash: ServedKey("key_tenant", TENANT, ("edits", "data"), None),
        minted["other"].hash: ServedKey("key_other", OTHER, ("edits",), None),
        minted["reader"].hash: ServedKey("key_reader", TENANT, ("data",), None),
        minted["admin"].hash: ServedKey("key_admin", None, ("admin", "edits"), None),
    }
    snapshot = ServingSnapshot(
        versions=(ServedVersion(TENANT, "ada_1", "avatars", 1, fitted.digest, bundle.digest),),
        aliases={(TENANT, "avatars", "production"): 1},
        keys=served,
        epochs={TENANT: 1, OTHER: 1},
        bases={bundle.digest: ServedBase("bas_1", "default", bundle.digest)},
        base_aliases={"default": bundle.digest},
    )
    made = World(
        ListedSource(snapshot),
        objects,
        FlakyCache(),
        fitted,
        {who: key.plaintext for who, key in minted.items()},
        LimitSettings(image_max_bytes=2_000_000, image_max_pixels=1_000_000),
    )
    made.store(fitted.adapter)
    return made


class Edge(httpx.AsyncClient):
    """A caller of an edge that runs in this process."""

    world: World
    state: dict[str, Any]

    async def edit(
        self, image: bytes, *, who: str = "tenant", accept: str | None = None, **edit: Any
    ) -> httpx.Response:
        document = {"adapter": "avatars", **edit}
        headers = self.world.headers(who) | ({"Accept": accept} if accept else {})
        form = {"edit": json.dumps(document)}
        return await self.post("/v1/edits", files={"image": ("face.png", image)}, data=form, headers=headers)


@asynccontextmanager
async def running_edge(world: World) -> AsyncIterator[Edge]:
    """Start an edge in `world` and give its caller."""

    @asynccontextmanager
    async def ports() -> AsyncIterator[EdgePorts]:
        yield world.ports()

    app = create_app(ports)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        loader = state["readiness"]
        await loader.refresh()
        async with caller_of(app, dict(state), world) as edge:
            yield edge


@asynccontextmanager
async def caller_of(app: FastAPI, state: dict[str, Any], world: World) -> AsyncIterator[Edge]:
    """Give the caller of an edge that was started with this lifespan state."""
    transport = httpx.ASGITransport(app=_with_state(app, state))
    async with Edge(transport=transport, base_url="http://edge") as edge:
        edge.world, edge.state = world, state
        yield edge


def _with_state(app: FastAPI, state: dict[str, Any]) -> Any:
    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return called
