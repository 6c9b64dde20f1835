"""A tenant's world for the dispatcher's tests: a real database, a real object store, a real base, a real set."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import SecretStr

from heddle_infra.database import adapters, bases, datasets, erasures, factor_sets, jobs, tenants, usage
from heddle_infra.database.engine import Database
from heddle_infra.memory import MemoryCache
from heddle_infra.s3 import S3ObjectStore
from heddle_infra.signing import Signer
from heddle_platform import keys
from heddle_platform.base.bundle import BaseBundle, default_bundle_path, load_bundle
from heddle_platform.base.rendered import LabelledSet, labelled_set
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import parse_factor_set
from heddle_platform.ids import new_id
from heddle_platform.records import AdapterVersion, Base, CardKind, Dataset, FactorSetVersion, Job, JobType, Tenant
from heddle_platform.settings import DispatchSettings, LimitSettings, RaySettings, TrackingSettings
from heddle_workers.cluster import Cluster, Request, Result, Task
from heddle_workers.dispatch import Dispatcher
from heddle_workers.drift_job import DriftCheckWork
from heddle_workers.erasure_job import ErasureWork
from heddle_workers.evaluate_job import EvaluateWork
from heddle_workers.export_job import ExportWork
from heddle_workers.fit_job import FitWork
from heddle_workers.pretrain_job import PretrainWork
from heddle_workers.progress import Report
from heddle_workers.refit_job import RefitWork
from heddle_workers.rewrite import Rewriter
from heddle_workers.sweep_job import SweepWork
from heddle_workers.validation_job import ValidationWork
from heddle_workers.work import Work
from tests.set_rows import set_rows

from .conftest import packed
from .polling import until_told

QUICK = DispatchSettings(lease_seconds=5, heartbeat_seconds=0.1, poll_seconds=0.05, jobs_in_flight=4)
FACTORS = ("hair_color", "background")
SIGNER = Signer(SecretStr("a secret of these tests, long enough"))
_FINAL = ("succeeded", "awaiting_approval", "failed", "cancelled")


class CountingCluster(Cluster):
    """A cluster that remembers the names of the tasks it was asked to run, and how many it was to cancel."""

    def __init__(self, settings: RaySettings) -> None:
        super().__init__(settings)
        self.ran: list[str] = []
        self.cancels = 0

    async def run(
        self,
        task: Task[Request, Result],
        request: Request,
        report: Report,
        *,
        cpus: float | None = None,
        gpus: float = 0.0,
        told: Callable[[Any], Awaitable[None]] | None = None,
    ) -> Result:
        self.ran.append(task.__name__)
        return await super().run(task, request, report, cpus=cpus, gpus=gpus, told=told)

    async def _cancel(self, submitted: asyncio.Future[Any]) -> None:
        self.cancels += 1
        await super()._cancel(submitted)


@lru_cache(maxsize=1)
def rendered() -> LabelledSet:
    """Return 120 avatars with labels."""
    return labelled_set(n=120, seed=3, size=64)


@lru_cache(maxsize=1)
def default_bundle() -> BaseBundle:
    """Return the base that is shipped."""
    return load_bundle(default_bundle_path())


def avatar_factors() -> dict[str, Any]:
    """Return the factor set's document."""
    found = rendered()
    levels = dict(zip(found.factors, found.levels, strict=True))
    factors = [{"name": name, "kind": "categorical", "levels": list(levels[name])} for name in FACTORS]
    return {"name": "avatars", "factors": factors}


def avatar_zip(*, break_row: int | None = None, without: Collection[int] = ()) -> bytes:
    """Return the set as an upload.

    Args:
        break_row: this row of labels.csv gets a level that does not exist.
        without: rows that are left out.
    """
    found = rendered()
    columns = [found.factors.index(name) for name in FACTORS]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", *FACTORS])
    for index, row in enumerate(found.labels):
        if index in without:
            continue
        cells = [found.levels[column][row[column]] for column in columns]
        writer.writerow([f"{index}.png", *(["chartreuse"] if index + 2 == break_row else cells[:1]), *cells[1:]])
    images = {f"{index}.png": png for index, png in enumerate(found.images) if index not in without}
    return packed({"labels.csv": table.getvalue().encode(), **images})


