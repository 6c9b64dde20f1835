"""Chunks: small fits that were claimed together go to Ray as one task per base; each keeps its own lease and outcome.

Fits of large sets are spread over several tasks, so that no task holds up what waits behind it for long.

A fit that is cancelled leaves the chunk and the others go on; when all have left, the task is cancelled. When the task
dies, those without an outcome are tried again, each under a lease of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, factor_sets, materials
from heddle_infra.database.engine import Database
from heddle_infra.database.materials import Ready, Wanted
from heddle_platform import keys
from heddle_platform.errors import Conflict, HeddleError
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Job
from heddle_workers.base_source import BaseSource
from heddle_workers.chunk_task import ChunkRequest, Done, SmallFit, heddle_fit_chunk
from heddle_workers.cluster import Cluster, WorkerLost
from heddle_workers.fitted import Fitted
from heddle_workers.progress import silent
from heddle_workers.store import base_source, presign

_CHUNK_CPUS: Final = 1.0

log = structlog.get_logger()


@dataclass(eq=False)
class _Member:
    job: Job
    outcome: asyncio.Future[Fitted]

    @property
    def left(self) -> bool:
        """Whether nobody waits for it any more, though it was not told."""
        return self.outcome.cancelled()


@dataclass(eq=False)
class _Chunk:
    """Fits that go together; `task` runs them."""

    members: dict[str, _Member]
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits any more for work that is not done; a task that told all ends by itself."""
        members = self.members.values()
        return all(member.outcome.done() for member in members) and any(member.left for member in members)


class Chunks:
    """Runs small fits together.

    Args:
        database, objects: where sets and factor sets are.
        cluster: runs the tasks.
        most: fits per task.
        most_rows: images per task, of all its fits together; a larger set has a task of its own.
    """

    def __init__(
        self, database: Database, objects: ObjectStore, cluster: Cluster, *, most: int, most_rows: int
    ) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster
        self._most = most
        self._most_rows = most_rows
        self._chunks: dict[str, _Chunk] = {}

    def gather(self, jobs: Sequence[Job]) -> None:
        """Put jobs that were claimed together into chunks by base, and start these."""
        by_base: dict[str, list[Job]] = {}
        for job in jobs:
            by_base.setdefault(job.spec["base_digest"], []).append(job)
        for some in by_base.values():
            for start in range(0, len(some), self._most):
                self._start(some[start : start + self._most])

    async def fit(self, job: Job) -> Fitted:
        """Return what the job's fit found; cancelling this takes it out of its chunk.

        Raises:
            NotEncoded: its set has no latents yet.
            HeddleError: what else the fit raised; `WorkerLost` where the task died.
        """
        if job.id not in self._chunks:
            self._start([job])
        chunk = self._chunks[job.id]
        member = chunk.members[job.id]
        try:
            return await member.outcome
        finally:
            self._chunks.pop(job.id, None)
            member.outcome.cancel()
            if chunk.abandoned and chunk.task is not None:
                chunk.task.cancel()

    def _start(self, jobs: Sequence[Job]) -> None:
        loop = asyncio.get_running_loop()
        chunk = _Chunk({job.id: _Member(job, loop.create_future()) for job in jobs})
        self._chunks.update(dict.fromkeys(chunk.members, chunk))
        chunk.task = asyncio.create_task(self._run(chunk), name=f"chunk of {len(jobs)}")

    async def _run(self, chunk: _Chunk) -> None:
        lost: Exception = WorkerLost("the worker ended before this fit had its turn")
        try:
            requests = await self._requests(chunk)
            # side by side, and none for the others' sake: a task that dies takes only its own fits with it
            failures = await asyncio.gather(
                *(
                    self._cluster.run(
                        heddle_fit_chunk, one, silent, cpus=_CHUNK_CPUS, told=lambda message: self._told(chunk, message)
                    )
                    for one in requests
                ),
                return_exceptions=True,
            )
            for failure in failures:
                if isinstance(failure, BaseException):
                    raise failure
        except Exception as error:
            if not isinstance(error, HeddleError):
                log.exception("chunk_broke", fits=len(chunk.members))
            lost = error
        finally:
            for member in chunk.members.values():
                if not member.outcome.done():
                    member.outcome.set_exception(lost)
                    member.outcome.exception()  # seen: a member that left already asks no more

    async def _requests(self, chunk: _Chunk) -> list[ChunkRequest]:
        """Look up what the fits run on, a transaction per tenant; a fit that has nothing to run on is told so."""
        ready: list[_Ready] = []
        by_tenant: dict[str, list[_Member]] = {}
        for member in chunk.members.values():
            by_tenant.setdefault(member.job.tenant, []).append(member)
        for tenant_id, members in by_tenant.items():
            async with self._database.transaction(tenant_id) as session:
                ready += await _materials(session, tenant_id, members)
        first = next(iter(chunk.members.values())).job.spec
        names = []
        for one in ready:
            tenant_id = one.member.job.tenant
            names.append(keys.dataset_manifest(tenant_id, one.material.digest))
            names.append(keys.latents(tenant_id, one.material.digest, first["base_digest"]))
        urls = await presign(self._objects, names)
        fits = [
            SmallFit(one.member.job.id, urls[2 * place], urls[2 * place + 1], one.material.factor_set)
            for place, one in enumerate(ready)
        ]
        base = await self._base(first["base_name"], first["base_digest"])
        parts = spread([one.material.images for one in ready], self._most_rows)
        return [ChunkRequest(base, tuple(fits[part])) for part in parts]

    async def _base(self, name: str, digest: str) -> BaseSource:
        return await base_source(self._objects, name, digest)

    async def _told(self, chunk: _Chunk, message: Sequence[Done]) -> None:
        for one in message:
            member = chunk.members[one.job_id]
            if member.outcome.done():
                continue
            if isinstance(one.outcome, Exception):
                member.outcome.set_exception(one.outcome)
                member.outcome.exception()
            else:
                member.outcome.set_result(one.outcome)


