"""The dispatcher as a process of its own: it stops when asked, and outlives its Ray cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heddle_platform.settings import ObjectStoreSettings

from .polling import until
from .ray_head import RayHead, end_tree, free_port, ray_head


@contextmanager
def dispatcher(
    log: Path, ray_address: str, postgres_url: str, objects: ObjectStoreSettings, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "HEDDLE_RAY_ADDRESS": ray_address,
        "HEDDLE_DATABASE_URL": postgres_url,
        "HEDDLE_REDIS_URL": f"redis://127.0.0.1:{free_port()}",  # nobody there: it does without
        "HEDDLE_S3_ENDPOINT_URL": objects.s3_endpoint_url,
        "HEDDLE_S3_ACCESS_KEY": objects.s3_access_key.get_secret_value(),
        "HEDDLE_S3_SECRET_KEY": objects.s3_secret_key.get_secret_value(),
        "HEDDLE_S3_BUCKET": objects.s3_bucket,
        **more,
    }
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "heddle_workers"], stderr=file, env=environment)
    try:
        yield process
    finally:
        end_tree(process)


def events(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in lines if line.get("process") == "dispatcher"]


def count(log: Path, event: str) -> int:
    return [line["event"] for line in events(log)].count(event)


async def test_it_ends_in_good_order_when_asked_to(
    tmp_path: Path, head: RayHead, postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    log = tmp_path / "log"
    with dispatcher(log, head.address, postgres_url, seaweed_settings) as process:
        await until(lambda: count(log, "dispatcher_ready"))
        process.terminate()
        assert process.wait(30) == 0
    assert events(log)[-1]["event"] == "dispatcher_ended"
    secret = seaweed_settings.s3_secret_key.get_secret_value()
    assert secret not in log.read_text()


async def test_it_waits_for_a_ray_that_is_not_there_yet_and_ends_when_asked_to_meanwhile(
    tmp_path: Path, postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    log = tmp_path / "log"
    with dispatcher(log, f"127.0.0.1:{free_port()}", postgres_url, seaweed_settings) as process:
        await until(lambda: count(log, "ray_unreachable") >= 2)
        process.terminate()
        assert process.wait(30) == 0


async def test_it_joins_a_new_cluster_when_its_own_dies(
    tmp_path: Path, postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    log, port = tmp_path / "log", free_port()
    with (
        ray_head(cpus=1, port=port) as first,
        dispatcher(log, first.address, postgres_url, seaweed_settings) as process,
    ):
        await until(lambda: count(log, "dispatcher_ready") == 1)
        end_tree(first.process, patience_seconds=0)
        await until(lambda: count(log, "ray_lost") == 1)
        with ray_head(cpus=1, port=port):
            await until(lambda: count(log, "dispatcher_ready") == 2)
            assert process.poll() is None, "the same process, begun anew"
            process.terminate()
            assert process.wait(30) == 0
