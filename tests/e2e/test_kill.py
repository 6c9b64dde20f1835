"""kill -9 in the middle of a fit: the job still succeeds, exactly once, and nothing half-written is visible."""

import time
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.wire import LabelledImages, Wire


@pytest.fixture(scope="module")
def dataset(module_tenant: Wire, micah: LabelledImages) -> str:
    return str(module_tenant.dataset(micah.archive(range(1000)), micah.factor_set)["id"])


def process(stack: Any, name: str) -> psutil.Process:
    """Find one of the stack's processes by the name `heddle status` gives it."""
    from heddle_infra import local

    status = local.describe(stack.data_dir)
    (found,) = [part for part in status.processes if part.name == name]
    assert found.pid is not None
    return psutil.Process(found.pid)


def ray_tasks(stack: Any) -> list[psutil.Process]:
    """Ray workers of this stack that run a task of ours right now."""
    children = process(stack, "ray").children(recursive=True)
    return [child for child in children if child.cmdline()[:1] and "ray::heddle" in child.cmdline()[0]]


def until_running(wire: Wire, job_id: str) -> None:
    wire.poll(f"/v1/jobs/{job_id}", lambda job: job["status"] in ("running", "scoring"))


def check_exactly_once(wire: Wire, job_id: str, adapter: str) -> None:
    job = wire.wait(job_id)
    assert job["status"] in ("succeeded", "awaiting_approval"), job
    versions = wire.call("GET", f"/v1/adapters/{adapter}/versions")["data"]
    assert [version["version"] for version in versions] == [1]
    events = wire.call("GET", f"/v1/jobs/{job_id}/events?limit=100")["data"]
    assert [event["type"] for event in events].count(job["status"]) == 1
    if job["status"] == "awaiting_approval":
        wire.approve(adapter, 1)
        assert wire.call("GET", f"/v1/jobs/{job_id}")["status"] == "succeeded"
    card = wire.control.get(f"/v1/adapters/{adapter}/versions/1/card", headers={"Accept": "text/html"})
    assert card.text.rstrip().endswith("</html>")


def test_the_dispatcher_is_killed(stack: Any, module_tenant: Wire, dataset: str) -> None:
    job = module_tenant.queue_fit(dataset, "avatars", adapter="kill_dispatcher")
    until_running(module_tenant, job)
    before = process(stack, "dispatcher")
    before.kill()
    check_exactly_once(module_tenant, job, "kill_dispatcher")
    assert module_tenant.call("GET", f"/v1/jobs/{job}")["attempt"] == 2
    assert process(stack, "dispatcher").pid != before.pid


def test_a_ray_worker_is_killed(stack: Any, module_tenant: Wire, dataset: str) -> None:
    job = module_tenant.queue_fit(dataset, "avatars", adapter="kill_worker")
    end = time.monotonic() + 60
    running: list[psutil.Process] = []
    while not running and time.monotonic() < end:
        running = ray_tasks(stack)
    assert running, "no Ray worker ran a task of ours within 60 s"
    for worker in running:
        worker.kill()
    check_exactly_once(module_tenant, job, "kill_worker")


def test_the_edge_is_killed(stack: Any, module_tenant: Wire, dataset: str, micah: LabelledImages) -> None:
    job = module_tenant.queue_fit(dataset, "avatars", adapter="kill_edge")
    until_running(module_tenant, job)
    before = process(stack, "edge")
    before.kill()
    check_exactly_once(module_tenant, job, "kill_edge")
    if not module_tenant.call("GET", "/v1/adapters/kill_edge")["aliases"]:
        module_tenant.approve("kill_edge", 1)
    edit = {"adapter": "kill_edge@production", "set": {"background": micah.labels[1]["background"]}}
    answer = edit_once_listening(module_tenant, micah.images[0], edit)
    assert answer.status_code == 200, answer.text
    assert process(stack, "edge").pid != before.pid


def edit_once_listening(wire: Wire, image: bytes, edit: dict[str, Any]) -> httpx.Response:
    end = time.monotonic() + 30
    while True:
        try:
            return wire.edit_when_served(image, edit)
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
