"""The logs of a whole stack after a main job: of both planes and the dispatcher, for whom, and without a secret."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heddle_infra import local
from tests.conftest import RunningStack
from tests.e2e.wire import LabelledImages, Wire

_SECRET_SETTINGS = ("HEDDLE_ADMIN_KEY", "HEDDLE_SECRET_KEY", "HEDDLE_S3_SECRET_KEY")


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(errors="replace").splitlines() if line.startswith("{")]


def names_a_request_of(tenant_id: str, log: Path) -> bool:
    """Tell whether a request of the tenant is in the log; its line is written once the answer is sent."""
    for _ in range(50):
        finished = [line for line in lines_of(log) if line["event"] == "request_finished"]
        if tenant_id in {line["tenant_id"] for line in finished}:
            return True
        time.sleep(0.1)
    return False


def test_no_secret_is_in_any_log_and_a_jobs_lines_name_its_tenant(
    stack: RunningStack, module_tenant: Wire, micah: LabelledImages
) -> None:
    dataset = module_tenant.dataset(micah.archive(range(200)), micah.factor_set)
    job = module_tenant.wait(module_tenant.queue_fit(dataset["id"], "avatars"))
    module_tenant.edit(micah.images[0], {"adapter": "nobody", "set": {}})
    settings = local.stack_settings(stack.data_dir)
    secrets = [settings[name] for name in _SECRET_SETTINGS]
    secrets.append(str(urlsplit(settings["HEDDLE_REDIS_URL"]).password))
    secrets.append(module_tenant.control.headers["Authorization"].removeprefix("Bearer "))
    logs = stack.data_dir / "logs"
    files = {file.stem: file for file in logs.glob("*.log")}
    assert {"control", "edge", "dispatcher"} <= set(files)
    for file in files.values():
        text = file.read_text(errors="replace")
        for secret in secrets:
            assert len(secret) > 16
            assert secret not in text, file.name
        assert "X-Amz-Signature=" not in text.replace("X-Amz-Signature=***", ""), file.name
    mine = [line for line in lines_of(files["dispatcher"]) if line.get("job_id") == job["id"]]
    assert {line["event"] for line in mine} >= {"job_started", "job_ended"}
    assert {line["tenant_id"] for line in mine} == {module_tenant.id}
    for plane in ("control", "edge"):
        assert names_a_request_of(module_tenant.id, files[plane]), plane
