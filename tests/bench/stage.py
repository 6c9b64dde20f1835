"""A stage for benchmarks of fits: an embedded stack in a folder of its own, tenants, and sets ready to be fitted.

Sets are written as a validation and an encoding would leave them (rows, manifest, latents, and the zip if asked for),
so that a benchmark spends its time on fits. Jobs go through the public API.
"""

import asyncio
import csv
import io
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra import local
from heddle_infra.database import datasets, factor_sets
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys, pixels
from heddle_platform.base import rendered
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import pack_latents
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings
from tests.conftest import RunningStack, new_data_dir, running_stack, start_up
from tests.set_rows import set_rows

T = TypeVar("T")
SIZE = 64
FACTORS = 4


@dataclass(frozen=True)
class Tenant:
    """A tenant and its key."""

    id: str
    key: str


@dataclass(frozen=True)
class Pictures:
    """Rendered avatars, their labels and their latents."""

    images: tuple[bytes, ...]
    levels: tuple[tuple[str, ...], ...]
    labels: NDArray[Any]
    factors: tuple[str, ...]
    latents_NL: NDArray[np.float32]

    @property
    def factor_set(self) -> dict[str, Any]:
        pairs = zip(self.factors, self.levels, strict=True)
        return {
            "name": "avatars",
            "factors": [{"name": name, "kind": "categorical", "levels": list(levels)} for name, levels in pairs],
        }


def draw(count: int, factors: int = FACTORS) -> Pictures:
    """Render and encode avatars."""
    made = rendered.labelled_set(style="micah", n=count, seed=20261124, size=SIZE)
    runtime = BaseRuntime.from_bundle(load_bundle(default_bundle_path()))
    small = np.stack(
        [pixels.resize(pixels.decode(image, max_bytes=10**7, max_pixels=10**7), 64) for image in made.images]
    )
    latents_NL = np.concatenate([runtime.encode(small[start : start + 64]) for start in range(0, count, 64)])
    return Pictures(
        tuple(made.images),
        tuple(tuple(levels) for levels in made.levels[:factors]),
        made.labels[:, :factors],
        tuple(made.factors[:factors]),
        latents_NL,
    )


