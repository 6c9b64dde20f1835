"""Shorter sets: a labelled set's objects without some images, written beside those that rows still name."""

import asyncio
from dataclasses import dataclass
from typing import Final

import numpy as np

from heddle_infra.database.erasures import ShorterSet
from heddle_platform import keys
from heddle_platform.errors import DataCorrupt
from heddle_platform.latents import pack_latents, unpack_latents
from heddle_platform.manifest import Manifest
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Dataset, FactorSetVersion
from heddle_platform.settings import LimitSettings
from heddle_workers.cluster import Cluster
from heddle_workers.progress import Report
from heddle_workers.scratch import scratch_archive
from heddle_workers.store import put_first, set_source
from heddle_workers.tasks import Pruned, PruneRequest, heddle_prune

_GROWTH: Final = 2  # the new zip is compressed anew, and may become longer than the old one was


@dataclass(frozen=True)
class Touched:
    """An image set that holds images to erase, and the labelled sets that are made of it.

    Attributes:
        digest: of its archive.
        manifest: of it.
        sets: each with its factor set; more than one where the same zip was uploaded twice.
        gone: SHA-256 of its images that go.
    """

    digest: str
    manifest: Manifest
    sets: tuple[tuple[Dataset, FactorSetVersion], ...]
    gone: frozenset[str]

    @property
    def removed(self) -> int:
        """How many images go, copies counted."""
        return sum(image.sha256 in self.gone for image in self.manifest.all)


@dataclass(frozen=True)
class Shortened:
    """What was written: the manifest without the images, what each labelled set becomes, and latents left out."""

    manifest: Manifest
    sets: tuple[ShorterSet, ...]
    latents: int


async def read_manifest(objects: ObjectStore, tenant_id: str, digest: str) -> Manifest:
    """Read a set's manifest."""
    return Manifest.from_bytes(await asyncio.to_thread(objects.get, keys.dataset_manifest(tenant_id, digest)))


async def write_shortened(
    objects: ObjectStore,
    cluster: Cluster,
    limits: LimitSettings,
    tenant_id: str,
    touched: Touched,
    report: Report,
    *,
    scratch: str,
) -> Shortened:
    """Write archive, manifest and latents of a set without the images that go.

    Args:
        objects, cluster, limits: where, by whom, and how much.
        tenant_id: owner.
        touched: the set, and what goes.
        report: told the share of images looked at.
        scratch: name of the object that holds the archive until its digest is known; gone afterwards.
    """
    pruned = await _prune(objects, cluster, limits, tenant_id, touched, report, keys.upload(tenant_id, scratch))
    after = pruned.manifest
    await put_first(objects, keys.dataset_manifest(tenant_id, pruned.digest), after.to_bytes())
    latents = await asyncio.to_thread(_shorten_latents, objects, tenant_id, touched, pruned.digest)
    sets = tuple(
        ShorterSet(dataset.id, pruned.digest, len(after.all), report)
        for (dataset, _), report in zip(touched.sets, pruned.reports, strict=True)
    )
    return Shortened(after, sets, latents)


async def _prune(
    objects: ObjectStore,
    cluster: Cluster,
    limits: LimitSettings,
    tenant_id: str,
    touched: Touched,
    report: Report,
    scratch_key: str,
) -> Pruned:
    """Have a worker send the archive to a key of its own, then copy it inside the store to where its digest says."""
    info = await asyncio.to_thread(objects.head, keys.dataset_images(tenant_id, touched.digest))
    if info is None:
        raise DataCorrupt(f"the images of set {touched.digest[:12]} are not in the store", code="object_missing")
    async with scratch_archive(
        objects, scratch_key, most_bytes=_GROWTH * info.size, part_bytes=limits.upload_part_bytes
    ) as scratch:
        request = PruneRequest(
            await set_source(objects, tenant_id, touched.digest),
            touched.gone,
            tuple(factors.document for _, factors in touched.sets),
            scratch.urls,
            scratch.part_bytes,
            limits,
        )
        pruned = await cluster.run(heddle_prune, request, report, cpus=1.0)
        await scratch.move(pruned.parts, keys.dataset_images(tenant_id, pruned.digest))
    return pruned


def _shorten_latents(objects: ObjectStore, tenant_id: str, touched: Touched, digest: str) -> int:
    stays_N = np.array([image.sha256 not in touched.gone for image in touched.manifest.all], dtype=bool)
    left_out = 0
    for info in objects.list(keys.latents_of(tenant_id, touched.digest)):
        base_digest = info.key.rsplit("/", 1)[1].removesuffix(".npz")
        latents_NL = unpack_latents(objects.get(info.key), rows=len(stays_N))
        objects.put(keys.latents(tenant_id, digest, base_digest), pack_latents(latents_NL[stays_N]))
        left_out += int((~stays_N).sum())
    return left_out
