"""The reconciler: what does not fit is found, what is being written is left alone, what fits is never touched."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from heddle_infra.database import datasets, edit_batches, jobs, versions
from heddle_infra.database.engine import Database
from heddle_infra.database.models import AdapterVersionRow, JobRow
from heddle_infra.memory import MemoryObjectStore
from heddle_infra.reconcile import Finding, Reconciliation, reconcile
from heddle_platform import keys
from heddle_platform.base.bundle import FILES, MANIFEST
from heddle_platform.records import AdapterVersion, Tenant
from heddle_platform.settings import DatabaseSettings
from tests.infra.test_queue import claim, fitted, new_tenant, queue_job

SET = "5" * 64
ADAPTER = "a" * 64


@dataclass
class Scene:
    """One tenant whose rows and objects fit: a ready set with latents, and a version with one file."""

    database: Database
    objects: MemoryObjectStore
    tenant: Tenant
    version: AdapterVersion

    async def look(self, *, repair: bool = False, grace_seconds: float = 0.0) -> Reconciliation:
        return await reconcile(
            self.database, self.objects, grace_seconds=grace_seconds, lease_grace_seconds=0.0, repair=repair
        )

    async def findings(self, *, repair: bool = False) -> list[tuple[str, str, bool]]:
        found = (await self.look(repair=repair)).findings
        return [(finding.kind, finding.subject, finding.repaired) for finding in found]


@pytest.fixture
async def scene(empty_postgres_url: str) -> AsyncIterator[Scene]:
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    objects = MemoryObjectStore()
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fitted(session, tenant)
        await datasets.finish_validation(session, tenant.id, version.dataset_id, report={}, digest=SET, images=1)
        await session.execute(update(AdapterVersionRow).values(files={"adapter.npz": "0" * 64}))
    objects.put(keys.dataset_manifest(tenant.id, SET), b"manifest")
    objects.put(keys.dataset_images(tenant.id, SET), b"images")
    objects.put(keys.latents(tenant.id, SET, "b" * 64), b"latents")
    objects.put(keys.adapter_file(tenant.id, ADAPTER, "adapter.npz"), b"adapter")
    for file in (*FILES, MANIFEST):
        objects.put(keys.base_file("default", "b" * 64, file), b"base")
    yield Scene(database, objects, tenant, version)
    await database.close()


async def test_what_fits_is_clean_and_stays(scene: Scene) -> None:
    before = dict(scene.objects.objects)
    found = await scene.look(repair=True)
    assert found.clean, found.findings
    assert (found.tenants, found.objects, found.rows) == (1, 8, 7)
    assert scene.objects.objects == before


async def test_what_only_a_newer_version_knows_is_told_and_left(scene: Scene) -> None:
    unknown = keys.tenant_prefix(scene.tenant.id) + "sketches/1/line.svg"
    scene.objects.put(unknown, b"of a newer version")
    assert await scene.findings(repair=True) == [("orphan_object", unknown, False)]
    assert scene.objects.get(unknown) == b"of a newer version"


async def test_orphans_are_told_and_taken_away_only_when_asked(scene: Scene) -> None:
    orphans = {
        keys.dataset_images(scene.tenant.id, "6" * 64),
        keys.latents(scene.tenant.id, "6" * 64, "b" * 64),
        keys.adapter_file(scene.tenant.id, "c" * 64, "card.json"),
        keys.upload(scene.tenant.id, "up_nobody"),
        keys.upload("ten_deleted", "up_gone"),
        keys.probe("old"),
    }
    for key in orphans:
        scene.objects.put(key, b"left")
    parts = scene.objects.start_multipart(keys.upload(scene.tenant.id, "up_half"))
    told = await scene.findings()
    assert {subject for kind, subject, _ in told if kind == "orphan_object"} == orphans
    assert [subject for kind, subject, _ in told if kind == "orphan_multipart"] == [
        keys.upload(scene.tenant.id, "up_half")
    ]
    assert not any(repaired for _, _, repaired in told)
    mended = await scene.look(repair=True)
    assert mended.clean
    assert mended.repaired == len(orphans) + 1
    assert not orphans & set(scene.objects.objects)
    assert parts not in {upload.multipart_id for upload in scene.objects.open_multiparts("")}
    assert (await scene.look()).findings == ()


async def test_images_of_a_batch_stay_as_long_as_the_batch(scene: Scene) -> None:
    key = keys.edit_batch_file(scene.tenant.id, "bat_kept", "image-0000")
    scene.objects.put(key, b"image")
    values = {"id": "bat_kept", "tenant_id": scene.tenant.id, "key_id": "key_x", "epoch": 0, "spec": {}, "items": 1}
    async with scene.database.platform_transaction() as session:
        await edit_batches.create(session, values, ttl_seconds=3600)
    assert (await scene.look(repair=True)).clean
    assert scene.objects.head(key) is not None
    async with scene.database.platform_transaction() as session:
        await edit_batches.remove(session, scene.tenant.id, "bat_kept")
    assert await scene.findings(repair=True) == [("orphan_object", key, True)]


async def test_a_base_without_a_row_is_told_but_left_to_people(scene: Scene) -> None:
    key = keys.base_file("faces", "f" * 64, "encoder.onnx")
    scene.objects.put(key, b"x")
    assert await scene.findings(repair=True) == [("orphan_object", key, False)]
    assert scene.objects.head(key) is not None


async def test_what_is_young_or_of_a_running_job_is_not_judged(scene: Scene) -> None:
    key = keys.adapter_file(scene.tenant.id, "c" * 64, "card.json")
    scene.objects.put(key, b"being written")
    young = await scene.look(repair=True, grace_seconds=3600)
    assert (young.findings, young.kept_young) == ((), 1)
    async with scene.database.platform_transaction() as session:
        await queue_job(session, scene.tenant)
    [job] = await claim(scene.database)
    scene.objects.put(key, b"written by the job that runs")
    running = await scene.look(repair=True)
    assert (running.findings, running.kept_young) == ((), 1)
    async with scene.database.platform_transaction() as session:
        await jobs.close(session, job.id, status="cancelled")
    assert await scene.findings(repair=True) == [("orphan_object", key, True)]


async def test_nothing_is_deleted_of_a_tenant_that_has_a_job_running(scene: Scene) -> None:
    key = keys.adapter_file(scene.tenant.id, "c" * 64, "card.json")
    scene.objects.put(key, b"left by an earlier job, and what the one that runs will find there")
    async with scene.database.platform_transaction() as session:
        await queue_job(session, scene.tenant)
    await claim(scene.database)
    assert await scene.findings(repair=True) == [("orphan_object", key, False)]
    assert scene.objects.head(key) is not None


async def test_a_row_whose_object_is_gone_is_told(scene: Scene) -> None:
    key = keys.adapter_file(scene.tenant.id, ADAPTER, "adapter.npz")
    scene.objects.delete(key)
    [found] = (await scene.look(repair=True)).findings
    assert found == Finding(
        kind="object_missing",
        tenant_id=scene.tenant.id,
        subject=key,
        detail=f"version 1 of {scene.version.adapter_id} points at nothing",
    )


async def test_rows_that_contradict_themselves_are_told(scene: Scene) -> None:
    async with scene.database.platform_transaction() as session:
        twice = await queue_job(session, scene.tenant)
        await jobs.close(session, twice.id, status="failed")
        await jobs.add_event(session, twice.id, "failed", {})
        lost = await queue_job(session, scene.tenant)
        await jobs.close(session, lost.id, status="succeeded")
        await queue_job(session, scene.tenant)
    [expired] = await claim(scene.database, lease_seconds=0)
    async with scene.database.platform_transaction() as session:
        vain = await jobs.create(
            session,
            scene.tenant.id,
            job_type="fit",
            spec={},
            dataset_id=scene.version.dataset_id,
            status="validating",
        )
    assert sorted(await scene.findings(repair=True)) == sorted(
        [
            ("recorded_twice", twice.id, False),
            ("result_missing", lost.id, False),
            ("lease_expired", expired.id, False),
            ("waiting_in_vain", vain.id, False),
        ]
    )


async def test_an_approval_after_a_fit_is_no_second_end(scene: Scene) -> None:
    async with scene.database.platform_transaction() as session:
        job_id = scene.version.job_id
        await session.execute(text("delete from job_events where job_id = :job"), {"job": job_id})
        for event in ("awaiting_approval", "succeeded"):
            await jobs.add_event(session, job_id, event, {})
    assert (await scene.look()).clean


async def test_a_row_written_while_the_store_is_listed_saves_its_object(scene: Scene) -> None:
    key = keys.adapter_file(scene.tenant.id, "d" * 64, "adapter.npz")
    scene.objects.put(key, b"adapter")
    told = await scene.findings()
    assert told == [("orphan_object", key, False)]
    async with scene.database.platform_transaction() as session:
        job = await queue_job(session, scene.tenant)
        fields = ("base_id", "base_digest", "factor_set_id", "factor_set_version", "dataset_id", "verdict")
        kept = {name: getattr(scene.version, name) for name in fields}
        new = versions.NewVersion(
            adapter_name="avatars", digest="d" * 64, gate={}, card={}, files={"adapter.npz": "d" * 64}, **kept
        )
        await versions.add_version(session, scene.tenant.id, job.id, new)
        await session.execute(update(JobRow).where(JobRow.id == job.id).values(status="succeeded"))
    assert (await scene.look(repair=True)).clean
    assert scene.objects.head(key) is not None
