"""Stacks of single servers: started, found again, killed, started on what they left, pointed elsewhere."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from heddle_infra import local
from heddle_infra.local.child import still_runs
from heddle_infra.local.config import StackPaths, stack_paths
from heddle_infra.local.credentials import load_or_make_secrets
from heddle_infra.local.plan import plan_stack
from heddle_infra.local.ports import claim_ports
from heddle_infra.local.postgres import place_postgres
from heddle_infra.local.postgres_programs import copy_programs, find_programs
from heddle_infra.local.reach import can_pass, can_read
from heddle_infra.local.service import OsUser
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import ObjectStoreSettings
from tests.conftest import arguments, clean_environment, new_data_dir

SERVERS = ("postgres", "objects", "cache")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = new_data_dir()
    yield folder
    local.erase(folder)
    folder.parent.rmdir()


def start(data_dir: Path, services: tuple[str, ...] = SERVERS) -> local.StackInfo:
    return local.start_detached(local.StackConfig(data_dir, services=services), environment=clean_environment())


def store(data_dir: Path) -> S3ObjectStore:
    return S3ObjectStore(ObjectStoreSettings.model_validate(arguments("S3_", local.stack_settings(data_dir))))


def sql(data_dir: Path, *statements: str) -> list[int]:
    """Run statements as the platform's own role; return the numbers the last one selects."""
    host = local.stack_settings(data_dir)["HEDDLE_DATABASE_URL"].partition("host=")[2]

    async def run() -> list[int]:
        connection = await asyncpg.connect(host=host, user="heddle", database="heddle")
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [row[0] for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return asyncio.run(run())


def gone(processes: list[psutil.Process], seconds: float = 20) -> list[psutil.Process]:
    """Return those that still run after a while."""
    end = time.monotonic() + seconds
    left = processes
    while left and time.monotonic() < end:
        left = list(filter(still_runs, left))
        time.sleep(0.05)
    return left


def test_data_survives_down_and_up_and_a_killed_supervisor(data_dir: Path) -> None:
    info = start(data_dir)
    store(data_dir).put("kept/a", b"one")
    sql(data_dir, "create table kept (n int)", "insert into kept values (1)", "select n from kept")
    before = local.stack_settings(data_dir)
    assert local.describe(data_dir).ready
    assert start(data_dir) == info  # a second start finds the first

    processes = local.stack_processes(data_dir)
    assert local.stop(data_dir) is True
    assert gone(processes, 0.1) == []
    assert not local.describe(data_dir).running
    assert local.stop(data_dir) is False

    assert start(data_dir).supervisor_pid != info.supervisor_pid
    assert local.stack_settings(data_dir) == before  # addresses and keys stay
    assert store(data_dir).get("kept/a") == b"one"
    assert sql(data_dir, "insert into kept values (2)", "select n from kept order by n") == [1, 2]

    processes = local.stack_processes(data_dir)
    assert len(processes) > len(SERVERS)
    processes[0].kill()
    assert gone(processes) == []  # the kernel tells the children
    assert not local.describe(data_dir).running  # and the stale state file deceives nobody

    start(data_dir)
    assert store(data_dir).get("kept/a") == b"one"
    assert sql(data_dir, "select n from kept order by n") == [1, 2]


def test_two_starts_at_once_are_one_stack(data_dir: Path) -> None:
    found: list[local.StackInfo] = []
    threads = [threading.Thread(target=lambda: found.append(start(data_dir, ("cache",)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({info.supervisor_pid for info in found}) == 1
    assert len(found) == 3


def test_servers_keep_to_loopback_and_show_no_password(data_dir: Path) -> None:
    start(data_dir)
    sockets = local.listening_sockets(data_dir)
    assert {socket.program for socket in sockets} == {"weed"}  # the others have no internet socket at all
    assert {socket.host for socket in sockets} == {"127.0.0.1"}
    secrets = load_or_make_secrets(stack_paths(data_dir).secrets)
    words = [
        value.get_secret_value()
        for value in (secrets.redis_password, secrets.s3_secret_key, secrets.admin_key, secrets.secret_key)
    ]
    for process in local.stack_processes(data_dir):
        assert not [word for word in words if word in " ".join(process.cmdline())]


FOREGROUND = """
import asyncio, sys
from pathlib import Path
from heddle_infra import local

async def ready(info):
    print("ready", flush=True)

config = local.StackConfig(Path(sys.argv[1]), services=tuple(sys.argv[2:]))
asyncio.run(local.run_stack(config, on_ready=ready))
print("stopped", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "services"),
    [(signal.SIGINT, SERVERS), (signal.SIGTERM, ("cache",)), (signal.SIGHUP, ("cache",))],
    ids=["INT", "TERM", "HUP"],
)
def test_a_signal_stops_a_stack_in_the_foreground(
    data_dir: Path, number: signal.Signals, services: tuple[str, ...]
) -> None:
    command = [sys.executable, "-c", FOREGROUND, str(data_dir), *services]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as foreground:
        assert foreground.stdout is not None
        while foreground.stdout.readline() != "ready\n":
            assert foreground.poll() is None
        processes = local.stack_processes(data_dir)
        assert len(processes) > len(services)
        foreground.send_signal(number)
        assert "stopped\n" in foreground.stdout.read()
    assert foreground.returncode == 0
    assert gone(processes, 0.1) == []
    assert not stack_paths(data_dir).state.exists()


def test_a_failed_start_says_why_and_leaves_nothing(data_dir: Path) -> None:
    start(data_dir, ("cache",))
    local.stop(data_dir)
    taken = {**clean_environment(), "HEDDLE_REDIS_URL": "redis://:word@127.0.0.1:9/0"}
    config = local.StackConfig(data_dir, services=("objects", "cache"))
    with pytest.raises(local.StackFailed) as caught:
        local.start_detached(config, environment=taken)
    assert "cache at 127.0.0.1:9/0" in caught.value.message
    assert "word" not in caught.value.message
    found = local.describe(data_dir)
    assert (found.phase, found.failure) == ("absent", caught.value.message)
    assert local.stack_processes(data_dir) == []


def test_external_servers_are_used_and_not_started(
    data_dir: Path, postgres_url: str, seaweed_settings: ObjectStoreSettings
) -> None:
    environment = {
        **clean_environment(),
        "HEDDLE_DATABASE_URL": postgres_url,
        "HEDDLE_S3_ENDPOINT_URL": seaweed_settings.s3_endpoint_url,
        "HEDDLE_S3_ACCESS_KEY": seaweed_settings.s3_access_key.get_secret_value(),
        "HEDDLE_S3_SECRET_KEY": seaweed_settings.s3_secret_key.get_secret_value(),
        "HEDDLE_S3_BUCKET": "elsewhere",
    }
    local.start_detached(local.StackConfig(data_dir, services=SERVERS), environment=environment)
    states = {part.name: (part.state, part.pid is None) for part in local.describe(data_dir).processes}
    assert states["postgres"] == ("external", True)
    assert states["objects"] == ("external", True)
    assert states["cache"] == ("ready", False)
    assert local.describe(data_dir).ready
    settings = local.stack_settings(data_dir)
    assert settings["HEDDLE_DATABASE_URL"] == postgres_url
    assert settings["HEDDLE_S3_BUCKET"] == "elsewhere"
    store(data_dir).put("a", b"one")  # the bucket was made


def test_half_named_external_object_stores_are_refused(tmp_path: Path) -> None:
    paths = stack_paths(tmp_path)
    secrets = load_or_make_secrets(paths.secrets)
    launcher = {"HEDDLE_S3_ENDPOINT_URL": "https://objects.example.org"}
    with pytest.raises(local.StackFailed) as caught:
        plan_stack(local.StackConfig(tmp_path), paths, claim_ports(paths.ports), secrets, launcher)
    assert "HEDDLE_S3_ACCESS_KEY, HEDDLE_S3_SECRET_KEY" in caught.value.message


def test_only_the_control_plane_is_told_the_admin_key(data_dir: Path) -> None:
    paths = stack_paths(data_dir)
    paths.make()
    secrets = load_or_make_secrets(paths.secrets)
    plan = plan_stack(local.StackConfig(data_dir), paths, claim_ports(paths.ports), secrets, {})
    told = {service.name for service in plan.services if "HEDDLE_ADMIN_KEY" in service.environment}
    assert told == {"control"}
    knowing = {service.name for service in plan.services if "HEDDLE_S3_SECRET_KEY" in service.environment}
    assert knowing == {"control", "edge", "dispatcher"}  # and not Ray, whose workers inherit its environment


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL changes its user only when root starts it")


@as_root
def test_a_closed_folder_stays_closed_and_the_database_lies_elsewhere(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "stack"
    start(data_dir, ("postgres",))
    try:
        assert closed.stat().st_mode & 0o077 == 0
        pointer = Path((data_dir / "postgres.path").read_text().strip())
        assert (pointer / "PG_VERSION").exists()
        assert pointer.stat().st_mode & 0o077 == 0
        assert not (data_dir / "postgres").exists()
        assert sql(data_dir, "select 1") == [1]
    finally:
        local.erase(data_dir)
    assert not pointer.parent.exists()


@as_root
def test_programs_in_a_closed_folder_run_from_a_copy(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        user = OsUser("nobody", 65534, 65534)
        wheel = find_programs(tmp_path, None)
        copy = copy_programs(wheel.parents[1], wheel.parent, Path(open_folder) / "copy")
        assert copy_programs(wheel.parents[1], wheel.parent, Path(open_folder) / "copy") == copy
        for program in ("postgres", "initdb"):  # the latter needs libraries beside the package
            assert can_pass(user, copy)
            assert can_read(user, copy / program)
            answer = subprocess.run(
                [copy / program, "--version"], user=65534, capture_output=True, text=True, check=True
            )
            assert f"{program} (PostgreSQL) 18" in answer.stdout


def test_a_database_keeps_the_version_that_made_it(tmp_path: Path) -> None:
    newest = find_programs(tmp_path, None)
    (tmp_path / "PG_VERSION").write_text("16\n")
    assert find_programs(tmp_path, None) != newest
    (tmp_path / "PG_VERSION").write_text("12\n")
    with pytest.raises(local.StackFailed) as caught:
        find_programs(tmp_path, None)
    assert "PostgreSQL 12" in caught.value.message
    assert "[16, 18]" in caught.value.message


@as_root
def test_a_stack_made_anew_in_the_same_place_does_not_find_the_old_database(tmp_path: Path) -> None:
    paths = StackPaths(tmp_path / "stack", tmp_path / "run")
    tmp_path.chmod(0o700)
    places = []
    for _ in range(2):
        paths.make()
        places.append(place_postgres(paths, load_or_make_secrets(paths.secrets).stack_id).data)
        paths.secrets.unlink()
        (paths.data / "postgres.path").unlink()
    assert places[0] != places[1]
    for place in places:
        shutil.rmtree(place.parent)


def test_an_interrupted_initdb_is_begun_anew(data_dir: Path) -> None:
    paths = stack_paths(data_dir)
    paths.make()
    files = place_postgres(paths, load_or_make_secrets(paths.secrets).stack_id)
    partial = files.data.with_name("postgres.partial")
    partial.mkdir()
    (partial / "PG_VERSION").write_text("18")
    start(data_dir, ("postgres",))
    assert sql(data_dir, "select 1") == [1]
    assert not partial.exists()


def test_a_postmaster_lock_of_a_stranger_is_no_obstacle(data_dir: Path) -> None:
    start(data_dir, ("postgres",))
    files = place_postgres(stack_paths(data_dir), "")
    local.stop(data_dir)
    # after a reboot the number in the lock file belongs to somebody else; here to this test
    (files.data / "postmaster.pid").write_text(f"{os.getpid()}\n{files.data}\n0\n5432\n{files.socket}\n\n\nready\n")
    start(data_dir, ("postgres",))
    assert sql(data_dir, "select 1") == [1]
