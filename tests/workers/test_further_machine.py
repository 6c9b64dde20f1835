"""`ray start` joins a further machine, as docs/cluster.md says it, and work goes where the resources it needs are."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from heddle_infra.database import platform_notes
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings, RaySettings

from .polling import until, until_told
from .ray_head import beyond_loopback, end_tree, loopback_environment, ray_head
from .test_process import count, dispatcher
from .world import CountingCluster, avatar_zip, new_world


@contextmanager
def joined(log: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run what docs/cluster.md says, with no `HEDDLE_*` setting, on a machine with a GPU (which no task touches)."""
    command = [str(Path(sys.executable).with_name("ray")), "start", f"--address={address}"]
    command += ["--num-cpus=1", "--num-gpus=1", "--disable-usage-stats", "--block"]
    environment = {**os.environ, **loopback_environment(), **beyond_loopback()}
    assert not [name for name in environment if name.startswith("HEDDLE_")]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        end_tree(process)


async def test_a_share_of_a_gpu_for_encoding_is_found_on_a_machine_that_joins_later(
    tmp_path: Path, empty_postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    log = tmp_path / "log"
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))

    async def seen() -> dict[str, Any]:
        async with database.platform_transaction() as session:
            notes = await platform_notes.read(session, platform_notes.DISPATCHER)
        return notes[0].document["ray"] if notes else {}

    async def both() -> dict[str, Any] | None:
        ray = await seen()
        return ray if ray.get("gpus") == 1.0 else None

    with ray_head(cpus=1, for_others=True) as head:
        world = await new_world(
            database, S3ObjectStore(seaweed_settings), CountingCluster(RaySettings(ray_address=head.address))
        )
        more = {"HEDDLE_RAY_ENCODE_GPUS": "0.5", "HEDDLE_RAY_ENCODE_CPUS": "0.25", **beyond_loopback()}
        with dispatcher(log, head.address, empty_postgres_url, seaweed_settings, **more):
            await until(lambda: count(log, "dispatcher_ready"))
            dataset, validation = await world.upload(avatar_zip())
            await world.until(validation.id, "succeeded")
            job = await world.queue_fit(dataset)
            await world.until(job.id, "running")
            await asyncio.sleep(1.0)
            assert (await world.job(job.id)).status == "running", "there is no GPU to encode with"
            assert head.tasks("heddle_encode") == []
            assert (await seen())["gpus"] == 0.0
            with joined(tmp_path / "machine", head.address):
                done = await world.until(job.id)
                assert done.status in ("succeeded", "awaiting_approval"), done.error
                assert done.attempt == 1
                ray = await until_told(both)
                assert (ray["cpus"], [node["alive"] for node in ray["nodes"]]) == (2.0, [True, True])
    await database.close()
