"""Erasing rows of a served adapter over the wire, with kill -9 in the middle: all of it goes, once, and edits go on."""

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heddle_adapters.artifact import unpack
from heddle_adapters.statistics import unpack_statistics
from heddle_adapters.unlearn import closed_form, unlearn
from heddle_infra.s3 import S3ObjectStore
from heddle_platform import keys
from heddle_platform.factors import parse_factor_set
from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from tests.conftest import HEDDLE, clean_environment
from tests.e2e.test_kill import process
from tests.e2e.wire import LabelledImages, Wire

ROWS = 300
GONE = (7, 100, 250)
EDITED = 900  # a row that is in no set


@dataclass(frozen=True)
class Before:
    """The tenant before the erasure: its set, version 1, an edit of it, and what only the store still knows later."""

    dataset: dict[str, Any]
    version: dict[str, Any]
    edit: dict[str, Any]
    picture: bytes
    left: Any


@pytest.fixture(scope="module")
def before(module_tenant: Wire, micah: LabelledImages, stack_objects: S3ObjectStore) -> Before:
    wire = module_tenant
    dataset = wire.dataset(micah.archive(range(ROWS)), micah.factor_set)
    job = wire.wait(wire.queue_fit(dataset["id"], "avatars"))
    wire.approve("avatars", job["result"]["version"])
    edit = {"adapter": "avatars@production", "set": {"background": micah.labels[1]["background"]}}
    first = wire.edit_when_served(micah.images[EDITED], edit)
    assert first.headers["x-adapter-version"] == "avatars@1"
    assert wire.edit(micah.images[EDITED], edit).headers["x-cache"] == "hit"
    version = wire.call("GET", "/v1/adapters/avatars/versions/1")
    return Before(dataset, version, edit, first.content, statistics_left(stack_objects, wire, dataset, version, micah))


def statistics_left(
    store: S3ObjectStore, wire: Wire, dataset: dict[str, Any], version: dict[str, Any], micah: LabelledImages
) -> Any:
    """Take the rows out of the stored statistics by hand."""
    manifest = Manifest.from_bytes(store.get(keys.dataset_manifest(wire.id, dataset["digest"])))
    values_NF = manifest.table(parse_factor_set(micah.factor_set)).values_NF
    packed = store.get(keys.latents(wire.id, dataset["digest"], version["base"]["digest"]))
    latents_NL = unpack_latents(packed, rows=ROWS).astype(np.float64)
    adapter, statistics = (
        store.get(keys.adapter_file(wire.id, version["digest"], file)) for file in ("adapter.npz", "statistics.npz")
    )
    rows = list(GONE)
    return unlearn(unpack(adapter), unpack_statistics(statistics), latents_NL[rows], values_NF[rows]).statistics


