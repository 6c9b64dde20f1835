"""The files of a stack: who may read them, what survives, what is written whole or not at all."""

import multiprocessing
import os
import socket
import stat
from pathlib import Path

import psutil
import pytest

from heddle_infra.local.config import StackConfig, StackFailed, stack_paths
from heddle_infra.local.credentials import load_or_make_secrets, load_secrets, write_private
from heddle_infra.local.environment import application_environment, python_environment, server_environment
from heddle_infra.local.info import keep_settings, stack_info, stack_settings
from heddle_infra.local.logs import last_lines, trim_logs
from heddle_infra.local.ports import LOOPBACK, PORT_RANGE, RAY_WORKER_PORTS, claim_ports, is_free
from heddle_infra.local.state import (
    ServiceRecord,
    StackRecord,
    held_lock,
    is_locked,
    read_state,
    write_state,
)
from heddle_platform.errors import DataCorrupt, InvalidInput


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    made = load_or_make_secrets(file)
    assert mode(file) == 0o600
    assert load_or_make_secrets(file) == made
    assert load_or_make_secrets(tmp_path / "others.json") != made
    assert made.admin_key.get_secret_value().startswith("hdl_admin_")
    assert len(made.admin_key.get_secret_value()) >= len("hdl_admin_") + 43  # 256 random bits
    assert made.admin_key.get_secret_value() not in repr(made)


def test_damaged_secrets_are_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text("{")
    with pytest.raises(DataCorrupt) as caught:
        load_or_make_secrets(file)
    assert str(file) in caught.value.message
    with pytest.raises(DataCorrupt):
        load_secrets(tmp_path / "none.json")


def test_a_private_file_stays_private_when_it_replaces_an_open_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_ports_are_distinct_in_range_and_stay(tmp_path: Path) -> None:
    ports = claim_ports(tmp_path / "ports.json")
    block = range(ports["ray_workers"], ports["ray_workers"] + RAY_WORKER_PORTS)
    single = [port for name, port in ports.items() if name != "ray_workers"]
    assert len(set(single)) == len(single)
    assert set(block).isdisjoint(single)
    assert all(port in PORT_RANGE for port in [*single, *block])
    assert claim_ports(tmp_path / "ports.json") == ports


def test_a_port_that_was_taken_meanwhile_is_chosen_anew_and_the_others_stay(tmp_path: Path) -> None:
    before = claim_ports(tmp_path / "ports.json")
    with socket.create_server((LOOPBACK, before["control"])):
        assert not is_free(before["control"])
        after = claim_ports(tmp_path / "ports.json")
    assert after["control"] != before["control"]
    assert {name for name in before if before[name] != after[name]} == {"control"}
    assert claim_ports(tmp_path / "ports.json") == after


def test_a_port_held_on_all_interfaces_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_damaged_port_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"control": "nonsense", "unknown": 5}')
    ports = claim_ports(tmp_path / "ports.json")
    assert isinstance(ports["control"], int)
    assert "unknown" not in ports


