"""Material: what a fit runs on, as addresses, and its latents, encoded once per image set and base."""

import asyncio
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from heddle_infra.database import datasets, factor_sets
from heddle_infra.database.engine import Database
from heddle_platform import keys
from heddle_platform.errors import Conflict
from heddle_platform.latents import pack_latents
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Job
from heddle_platform.settings import LimitSettings
from heddle_workers.base_source import BaseSource
from heddle_workers.cluster import Cluster
from heddle_workers.progress import Report
from heddle_workers.store import base_source, put_first, set_source
from heddle_workers.tasks import EncodeRequest, SetSource, heddle_encode
from heddle_workers.together import together

_LEAST_SLICE: Final = 256  # images; fewer are encoded faster than a second worker fetches them


@dataclass(frozen=True)
class Material:
    """A labelled set under one base: how many images, the factor set's document, addresses, the latents' key."""

    images: int
    factor_set: dict[str, Any]
    source: SetSource
    base: BaseSource
    latents_key: str


async def material_for(database: Database, objects: ObjectStore, job: Job) -> Material:
    """Return what a job runs on that names a labelled set, a factor set and a base.

    Raises:
        Conflict: code `dataset_not_ready`.
    """
    spec, tenant_id = job.spec, job.tenant
    async with database.transaction(tenant_id) as session:
        dataset = await datasets.resolve(session, tenant_id, spec["dataset_id"])
        factors = await factor_sets.resolve(session, tenant_id, spec["factor_set_id"], spec["factor_set_version"])
    if dataset.digest is None or dataset.images is None:
        raise Conflict(
            f"labelled set {dataset.id} is {dataset.status}; only a set that is ready can be used",
            code="dataset_not_ready",
            param="dataset",
        )
    return await material_of(
        objects,
        tenant_id,
        dataset.digest,
        dataset.images,
        factors.document,
        base_name=spec["base_name"],
        base_digest=spec["base_digest"],
    )


async def material_of(
    objects: ObjectStore,
    tenant_id: str,
    digest: str,
    images: int,
    factor_set: dict[str, Any],
    *,
    base_name: str,
    base_digest: str,
) -> Material:
    """Return the material of a validated set."""
    return Material(
        images,
        factor_set,
        await set_source(objects, tenant_id, digest),
        await base_source(objects, base_name, base_digest),
        keys.latents(tenant_id, digest, base_digest),
    )


async def encode_missing(
    objects: ObjectStore, cluster: Cluster, limits: LimitSettings, material: Material, report: Report
) -> int:
    """Encode the set unless its latents are in the store; reports the share encoded.

    Returns:
        How many images were encoded.

    Raises:
        HeddleError: what a task raised.
    """
    if await asyncio.to_thread(objects.head, material.latents_key) is not None:
        return 0
    latents_NL = await _encode(cluster, limits, material, report)
    await put_first(objects, material.latents_key, pack_latents(latents_NL))
    return len(latents_NL)


async def _encode(cluster: Cluster, limits: LimitSettings, material: Material, report: Report) -> NDArray[np.float32]:
    slices = max(1, min(cluster.slots, math.ceil(material.images / _LEAST_SLICE)))
    bounds = [material.images * index // slices for index in range(slices + 1)]
    shares = [0.0] * slices

    def reporter(index: int) -> Report:
        def told(_stage: str, share: float) -> None:
            shares[index] = share
            report("encoding", sum(shares) / slices)

        return told

    parts = await together(
        cluster.run(
            heddle_encode,
            EncodeRequest(material.source, material.base, start, stop, limits, cluster.threads),
            reporter(index),
            cpus=cluster.encode_cpus,
            gpus=cluster.encode_gpus,
        )
        for index, (start, stop) in enumerate(pairwise(bounds))
    )
    return np.concatenate(parts)
