"""Several nodes on one machine: fits spread over them, one node dies, every fit still ends once."""

import contextlib
from pathlib import Path

import psutil
from pydantic import SecretStr
from ray.cluster_utils import Cluster as Nodes

from heddle_infra.database import platform_notes
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings, RaySettings

from .polling import until, until_told
from .test_process import count, dispatcher
from .world import CountingCluster, avatar_zip, new_world

FITS = 6


def tasks_below(raylet_pid: int) -> list[psutil.Process]:
    """Return the workers of one node that run a fit right now."""
    found = []
    for child in psutil.Process(raylet_pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[:1] and "ray::heddle_fit" in child.cmdline()[0]:
                found.append(child)
    return found


async def test_fits_go_on_when_one_of_several_nodes_dies(
    tmp_path: Path, empty_postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    log = tmp_path / "log"
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        doomed, _ = nodes.add_node(num_cpus=1), nodes.add_node(num_cpus=1)
        objects = S3ObjectStore(seaweed_settings)
        world = await new_world(database, objects, CountingCluster(RaySettings(ray_address=nodes.address)))
        dataset, validation = await world.upload(avatar_zip())
        with dispatcher(log, nodes.address, empty_postgres_url, seaweed_settings):
            await until(lambda: count(log, "dispatcher_ready"))
            await world.until(validation.id, "succeeded")
            jobs = [await world.queue_fit(dataset, f"fit_{number}") for number in range(FITS)]
            raylet = doomed.all_processes["raylet"][0].process.pid
            await until(lambda: tasks_below(raylet))
            nodes.remove_node(doomed, allow_graceful=False)
            ended = [await world.until(job.id) for job in jobs]

            async def seen() -> list[bool] | None:
                async with database.platform_transaction() as session:
                    notes = await platform_notes.read(session, platform_notes.DISPATCHER)
                alive = [node["alive"] for note in notes for node in note.document["ray"].get("nodes", [])]
                return alive if alive.count(False) == 1 else None

            assert sorted(await until_told(seen)) == [False, True, True]
        assert {job.status for job in ended} <= {"succeeded", "awaiting_approval"}, [job.error for job in ended]
        assert max(job.attempt for job in ended) == 2, "what ran on the dead node was tried again"
        for number in range(FITS):
            assert [version.version for version in await world.versions(f"fit_{number}")] == [1]
    finally:
        nodes.shutdown()  # type: ignore[no-untyped-call]
        await database.close()