def traces(store: S3ObjectStore, wire: Wire, micah: LabelledImages) -> list[tuple[str, int]]:
    """Name every object of the tenant that holds an erased picture or its digest, archives looked into."""
    found = []
    for info in list(store.list(keys.tenant_prefix(wire.id))):
        data = store.get(info.key)
        parts = [data]
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
        for row in GONE:
            image = micah.images[row]
            needles = (image, image[len(image) // 2 :][:48], hashlib.sha256(image).hexdigest().encode())
            if any(needle in part for needle in needles for part in parts):
                found.append((info.key, row))
    return found


@pytest.fixture(scope="module")
def erasure(
    stack: Any, module_tenant: Wire, before: Before, micah: LabelledImages, stack_objects: S3ObjectStore
) -> dict[str, Any]:
    """Erase three rows while the dispatcher is killed twice: in the middle of the work, and before the last step."""
    wire = module_tenant
    assert len(traces(stack_objects, wire, micah)) >= len(GONE)
    path = f"/v1/datasets/{before.dataset['id']}/items"
    items: list[dict[str, Any]] = []
    after = ""
    while len(items) < ROWS:
        page = wire.call("GET", f"{path}?limit=100{after}")
        items += page["data"]
        after = f"&after={page['next_cursor']}"
    chosen = [items[row]["id"] for row in GONE]
    body = {"dataset": before.dataset["id"], "items": chosen, "reason": "asked by three people"}
    made = wire.call("POST", "/v1/erasure_requests", json=body)
    assert made["status"] == "queued"
    address = f"/v1/erasure_requests/{made['id']}"
    wire.poll(address, lambda found: found["status"] == "running" and found["progress"] > 0)
    process(stack, "dispatcher").kill()
    wire.poll(address, lambda found: found["attempt"] == 2 and found["stage"] == "deleting")
    process(stack, "dispatcher").kill()
    done = wire.poll(address, lambda found: found["status"] in ("done", "failed"))
    assert (done["status"], done["error"], done["attempt"]) == ("done", None, 3)
    return done


def test_nothing_of_the_pictures_is_left(
    erasure: dict[str, Any], module_tenant: Wire, before: Before, micah: LabelledImages, stack_objects: S3ObjectStore
) -> None:
    assert erasure["erased"]["images"] == len(GONE)
    assert erasure["cache_entries"] >= 2, "the latent and the picture of the edit before"
    assert traces(stack_objects, module_tenant, micah) == []
    after = module_tenant.call("GET", f"/v1/datasets/{before.dataset['id']}")
    assert (after["images"], after["status"]) == (ROWS - len(GONE), "ready")
    files = [row["file"] for row in module_tenant.call("GET", f"/v1/datasets/{after['id']}/items?limit=100")["data"]]
    assert "00007.png" not in files
    assert "00008.png" in files


def test_the_version_was_replaced_exactly_once(erasure: dict[str, Any], module_tenant: Wire, before: Before) -> None:
    new, old = module_tenant.call("GET", "/v1/adapters/avatars/versions")["data"]
    assert (old["status"], old["replaced_by"], old["files"]) == ("erased", 2, {})
    assert (new["version"], new["replaces"]) == (2, 1)
    assert new["aliases"] == ["production"]
    [one] = erasure["adapters"]
    assert (one["before"], one["after"]) == (before.version["digest"], new["digest"])
    assert module_tenant.control.get("/v1/adapters/avatars/versions/1/card").status_code == 404
    page = module_tenant.control.get("/v1/adapters/avatars/card", headers={"Accept": "text/html"})
    assert page.text.rstrip().endswith("</html>")


def test_the_closed_form_is_that_of_a_fit_without_the_rows(
    erasure: dict[str, Any], module_tenant: Wire, before: Before, stack_objects: S3ObjectStore
) -> None:
    [one] = erasure["adapters"]
    assert one["difference"] < 1e-8
    data = stack_objects.get(keys.adapter_file(module_tenant.id, one["after"], "statistics.npz"))
    # at the ridge of the old version, for the new one chose its own
    found, expected = closed_form(unpack_statistics(data)), closed_form(before.left)
    assert found.encoding.covariance_LL == pytest.approx(expected.encoding.covariance_LL, abs=1e-8)
    assert found.encoding.cross_PL == pytest.approx(expected.encoding.cross_PL, abs=1e-8)
    assert found.encoding.design_PP == pytest.approx(expected.encoding.design_PP, abs=1e-8)
    assert found.mean_L == pytest.approx(expected.mean_L, abs=1e-8)


def test_edits_go_on_with_the_new_version_and_from_no_old_cache(
    erasure: dict[str, Any], module_tenant: Wire, before: Before, micah: LabelledImages
) -> None:
    answer = module_tenant.edit(micah.images[EDITED], before.edit)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-adapter-version"], answer.headers["x-cache"]) == ("avatars@2", "miss")
    assert module_tenant.edit(micah.images[EDITED], before.edit).headers["x-cache"] == "hit"
    gone = module_tenant.edit(micah.images[EDITED], {**before.edit, "adapter": "avatars@1"})
    assert gone.status_code == 404


def test_the_certificate_is_verified_by_the_command(stack: Any, erasure: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    file.write_text(json.dumps(erasure["certificate"]))

    def verify() -> subprocess.CompletedProcess[str]:
        command = [*HEDDLE, "certificate", "verify", str(file), "--control-url", stack.control_url, "--json"]
        return subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False)

    valid = verify()
    assert valid.returncode == 0, valid.stderr
    document = json.loads(valid.stdout)
    assert document["images"] == sorted(erasure["images"])
    file.write_text(json.dumps(erasure["certificate"]).replace('"labelled_rows": 3', '"labelled_rows": 2'))
    assert verify().returncode == 1
