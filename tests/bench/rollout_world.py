"""Tenants for the rollout's bench: stored sets, fitted predecessors and rows, put where the platform would put them.

Fitting a thousand predecessors would take as long as the rollout itself, so some dozen sets are fitted for real, and
every tenant gets a copy of one of them under its own prefix: its own rows, its own objects, its own latents to be made.
"""

import asyncio
import io
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from heddle_infra.database import adapters, bases, datasets, factor_sets, jobs, tenants, versions
from heddle_infra.database.engine import Database
from heddle_infra.database.versions import NewVersion
from heddle_platform import keys
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.base.rendered import labelled_set
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import pack_latents
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.ports import ObjectStore
from heddle_platform.settings import LimitSettings
from heddle_workers.encode import encode_rows
from heddle_workers.fit import fit_set
from heddle_workers.fitted import Fitted
from heddle_workers.image_set import open_image_set
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips
from tests.set_rows import set_rows

ADAPTER = "avatars"
_AT_ONCE = 8


@dataclass(frozen=True)
class StoredSet:
    """A labelled set as stored, its predecessor as fitted, and the processor seconds that one fit took."""

    document: dict[str, Any]
    archive: bytes
    manifest: Manifest
    latents: bytes
    fitted: Fitted
    fit_cpu_seconds: float


def stored_set(bundle: BaseBundle, rows: int, seed: int, factors: Sequence[str]) -> StoredSet:
    """Render a set of avatars, encode it and fit it on a base."""
    found = labelled_set(n=rows, seed=seed, size=64)
    columns = [found.factors.index(name) for name in factors]
    document = {
        "name": ADAPTER,
        "factors": [
            {"name": name, "kind": "categorical", "levels": list(found.levels[column])}
            for name, column in zip(factors, columns, strict=True)
        ],
    }
    labels = [
        {name: found.levels[column][row[column]] for name, column in zip(factors, columns, strict=True)}
        for row in found.labels
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        lines = [",".join(("file", *factors)), *(f"{i}.png," + ",".join(row.values()) for i, row in enumerate(labels))]
        archive.writestr("labels.csv", "\n".join(lines))
        for index, png in enumerate(found.images):
            archive.writestr(f"{index}.png", png)
    data = buffer.getvalue()
    images = tuple(
        ManifestImage(file=f"{index}.png", sha256=sha256_hex(png), labels=row)
        for index, (png, row) in enumerate(zip(found.images, labels, strict=True))
    )
    manifest = Manifest(images=sha256_hex(data), rows=images)
    runtime, factor_set = BaseRuntime.from_bundle(bundle), parse_factor_set(document)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with open_image_set(file, manifest.files, LimitSettings()) as opened:
            latents_NL = encode_rows(opened, range(rows), runtime, silent)
            started = time.process_time()
            trips = RoundTrips(runtime, opened, latents_NL, 1)
            fitted = fit_set(manifest.table(factor_set), factor_set, trips, silent)
            seconds = time.process_time() - started
    return StoredSet(document, data, manifest, pack_latents(latents_NL), fitted, seconds)


async def settle_tenants(database: Database, objects: ObjectStore, sets: Sequence[StoredSet], count: int) -> list[str]:
    """Make tenants, each with a set, a predecessor and `production` on it; return their ids."""
    async with database.platform_transaction() as session:
        base = await bases.resolve(session, "default")
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int) -> str:
        async with gate:
            return await _settle(database, objects, sets[index % len(sets)], f"bench-{index}", base.id, base.digest)

    return list(await asyncio.gather(*(one(index) for index in range(count))))


async def _settle(
    database: Database, objects: ObjectStore, stored: StoredSet, name: str, base_id: str, base_digest: str
) -> str:
    digest, fitted = stored.manifest.images, stored.fitted
    async with database.platform_transaction() as session:
        tenant = await tenants.create_tenant(session, name)
        factors = await factor_sets.register(session, tenant.id, parse_factor_set(stored.document))
        dataset = await set_rows(session, factors, name=ADAPTER, size_bytes=len(stored.archive), sha256=digest)
        await datasets.finish_validation(
            session, tenant.id, dataset.id, report={}, digest=digest, images=len(stored.manifest.rows)
        )
        job = await jobs.create(
            session, tenant.id, job_type="fit", spec={}, dataset_id=dataset.id, status="awaiting_approval"
        )
        await jobs.close(session, job.id, status="succeeded", result={})
        new = NewVersion(
            adapter_name=ADAPTER,
            digest=fitted.digest,
            base_id=base_id,
            base_digest=base_digest,
            factor_set_id=factors.id,
            factor_set_version=factors.version,
            dataset_id=dataset.id,
            verdict=fitted.verdict,
            gate=fitted.gate,
            card=fitted.card,
            files={file: sha256_hex(data) for file, data in fitted.files.items()},
        )
        version = await versions.add_version(session, tenant.id, job.id, new, status="approved")
        await adapters.move_alias(
            session, tenant.id, version.adapter_id, adapters.PRODUCTION, 1, if_match=None, checked=False
        )

    def put() -> None:
        objects.put(keys.dataset_images(tenant.id, digest), stored.archive)
        objects.put(keys.dataset_manifest(tenant.id, digest), stored.manifest.to_bytes())
        objects.put(keys.latents(tenant.id, digest, base_digest), stored.latents)
        for file, data in fitted.files.items():
            objects.put(keys.adapter_file(tenant.id, fitted.digest, file), data)

    await asyncio.to_thread(put)
    return tenant.id
