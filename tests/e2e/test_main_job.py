"""The main job over the wire: labelled set in, edits out, the second identical edit from the cache."""

import io
import zipfile
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image

from heddle_platform.digest import sha256_hex
from tests.e2e.wire import LabelledImages, Wire


@pytest.fixture(scope="module")
def served(module_tenant: Wire, micah: LabelledImages) -> tuple[Wire, dict[str, object]]:
    dataset = module_tenant.dataset(micah.archive(range(800)), micah.factor_set)
    job = module_tenant.wait(module_tenant.queue_fit(dataset["id"], "avatars"))
    module_tenant.approve("avatars", job["result"]["version"])
    return module_tenant, job


def other_level(micah: LabelledImages, row: int, factor: str) -> str:
    levels = next(spec["levels"] for spec in micah.factor_set["factors"] if spec["name"] == factor)
    return str(next(level for level in levels if level != micah.labels[row][factor]))


def test_the_fit_ends_with_a_version_and_a_card(served: tuple[Wire, dict[str, object]]) -> None:
    _, job = served
    result = job["result"]
    assert isinstance(result, dict)
    assert job["status"] in ("succeeded", "awaiting_approval")
    assert result["adapter"] == "avatars"
    assert result["version"] == 1
    assert result["card"]


def test_an_edit_changes_the_picture_and_says_who_made_it(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages
) -> None:
    wire, _ = served
    edit = {"adapter": "avatars@production", "set": {"background": other_level(micah, 900, "background")}}
    first = wire.edit_when_served(micah.images[900], edit)
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "image/png"
    assert first.headers["x-adapter-version"] == "avatars@1"
    assert first.headers["x-cache"] in ("miss", "latent")
    assert first.headers["x-edit-id"]
    assert "dur=" in first.headers["server-timing"]
    again = wire.edit(micah.images[900], edit)
    assert again.headers["x-cache"] == "hit"
    assert again.content == first.content
    before = np.asarray(Image.open(io.BytesIO(micah.images[900])).convert("RGB"), dtype=float)
    after = np.asarray(Image.open(io.BytesIO(first.content)).convert("RGB"), dtype=float)
    assert after.shape == before.shape
    assert np.abs(after[:4, :4] - before[:4, :4]).mean() > 16, "the corner of the picture is background and must change"


@pytest.mark.parametrize(
    ("edit", "status", "words"),
    [
        ({"adapter": "nobody", "set": {}}, 404, "nobody"),
        ({"adapter": "avatars@staging", "set": {"hair": "x"}}, 404, "staging"),
        ({"adapter": "avatars", "set": {"wings": "large"}}, 422, "wings"),
        ({"adapter": "avatars", "set": {"background": "invisible"}}, 422, "invisible"),
    ],
)
def test_an_edit_that_means_nothing_is_an_error(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages, edit: dict[str, object], status: int, words: str
) -> None:
    wire, _ = served
    answer = wire.edit(micah.images[901], edit)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert words in problem["detail"]
    assert problem["code"]
    assert problem["request_id"]


def test_what_edges_saw_of_edited_images_arrives_as_a_verdict(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages
) -> None:
    wire, _ = served
    for row in range(800, 880):  # of the same kind as those fitted on, and not among them
        edit = {"adapter": "avatars", "set": {"background": other_level(micah, row, "background")}}
        assert wire.edit_when_served(micah.images[row], edit).status_code == 200
    # up to seven wait at each replica for an eighth
    page = wire.poll("/v1/drift", lambda found: found["data"][0]["images"] >= 72)
    [found] = page["data"]
    assert (found["adapter"], found["version"], found["reference_images"]) == ("avatars", 1, 800)
    assert found["verdict"] in ("stable", "watch"), found["reasons"]
    assert {one["factor"] for one in found["levels"]} <= {factor["name"] for factor in micah.factor_set["factors"]}