class Stage:
    """A running stack, driven from outside."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        settings = local.stack_settings(stack.data_dir)
        self._database_url = settings["HEDDLE_DATABASE_URL"]
        self.objects = S3ObjectStore(ObjectStoreSettings.model_validate(stack.object_store))
        self.base_digest = load_bundle(default_bundle_path()).digest

    def tenant(self, name: str = "acme") -> Tenant:
        answer = httpx.post(
            f"{self.stack.control_url}/v1/admin/tenants",
            json={"name": name},
            headers={"Authorization": f"Bearer {self.stack.admin_key}"},
            timeout=30,
        )
        answer.raise_for_status()
        return Tenant(answer.json()["id"], answer.json()["api_key"])

    def client(self, tenant: Tenant) -> httpx.Client:
        headers = {"Authorization": f"Bearer {tenant.key}"}
        return httpx.Client(base_url=self.stack.control_url, headers=headers, timeout=60)

    def database(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own."""

        async def run() -> T:
            opened = Database(DatabaseSettings(database_url=SecretStr(self._database_url)))
            try:
                async with opened.platform_transaction() as session:
                    return await work(session)
            finally:
                await opened.close()

        return asyncio.run(run())

    def ready_sets(
        self, tenant: Tenant, pictures: Pictures, parts: Sequence[NDArray[np.intp]], *, encoded: bool, zipped: bool
    ) -> list[str]:
        """Leave sets as if they had been uploaded, validated and (if `encoded`) fitted once; return their ids."""
        made = [self._objects_of(tenant, pictures, rows, encoded=encoded, zipped=zipped) for rows in parts]

        async def rows(session: AsyncSession) -> list[str]:
            factors = await factor_sets.register(session, tenant.id, parse_factor_set(pictures.factor_set))
            found = []
            for place, (digest, images) in enumerate(made):
                dataset = await set_rows(session, factors, name=f"set-{place}", sha256=digest)
                await datasets.finish_validation(
                    session, tenant.id, dataset.id, report={"valid": True}, digest=digest, images=images
                )
                found.append(dataset.id)
            return found

        return self.database(rows)

    def _objects_of(
        self, tenant: Tenant, pictures: Pictures, rows: NDArray[np.intp], *, encoded: bool, zipped: bool
    ) -> tuple[str, int]:
        archive = archive_of(pictures, rows) if zipped else rows.tobytes()
        digest = sha256_hex(archive)
        images = tuple(
            ManifestImage(
                file=f"{row:05d}.png",
                sha256=sha256_hex(pictures.images[row]),
                labels={
                    name: pictures.levels[index][pictures.labels[row, index]]
                    for index, name in enumerate(pictures.factors)
                },
            )
            for row in rows.tolist()
        )
        self.objects.put(keys.dataset_manifest(tenant.id, digest), Manifest(images=digest, rows=images).to_bytes())
        if zipped:
            self.objects.put(keys.dataset_images(tenant.id, digest), archive)
        if encoded:
            latents = pack_latents(pictures.latents_NL[rows])
            self.objects.put(keys.latents(tenant.id, digest, self.base_digest), latents)
        return digest, len(images)

    def spans(self, job_ids: Sequence[str]) -> list[tuple[str, datetime, datetime | None, datetime | None]]:
        """Return (status, created, started, finished) of jobs, in their order."""

        async def look(session: AsyncSession) -> list[Any]:
            query = "select id, status, created_at, started_at, finished_at from jobs where id = any(:ids)"
            return list((await session.execute(text(query), {"ids": list(job_ids)})).all())

        found = {row[0]: (row[1], row[2], row[3], row[4]) for row in self.database(look)}
        return [found[job_id] for job_id in job_ids]

    def wait(self, job_ids: Sequence[str], seconds: float) -> list[tuple[str, datetime, datetime, datetime]]:
        """Wait until all jobs are over; return their spans. One connection counts them, to disturb little."""
        query = text("select count(*) from jobs where id = any(:ids) and finished_at is null")

        async def look() -> bool:
            opened = Database(DatabaseSettings(database_url=SecretStr(self._database_url)))
            end = time.monotonic() + seconds
            try:
                while time.monotonic() < end:
                    async with opened.platform_transaction() as session:
                        if not await session.scalar(query, {"ids": list(job_ids)}):
                            return True
                    await asyncio.sleep(0.5)
            finally:
                await opened.close()
            return False

        if not asyncio.run(look()):
            raise TimeoutError(f"the fits were not over within {seconds:.0f} s: {self.spans(job_ids[-5:])}")
        return [(status, made, begun or made, ended or made) for status, made, begun, ended in self.spans(job_ids)]


def archive_of(pictures: Pictures, rows: NDArray[np.intp]) -> bytes:
    """Return rows as an upload."""
    table, buffer = io.StringIO(), io.BytesIO()
    writer = csv.writer(table)
    writer.writerow(["file", *pictures.factors])
    with zipfile.ZipFile(buffer, "w") as archive:
        for row in rows.tolist():
            archive.writestr(f"{row:05d}.png", pictures.images[row])
            cells = [pictures.levels[index][pictures.labels[row, index]] for index in range(len(pictures.factors))]
            writer.writerow([f"{row:05d}.png", *cells])
        archive.writestr("labels.csv", table.getvalue())
    return buffer.getvalue()


def post_fit(client: httpx.Client, dataset: str, adapter: str, card: str = "full") -> str:
    """Queue a fit; return its id."""
    body = {"type": "fit", "adapter": adapter, "factor_set": "avatars", "dataset": dataset, "card": card}
    answer = client.post("/v1/jobs", json=body)
    if answer.status_code != 202:
        raise RuntimeError(answer.text)
    return str(answer.json()["id"])


def post_many(client: httpx.Client, wanted: Sequence[tuple[str, str]], card: str, threads: int = 4) -> list[str]:
    """Queue fits of (dataset, adapter) from several threads; return their ids in order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda one: post_fit(client, one[0], one[1], card), wanted))


@contextmanager
def stage() -> Iterator[Stage]:
    """Start a stack, and erase it at the end."""
    data_dir = new_data_dir()
    try:
        yield Stage(running_stack(start_up(data_dir)))
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()