@dataclass
class World:
    """Stores, one tenant, one base."""

    database: Database
    objects: S3ObjectStore
    cluster: CountingCluster
    tenant: Tenant
    base: Base
    factors: FactorSetVersion
    cache: MemoryCache = field(default_factory=MemoryCache)
    limits: LimitSettings = field(default_factory=LimitSettings)

    def dispatcher(self, settings: DispatchSettings = QUICK, works: dict[JobType, Work] | None = None) -> Dispatcher:
        """Return a dispatcher of this world."""
        fits = FitWork(
            self.database, self.objects, self.cache, self.cluster, self.limits, chunk_rows=settings.chunk_rows
        )
        real: dict[JobType, Work] = {
            "validate": ValidationWork(self.database, self.objects, self.cluster, self.limits),
            "fit": fits,
            "refit": RefitWork(self.database, fits),
            "evaluate": EvaluateWork(self.database, self.objects, self.cluster, self.limits),
            "export": ExportWork(self.database, self.objects, self.cluster, self.limits),
            "drift_check": DriftCheckWork(self.database, self.cluster),
            "pretrain": PretrainWork(self.database, self.objects, self.cache, self.cluster, TrackingSettings()),
            "sweep": SweepWork(self.database, self.objects, self.cluster),
            "erase": self.erasures(),
        }
        return Dispatcher(self.database, works or real, settings, owner=new_id("req"))

    def erasures(self, kind: type[ErasureWork] = ErasureWork) -> ErasureWork:
        """Return what erases in this world."""
        rewriter = Rewriter(self.database, self.objects, self.cluster, self.limits)
        return kind(self.database, self.objects, self.cache, rewriter, SIGNER, settle_seconds=0.0)

    async def queue_erasure(self, *images: bytes) -> Job:
        """Ask for pictures to be erased."""
        spec = {"images": [sha256_hex(image) for image in images], "key_id": "key_test"}
        async with self.database.platform_transaction() as session:
            return await erasures.create(session, self.tenant.id, spec)

    async def upload(self, data: bytes) -> tuple[Dataset, Job]:
        """Do what the control plane does when a set is registered: rows, and the uploaded bytes."""
        upload_id = new_id("up")
        await asyncio.to_thread(self.objects.put, keys.upload(self.tenant.id, upload_id), data)
        async with self.database.platform_transaction() as session:
            dataset = await set_rows(
                session,
                self.factors,
                name="avatars",
                upload_id=upload_id,
                size_bytes=len(data),
                sha256=sha256_hex(data),
            )
            spec = {"dataset_id": dataset.id, "upload_id": upload_id, **self._factor_spec()}
            job = await jobs.create(session, self.tenant.id, job_type="validate", spec=spec, dataset_id=dataset.id)
        return dataset, job

    async def other_factors(self) -> FactorSetVersion:
        """Register a factor set that does not know the levels of the world's labels."""
        factors = [{"name": FACTORS[0], "kind": "categorical", "levels": ["chartreuse", "mauve"]}]
        async with self.database.platform_transaction() as session:
            document = parse_factor_set({"name": "others", "factors": factors})
            return await factor_sets.register(session, self.tenant.id, document)

    async def queue_fit(
        self,
        dataset: Dataset,
        adapter: str = "avatars",
        *,
        waiting: bool = False,
        card: CardKind = "full",
        factors: FactorSetVersion | None = None,
    ) -> Job:
        """Queue a fit; `waiting` until the set is validated."""
        spec: dict[str, Any] = {
            "adapter": adapter,
            "dataset_id": dataset.id,
            "base_id": self.base.id,
            "base_digest": self.base.digest,
            "base_name": self.base.name,
            **self._factor_spec(),
        }
        if card == "brief":
            spec["card"] = card
        if factors is not None:
            spec |= {"factor_set_id": factors.id, "factor_set_version": factors.version}
        async with self.database.platform_transaction() as session:
            return await jobs.create(
                session,
                self.tenant.id,
                job_type="fit",
                spec=spec,
                dataset_id=dataset.id,
                status="validating" if waiting else "queued",
            )

    async def job(self, job_id: str) -> Job:
        async with self.database.platform_transaction() as session:
            return await jobs.get(session, self.tenant.id, job_id)

    async def dataset(self, dataset_id: str) -> Dataset:
        async with self.database.platform_transaction() as session:
            return await datasets.resolve(session, self.tenant.id, dataset_id)

    async def versions(self, adapter: str = "avatars") -> list[AdapterVersion]:
        async with self.database.platform_transaction() as session:
            found = await adapters.resolve(session, self.tenant.id, adapter)
            return (await adapters.list_versions(session, self.tenant.id, found.id, limit=100, after=None))[0]

    async def events(self, job_id: str) -> list[str]:
        async with self.database.platform_transaction() as session:
            return [event.type for event in await jobs.events(session, job_id, after=0, limit=100)]

    async def counted(self) -> dict[str, int]:
        """Return what was counted of the tenant in all hours."""
        async with self.database.platform_transaction() as session:
            hours, _ = await usage.hours(session, self.tenant.id, since=None, until=None, limit=100, after=None)
        total: Counter[str] = Counter()
        for hour in hours:
            total.update(hour.amounts)
        return dict(total)

    async def until(self, job_id: str, *statuses: str) -> Job:
        """Wait until a job has one of these statuses; final ones where none are given."""

        async def ended() -> Job | None:
            job = await self.job(job_id)
            return job if job.status in (statuses or _FINAL) else None

        return await until_told(ended, seconds=120)

    async def stored(self) -> list[str]:
        """Return the keys of everything of the tenant, without its prefix."""
        prefix = keys.tenant_prefix(self.tenant.id)
        found = await asyncio.to_thread(lambda: [info.key for info in self.objects.list(prefix)])
        return [key.removeprefix(prefix) for key in found]

    def _factor_spec(self) -> dict[str, Any]:
        return {"factor_set_id": self.factors.id, "factor_set_version": self.factors.version}


async def new_world(database: Database, objects: S3ObjectStore, cluster: CountingCluster) -> World:
    """Begin, in an empty database, with one tenant, the shipped base and a factor set."""
    bundle = default_bundle()
    for file, data in bundle.all_files().items():
        key = keys.base_file(bundle.manifest.name, bundle.digest, file)
        if await asyncio.to_thread(objects.head, key) is None:
            await asyncio.to_thread(objects.put, key, data)
    async with database.platform_transaction() as session:
        tenant = await tenants.create_tenant(session, "acme")
        base, _ = await bases.publish(session, name=bundle.manifest.name, digest=bundle.digest, manifest={})
        factors = await factor_sets.register(session, tenant.id, parse_factor_set(avatar_factors()))
    cluster.ran.clear()
    return World(database, objects, cluster, tenant, base, factors)


@asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[asyncio.Event]:
    """Run a dispatcher in the background; stop it in good order at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await task