def test_a_job_looks_at_drift_now_and_another_takes_the_version_home(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages
) -> None:
    wire, _ = served
    body: dict[str, object] = {"type": "drift_check", "adapter": "avatars@production"}
    looked = wire.wait(str(wire.call("POST", "/v1/jobs", json=body)["id"]))
    assert looked["error"] is None
    [listed] = wire.call("GET", "/v1/drift")["data"]
    assert (looked["result"]["version"], looked["result"]["verdict"]) == (1, listed["verdict"])
    assert (looked["result"]["in_production"], looked["result"]["webhooks_told"]) == (True, False)

    body = {"type": "export", "adapter": "avatars@production", "formats": ["editor", "onnx", "npz"]}
    job = wire.wait(str(wire.call("POST", "/v1/jobs", json=body)["id"]))
    assert job["error"] is None
    parity = job["result"]["versions"][0]["parity"]
    assert parity["editor"]["pixel_steps_of_255"] <= 1
    assert max(parity["editor"]["readings"], parity["onnx"]["difference"]) <= 1e-5
    place = wire.call("GET", job["result"]["archive"]["url"])
    data = httpx.get(place["url"], timeout=60).raise_for_status().content
    assert (len(data), sha256_hex(data)) == (place["bytes"], place["sha256"])
    archive = zipfile.ZipFile(io.BytesIO(data))
    for file_format, name in (("editor", "editor.onnx"), ("onnx", "onnx"), ("npz", "npz")):
        path = "/v1/adapters/avatars/versions/1/download"
        alone = wire.control.get(path, params={"format": file_format}).raise_for_status().content
        assert archive.read(f"avatars-1.{name}") == alone, "what a download gives, to the byte"


def test_another_tenant_sees_nothing_of_it(
    served: tuple[Wire, dict[str, object]], new_tenant: Callable[[], Wire], micah: LabelledImages
) -> None:
    wire, job = served
    stranger = new_tenant()
    adapter = wire.call("GET", "/v1/adapters/avatars")["id"]
    paths = [f"/v1/jobs/{job['id']}", f"/v1/adapters/{adapter}", f"/v1/adapters/{adapter}/card", "/v1/adapters/avatars"]
    missing = stranger.control.get("/v1/jobs/job_00000000000000000000000000").json()
    for path in paths:
        answer = stranger.control.get(path)
        assert answer.status_code == 404, path
        assert answer.json().keys() == missing.keys()
    assert stranger.edit_when_served(micah.images[0], {"adapter": "avatars", "set": {}}).status_code == 404


def test_a_second_fit_on_the_same_set_encodes_nothing_and_is_byte_identical(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages
) -> None:
    wire, first = served
    dataset = wire.call("GET", f"/v1/jobs/{first['id']}")
    data = wire.call("GET", "/v1/datasets")["data"][0]
    job = wire.wait(wire.queue_fit(data["id"], "avatars"))
    assert dataset["status"] in ("succeeded", "awaiting_approval")
    one, two = (wire.call("GET", f"/v1/adapters/avatars/versions/{n}") for n in (1, job["result"]["version"]))
    assert one["version"] != two["version"]
    assert one["digest"] == two["digest"]


def test_a_version_is_scored_on_images_it_has_not_seen_and_refitted_only_where_something_changed(
    served: tuple[Wire, dict[str, object]], micah: LabelledImages
) -> None:
    wire, _ = served
    versions = wire.call("GET", "/v1/adapters/avatars")["latest_version"]
    other = wire.dataset(micah.archive(range(780, 900)), micah.factor_set, name="unseen")
    body = {"type": "evaluate", "adapter": "avatars@production", "dataset": other["id"]}
    job = wire.wait(str(wire.call("POST", "/v1/jobs", json=body)["id"]))
    assert job["error"] is None
    result = job["result"]
    assert (result["version"], result["labels"], result["seen"], result["scored"]) == (1, 120, 20, 100)
    assert sorted([*result["better"], *result["equal"], *result["worse"]]) == sorted(
        factor["name"] for factor in micah.factor_set["factors"]
    )
    assert result["accuracy"] > 0.6
    whole = wire.call("GET", result["evaluation"]["url"])
    assert whole["factors"][0]["confusion"]
    refit = wire.wait(str(wire.call("POST", "/v1/jobs", json={"type": "refit", "adapter": "avatars"})["id"]))
    assert (refit["status"], refit["result"]["unchanged"], refit["result"]["version"]) == ("succeeded", True, 1)
    assert wire.call("GET", "/v1/adapters/avatars")["latest_version"] == versions