def test_sockets_lie_in_a_short_folder_of_their_own(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    paths = stack_paths(deep)
    assert len(bytes(paths.run)) < 50
    assert paths.run != stack_paths(tmp_path).run
    assert paths == stack_paths(deep / ".." / ("y" * 100))
    assert not deep.exists()


def test_folders_are_made_without_opening_those_that_exist(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    paths = stack_paths(closed / "stack")
    paths.make()
    assert mode(closed) == 0o700
    assert mode(paths.logs) == 0o700
    assert mode(paths.run) & 0o066 == 0
    paths.make()
    paths.run.rmdir()


def test_a_run_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    paths = stack_paths(tmp_path / "stack")
    paths.run.symlink_to(tmp_path)
    try:
        with pytest.raises(StackFailed) as caught:
            paths.make()
        assert str(paths.run) in caught.value.message
    finally:
        paths.run.unlink()


def test_unknown_services_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        StackConfig(tmp_path, services=("postgres", "mysql"))
    assert "mysql" in caught.value.message


def hold(path: Path, held: "multiprocessing.synchronize.Event", release: "multiprocessing.synchronize.Event") -> None:
    with held_lock(path) as ours:
        assert ours
        held.set()
        release.wait()


def test_a_lock_has_one_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_locked(lock)
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(lock, held, release))
    holder.start()
    assert held.wait(20)
    assert is_locked(lock)
    with held_lock(lock) as ours:
        assert not ours
    holder.kill()
    holder.join(20)
    assert not is_locked(lock)
    with held_lock(lock) as ours:
        assert ours
        assert is_locked(lock)
    assert not is_locked(lock)


def test_state_is_read_as_it_was_written_and_nonsense_is_no_state(tmp_path: Path) -> None:
    record = StackRecord(
        supervisor_pid=os.getpid(),
        supervisor_started_at=psutil.Process().create_time(),
        phase="ready",
        services=(ServiceRecord(name="cache", state="crashed", address="unix:/x", last_exit="killed by SIGKILL"),),
    )
    write_state(tmp_path / "state.json", record)
    assert read_state(tmp_path / "state.json") == record
    assert mode(tmp_path / "state.json") == 0o600
    (tmp_path / "state.json").write_text('{"phase": "elsewhere"}')
    assert read_state(tmp_path / "state.json") is None
    assert read_state(tmp_path / "none.json") is None


def test_a_log_that_grew_too_large_is_moved_and_goes_on_at_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 1000)
        trim_logs(tmp_path, largest_bytes=1000)
        assert log.stat().st_size == 1000
        writer.write(b"y")
        trim_logs(tmp_path, largest_bytes=1000)
        writer.write(b"z")
    assert log.read_bytes() == b"z"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 1000 + b"y"


def test_the_end_of_a_log_begins_with_a_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert last_lines(log) == ""
    log.write_text("first\nsecond\nthird\n")
    assert last_lines(log) == "first\nsecond\nthird"
    assert last_lines(log, most_bytes=10) == "third"


LAUNCHER = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "AWS_SECRET_ACCESS_KEY": "cloud",
    "HTTP_PROXY": "http://proxy:3128",
    "no_proxy": "internal",
    "HEDDLE_LOG_LEVEL": "debug",
    "HEDDLE_SECRET_KEY": "launcher's",
    "PYTHONPATH": "/code",
}


def test_servers_and_ray_see_neither_our_secrets_nor_the_launchers() -> None:
    assert server_environment(LAUNCHER) == {"PATH": "/bin", "HOME": "/home/me"}
    seen = python_environment(LAUNCHER)
    assert not [name for name in seen if name.startswith(("HEDDLE_", "AWS_", "HTTP_"))]
    assert (seen["PYTHONPATH"], seen["PYTHONSAFEPATH"], seen["OMP_NUM_THREADS"]) == ("/code", "1", "1")
    assert seen["NO_PROXY"] == "internal,127.0.0.1,localhost"


def test_our_processes_get_the_launchers_settings_and_the_stacks_over_them() -> None:
    seen = application_environment({"HEDDLE_SECRET_KEY": "stack's"}, LAUNCHER)
    heddle = {name: value for name, value in seen.items() if name.startswith("HEDDLE_")}
    assert heddle == {"HEDDLE_LOG_LEVEL": "debug", "HEDDLE_SECRET_KEY": "stack's"}


def test_how_a_stack_is_reached_is_kept_for_its_owner(tmp_path: Path) -> None:
    paths = stack_paths(tmp_path)
    with pytest.raises(StackFailed) as caught:
        stack_settings(tmp_path)
    assert "heddle up" in caught.value.message
    settings = {
        "HEDDLE_CONTROL_URL": "http://127.0.0.1:1",
        "HEDDLE_EDGE_URL": "http://127.0.0.1:2",
        "HEDDLE_ADMIN_KEY": "hdl_admin_x",
    }
    keep_settings(paths, settings)
    assert mode(paths.settings) == 0o600
    assert stack_settings(tmp_path) == settings
    info = stack_info(paths, settings, supervisor_pid=7)
    assert (info.control_url, info.edge_url, info.studio_url) == (
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        "http://127.0.0.1:1/",
    )
    assert (info.admin_key, info.data_dir, info.supervisor_pid) == ("hdl_admin_x", str(paths.data), 7)
