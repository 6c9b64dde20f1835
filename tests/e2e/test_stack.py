"""The whole stack as an operator meets it: up, status, up again, crashes, kill -9, down and up, Ctrl-C."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from heddle_infra import local
from heddle_infra.local.child import still_runs
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import ObjectStoreSettings
from tests.conftest import HEDDLE, RunningStack, clean_environment, new_data_dir, running_stack, start_up

MEMORY_BAR_BYTES = 2 * 10**9
PARTS = {*local.SERVICES, "supervisor"}
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def heddle(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `heddle status` or `heddle down` as a program."""
    return subprocess.run(
        [*HEDDLE, command, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=120,
        check=False,
    )


def status_of(data_dir: Path) -> dict[str, Any]:
    answer = heddle("status", f"--data-dir={data_dir}", "--json")
    found: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == (0 if found["ready"] else 3 if found["phase"] == "absent" else 1), answer.stdout
    return found


def part(data_dir: Path, name: str) -> local.ProcessStatus:
    (found,) = [process for process in local.describe(data_dir).processes if process.name == name]
    return found


def until(true: Callable[[], bool], what: str | Callable[[], str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.1)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return list(filter(still_runs, processes))


def test_up_prints_one_line_of_json_that_leads_to_everything(stack: RunningStack) -> None:
    assert stack.admin_key.startswith("hdl_admin_")
    for url in (stack.control_url, stack.edge_url):
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    answer = httpx.get(
        f"{stack.control_url}/v1/bases/default",
        headers={"Authorization": f"Bearer {stack.admin_key}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert httpx.get(stack.studio_url, trust_env=False).status_code == 200


def test_status_names_every_part(stack: RunningStack) -> None:
    until(lambda: local.describe(stack.data_dir).ready, "the stack is not ready")
    found = status_of(stack.data_dir)
    assert found["ready"] is True
    assert {process["name"] for process in found["processes"]} == PARTS
    assert all(process["state"] == "ready" and process["pid"] for process in found["processes"])
    shown = heddle("status", f"--data-dir={stack.data_dir}").stdout
    assert all(name in shown for name in PARTS)
    assert "Memory in all" in shown
    assert stack.admin_key not in shown


def test_memory_at_rest_meets_its_bar(stack: RunningStack) -> None:
    def memory() -> int:
        return local.describe(stack.data_dir).memory_bytes

    # at rest: Ray lets a worker go that had nothing to do for half a minute, until one is left
    until(lambda: memory() <= MEMORY_BAR_BYTES, lambda: f"{memory() / 1e6:.0f} MB", seconds=90)
    found = local.describe(stack.data_dir)
    for process in found.processes:
        line = f"{process.name:12}{process.memory_bytes / 1e6:8.0f} MB in {process.processes} processes"
        print(line)  # noqa: T201  the figures of this machine, for whoever reads the log
    print(f"{'in all':12}{found.memory_bytes / 1e6:8.0f} MB")  # noqa: T201
    assert all(process.memory_bytes > 0 for process in found.processes)
    assert found.memory_bytes <= MEMORY_BAR_BYTES


def test_every_socket_is_on_loopback(stack: RunningStack) -> None:
    sockets = local.listening_sockets(stack.data_dir)
    programs = {socket.program for socket in sockets}
    assert {"weed", "gcs_server", "raylet"} <= programs
    assert any(program.startswith("python") for program in programs)
    assert [socket for socket in sockets if socket.host not in LOOPBACK] == []


def test_ray_workers_inherit_no_credential(stack: RunningStack) -> None:
    ray = psutil.Process(part(stack.data_dir, "ray").pid)
    environment = ray.environ()
    assert environment["RAY_AUTH_MODE"] == "token"
    assert not [name for name in environment if name.startswith(("HEDDLE_", "AWS_"))]


def test_a_second_up_reports_the_same_stack(stack: RunningStack) -> None:
    assert running_stack(start_up(stack.data_dir)) == stack


def test_a_killed_server_is_started_again_and_named(stack: RunningStack) -> None:
    before = part(stack.data_dir, "cache")
    psutil.Process(before.pid).kill()
    until(lambda: part(stack.data_dir, "cache").restarts > before.restarts, "the cache was not started again")
    until(lambda: part(stack.data_dir, "cache").state == "ready", "the cache is not ready again")
    after = part(stack.data_dir, "cache")
    assert after.pid != before.pid
    assert after.last_exit == "killed by SIGKILL"
    shown = heddle("status", f"--data-dir={stack.data_dir}").stdout
    assert "killed by SIGKILL" in shown
    assert '"process": "cache"' in (stack.data_dir / "logs" / "supervisor.log").read_text()
    # the platform goes on
    assert httpx.get(f"{stack.control_url}/healthz", trust_env=False).status_code == 200


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for a full stack that a test may break."""
    data_dir = new_data_dir()
    yield data_dir
    local.erase(data_dir)
    data_dir.parent.rmdir()


@pytest.mark.timeout(900)
def test_a_stack_survives_down_and_up_and_its_supervisors_death(own: Path) -> None:
    first = running_stack(start_up(own))
    tenant = httpx.post(
        f"{first.control_url}/v1/admin/tenants",
        json={"name": "acme"},
        headers={"Authorization": f"Bearer {first.admin_key}"},
        trust_env=False,
        timeout=30,
    ).json()
    store = S3ObjectStore(ObjectStoreSettings.model_validate(first.object_store))
    store.put("kept/a", b"one")
    processes = local.stack_processes(own)

    answer = heddle("down", f"--data-dir={own}")
    assert answer.returncode == 0, answer.stderr
    assert alive(processes) == []
    absent = heddle("status", f"--data-dir={own}")
    assert absent.returncode == 3
    assert "No stack runs" in absent.stdout

    second = running_stack(start_up(own))
    assert (second.control_url, second.edge_url, second.admin_key) == (
        first.control_url,
        first.edge_url,
        first.admin_key,
    )
    me = httpx.get(
        f"{second.control_url}/v1/me",
        headers={"Authorization": f"Bearer {tenant['api_key']}"},
        trust_env=False,
        timeout=30,
    )
    assert me.status_code == 200, me.text
    assert store.get("kept/a") == b"one"

    processes = local.stack_processes(own)
    assert len(processes) > len(PARTS)
    psutil.Process(second.supervisor_pid).kill()
    until(lambda: alive(processes) == [], "something outlived the supervisor", seconds=30)
    assert heddle("status", f"--data-dir={own}").returncode == 3


@pytest.mark.timeout(600)
def test_ctrl_c_in_the_foreground_leaves_nothing(own: Path) -> None:
    command = [*HEDDLE, "up", f"--data-dir={own}", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as foreground:
        assert foreground.stdout is not None
        info = json.loads(foreground.stdout.readline())
        assert info["supervisor_pid"] == foreground.pid
        assert httpx.get(f"{info['edge_url']}/readyz", trust_env=False).status_code == 200
        processes = local.stack_processes(own)
        foreground.send_signal(signal.SIGINT)
        assert foreground.stdout.read() == ""
    assert foreground.returncode == 0
    assert alive(processes[1:]) == []


@pytest.mark.timeout(600)
def test_a_start_that_fails_tells_why_in_a_sentence_and_leaves_nothing(own: Path) -> None:
    environment = {**clean_environment(), "HEDDLE_RAY_ADDRESS": "127.0.0.1:9"}
    answer = subprocess.run(
        [*HEDDLE, "up", "--detach", f"--data-dir={own}"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 1
    assert "ray at 127.0.0.1:9 was not ready" in answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr
    assert local.stack_processes(own) == []
    assert heddle("status", f"--data-dir={own}").returncode == 3