def spread(rows: Sequence[int], most: int) -> list[slice]:
    """Cut fits, in their order, into runs of at most `most` rows together; one with more is a run of its own."""
    parts: list[slice] = []
    start, held = 0, 0
    for place, count in enumerate(rows):
        if place > start and held + count > most:
            parts.append(slice(start, place))
            start, held = place, 0
        held += count
    return [*parts, slice(start, len(rows))] if rows else parts


@dataclass(frozen=True)
class _Ready:
    """A fit and what it runs on."""

    member: _Member
    material: Ready


async def _materials(session: AsyncSession, tenant_id: str, members: Sequence[_Member]) -> list[_Ready]:
    wanted = [_wanted(member.job) for member in members]
    found = await materials.ready(session, tenant_id, wanted)
    ready = []
    for member, one in zip(members, wanted, strict=True):
        try:
            ready.append(_Ready(member, found.get(one) or await _missed(session, tenant_id, one)))
        except HeddleError as error:
            if error.retryable:
                raise
            if not member.outcome.done():
                member.outcome.set_exception(error)
                member.outcome.exception()
    return ready


def _wanted(job: Job) -> Wanted:
    return Wanted(job.spec["dataset_id"], job.spec["factor_set_id"], job.spec["factor_set_version"])


async def _missed(session: AsyncSession, tenant_id: str, wanted: Wanted) -> Ready:
    """Say what is missing of what a fit names; return it if it came meanwhile."""
    dataset = await datasets.resolve(session, tenant_id, wanted.dataset_id)
    factors = await factor_sets.resolve(session, tenant_id, wanted.factor_set_id, wanted.version)
    if dataset.digest is None:
        raise Conflict(
            f"labelled set {dataset.id} is {dataset.status}; only a set that is ready can be fitted",
            code="dataset_not_ready",
            param="dataset",
        )
    return Ready(dataset.digest, dataset.images or 0, factors.document)
