"""What a rollout's chunk is made of, and what becomes of its results: addresses out, objects and one row in."""

import asyncio

import structlog

from heddle_infra.database import queue, rollout_items
from heddle_infra.database.engine import Database
from heddle_infra.database.rollout_items import ItemMaterial, ItemOutcome, Recorded
from heddle_infra.database.versions import NewVersion
from heddle_platform import keys
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Job
from heddle_platform.rollout_records import Rollout, RolloutItem
from heddle_workers.clock import Clock
from heddle_workers.fitted import ADAPTER_FILE
from heddle_workers.packed import packed
from heddle_workers.rolled import NotRebased, Predecessor, Rebased, RebaseItem
from heddle_workers.store import base_source, presign, put_first, put_fitted, set_source
from heddle_workers.together import together

log = structlog.get_logger()


class RolloutStore:
    """Between a rollout's rows and objects and its tasks, for one job under its fence."""

    def __init__(self, database: Database, objects: ObjectStore, job: Job, rollout: Rollout) -> None:
        self._database = database
        self._objects = objects
        self._job = job
        self._rollout = rollout
        self._materials: dict[tuple[str, int], ItemMaterial] = {}

    async def begin(self, chunk: list[RolloutItem]) -> tuple[RebaseItem, ...]:
        """Count an attempt of each and return what the task needs."""
        async with self._database.platform_transaction() as session:
            await queue.fence(session, self._job.id, self._job.attempt)
            materials = await rollout_items.begin(session, self._rollout.id, chunk)
        self._materials |= {(one.item.adapter_id, one.item.from_version): one for one in materials}
        return tuple(await together(self._asked(one) for one in materials))

    async def take(self, found: Rebased | NotRebased) -> None:
        """Store what became of one adapter: objects first, then its row and its version, once."""
        material = self._materials[found.key]
        if isinstance(found, NotRebased):
            log.info("adapter_not_rebased", tenant_id=material.item.tenant_id, code=found.code, detail=found.message)
            if not found.retryable:
                await self._record(
                    material, ItemOutcome("failed", False, False, False, {}, [f"{found.code}: {found.message}"])
                )
            return
        clock = Clock()
        with clock.timed("storing"):
            new = await self._stored(material, found)
        outcome = ItemOutcome(
            found.outcome,  # type: ignore[arg-type]  # the task spells it as the row does
            found.passed,
            found.mapped,
            found.carried,
            {**found.numbers, "verdict": found.fitted.verdict, "seconds": {**found.seconds, **clock.seconds}},
            found.reasons,
            new,
        )
        if await self._record(material, outcome) == "void":
            log.info("rebased_anew", tenant_id=material.item.tenant_id, why="an erasure ran meanwhile")

    async def _record(self, material: ItemMaterial, outcome: ItemOutcome) -> Recorded:
        async with self._database.platform_transaction() as session:
            await queue.fence(session, self._job.id, self._job.attempt)
            return await rollout_items.record(session, self._job.id, self._rollout, material, outcome)

    async def _stored(self, material: ItemMaterial, found: Rebased) -> NewVersion | None:
        version, rollout = material.version, self._rollout
        if found.latents is not None and material.dataset_digest is not None:
            key = keys.latents(version.tenant_id, material.dataset_digest, rollout.base_digest)
            await put_first(self._objects, key, found.latents)
        if rollout.dry_run:
            return None
        # their lesser files in one object, as a chunk's: most pages of a fleet are never opened
        files = await put_fitted(self._objects, version.tenant_id, packed(found.fitted))
        return NewVersion(
            adapter_name=material.item.adapter_name,
            digest=found.fitted.digest,
            base_id=rollout.base_id,
            base_digest=rollout.base_digest,
            factor_set_id=version.factor_set_id,
            factor_set_version=version.factor_set_version,
            dataset_id=version.dataset_id,
            verdict=found.fitted.verdict,
            gate=found.fitted.gate,
            card=found.fitted.card,
            files=files,
        )

    async def _asked(self, material: ItemMaterial) -> RebaseItem:
        version, tenant_id, digest = material.version, material.version.tenant_id, material.dataset_digest
        adapter_url, *_ = await presign(self._objects, [keys.adapter_file(tenant_id, version.digest, ADAPTER_FILE)])
        source = old_url = new_url = None
        if digest is not None and await self._there(keys.dataset_images(tenant_id, digest)):
            source = await set_source(self._objects, tenant_id, digest)
            old_url, new_url = await together(
                self._address(keys.latents(tenant_id, digest, base))
                for base in (version.base_digest, self._rollout.base_digest)
            )
        before = Predecessor(
            version.adapter_id, version.version, adapter_url, version.card, version.gate, version.status == "approved"
        )
        old = await base_source(self._objects, material.old_base.name, material.old_base.digest)
        return RebaseItem(before, old, source, old_url, new_url, material.factor_set)

    async def _address(self, key: str) -> str | None:
        return (await presign(self._objects, [key]))[0] if await self._there(key) else None

    async def _there(self, key: str) -> bool:
        return await asyncio.to_thread(self._objects.head, key) is not None


def chunks(items: list[RolloutItem], size: int) -> list[list[RolloutItem]]:
    """Cut a list into pieces of `size`, the last one perhaps shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
