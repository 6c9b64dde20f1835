"""What the studio shows and no call of a tenant brings about: a second base, a job given up, a sweep that ended."""

import asyncio
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import update

from heddle_infra import local
from heddle_infra.database import jobs
from heddle_infra.database.engine import Database
from heddle_infra.database.models import JobRow
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.digest import sha256_hex
from heddle_platform.records import JobError
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings
from tests.e2e.wire import Wire
from tests.turned_base import turned_base

ATTEMPTS = 3
REPORT = Path(__file__).parents[2] / "docs/sweeps/beta.html"


def publish_turned(stack: Any) -> str:
    """Publish the shipped base with its latents turned, as operators publish bases; returns its id."""
    bundle, _ = turned_base(load_bundle(default_bundle_path()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in bundle.all_files().items():
            archive.writestr(name, data)
    operator = Wire(stack.control_url, stack.edge_url, {"id": "", "api_key": stack.admin_key})
    published = operator.call(
        "POST", "/v1/bases", json={"name": "turned", "upload": operator.upload(buffer.getvalue(), "turned.zip")}
    )
    operator.close()
    return str(published["id"])


def dead_letter(stack: Any, wire: Wire) -> str:
    """Give the tenant a brief fit like its first one, whose workers died each time, closed as the queue closes such.

    All in one transaction, so that the dispatcher never finds it waiting; in a thread, since the browser's driver
    keeps an event loop in this one.
    """
    first = wire.call("GET", "/v1/jobs", params={"type": "fit"})["data"][-1]["id"]
    url = local.stack_settings(stack.data_dir)["HEDDLE_DATABASE_URL"]
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _bury(url, wire.id, first)).result()


async def _bury(url: str, tenant_id: str, like: str) -> str:
    database = Database(DatabaseSettings(database_url=SecretStr(url)))
    async with database.platform_transaction() as session:
        model = await jobs.get(session, tenant_id, like)
        job = await jobs.create(
            session,
            tenant_id,
            job_type="fit",
            spec=model.spec | {"card": "brief"},
            dataset_id=model.spec["dataset_id"],
            status="queued",
        )
        for attempt in range(1, ATTEMPTS + 1):
            await jobs.add_event(session, job.id, "started", {"status": "running", "attempt": attempt})
        error = JobError(
            code="attempts_exhausted",
            message=f"the job was started {ATTEMPTS} times and did not come to an end; send it again or ask support",
        )
        await jobs.close(session, job.id, status="failed", error=error)
        await jobs.bury(session, job.id)
        await session.execute(update(JobRow).where(JobRow.id == job.id).values(attempt=ATTEMPTS))
    await database.close()
    return job.id


def finished_sweep(stack: Any) -> str:
    """Record a sweep as if it had ended with the report that the documentation shows; as in `dead_letter`."""
    url = local.stack_settings(stack.data_dir)["HEDDLE_DATABASE_URL"]
    objects = S3ObjectStore(ObjectStoreSettings(**stack.object_store))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _swept(url, objects)).result()


async def _swept(url: str, objects: S3ObjectStore) -> str:
    report = REPORT.read_bytes()
    digest = sha256_hex(report)
    database = Database(DatabaseSettings(database_url=SecretStr(url)))
    async with database.platform_transaction() as session:
        job = await jobs.create(session, None, job_type="sweep", spec={"plan": {}}, dataset_id=None)
        objects.put(keys.sweep_report(job.id, digest, "html"), report)
        place = {"url": f"/v1/jobs/{job.id}/report", "sha256": {"html": digest, "json": digest}}
        why = "beta 12 was chosen of 3 settings for the highest median MIG over 3 seeds, measured with 200 labels."
        result = {"name": "beta", "chosen": {"terms.kl.schedule.weight": "12"}, "why": why, "report": place}
        await jobs.close(session, job.id, status="succeeded", result=result)
    await database.close()
    return job.id
