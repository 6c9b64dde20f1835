"""kill -9 of the dispatcher in the middle of a rollout: every adapter has one outcome, one new version and one move."""

import io
import time
import zipfile
from typing import Any

from heddle_api.client import HeddleClient
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from tests.e2e.test_kill import process
from tests.e2e.wire import LabelledImages, Wire
from tests.turned_base import turned_base

ADAPTERS = 8


def published(client: HeddleClient) -> str:
    buffer = io.BytesIO()
    bundle = turned_base(load_bundle(default_bundle_path()), seed=11, name="killed")[0]
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, data in bundle.all_files().items():
            archive.writestr(file, data)
    return str(client.publish_base(buffer.getvalue(), name="killed").id)


def until_some_are_done(client: HeddleClient, rollout: str) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = client.rollout(rollout)
        if found.counts["done"]:
            return int(found.counts["done"])
        time.sleep(0.02)
    raise AssertionError("no adapter was done within 60 s")


def test_a_rollout_outlives_its_dispatcher(stack: Any, new_tenant: Any, micah: LabelledImages) -> None:
    tenant: Wire = new_tenant()
    dataset = str(tenant.dataset(micah.archive(range(200)), micah.factor_set)["id"])
    names = [f"killed_{index}" for index in range(ADAPTERS)]
    body = {"type": "fit", "factor_set": "avatars", "dataset": dataset, "base": "default", "card": "brief"}
    jobs = [tenant.call("POST", "/v1/jobs", json={**body, "adapter": name})["id"] for name in names]
    for name, job in zip(names, jobs, strict=True):
        ended = tenant.wait(job)
        assert ended["status"] in ("succeeded", "awaiting_approval"), ended
        if ended["status"] == "awaiting_approval":
            tenant.approve(name, 1)
        elif not tenant.call("GET", f"/v1/adapters/{name}")["aliases"]:
            tenant.call("PUT", f"/v1/adapters/{name}/aliases/production", json={"version": 1})
    with HeddleClient(stack.control_url, api_key=stack.admin_key) as client:
        started = client.start_rollout(published(client), canary_share=1.0, tenants=[tenant.id])
        assert until_some_are_done(client, started.id) < ADAPTERS
        before = process(stack, "dispatcher")
        before.kill()
        over = client.wait_for_rollout(started.id, timeout_seconds=120)
        assert (over.status, over.counts["done"]) == ("complete", ADAPTERS)
        report = client.rollout_report(started.id)
        job = client.job(over.job).document()
    assert process(stack, "dispatcher").pid != before.pid
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    rows = {one["adapter"]: one for one in report["adapters"]}
    assert sorted(rows) == names
    for name in names:
        versions = tenant.call("GET", f"/v1/adapters/{name}/versions")["data"]
        assert [one["version"] for one in versions] == [2, 1]
        alias = tenant.call("GET", f"/v1/adapters/{name}/aliases/production")
        assert rows[name]["outcome"] in ("better", "equal", "worse"), rows[name]
        assert alias["version"] == (2 if rows[name]["passed"] else 1)
    moves = tenant.call("GET", "/v1/audit_events?limit=100&action=rollout_moved_alias")["data"]
    assert len(moves) == sum(one["moved"] for one in rows.values()) > 0
