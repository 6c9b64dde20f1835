"""The same path on real data: drawn avatars made by other hands, and photographs of faces."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.e2e.wire import DEMO_FACTORS, LabelledImages, Wire, png


def labelled(path: Path, factors: Sequence[str], count: int, seed: int = 0) -> LabelledImages:
    """Draw `count` images of a data file, with the levels that occur among them."""
    with np.load(path) as data:
        chosen = np.sort(np.random.default_rng(seed).choice(len(data["images"]), count, replace=False))
        images, indices = data["images"][chosen], data["factors"][chosen]
        names = [str(name) for name in data["factor_names"]]
        values = [[str(value) for value in levels] for levels in json.loads(str(data["factor_values"]))]
    columns = {name: names.index(name) for name in factors}
    labels = [{name: values[column][row[column]] for name, column in columns.items()} for row in indices]
    specs = [
        {"name": name, "kind": "categorical", "levels": sorted({label[name] for label in labels})} for name in factors
    ]
    return LabelledImages(tuple(png(image) for image in images), tuple(labels), {"name": "real", "factors": specs})


def fit(wire: Wire, data: LabelledImages) -> dict[str, object]:
    dataset = wire.dataset(data.archive(range(len(data.images))), data.factor_set)
    assert dataset["status"] == "ready", wire.call("GET", f"/v1/datasets/{dataset['id']}/validation")
    job = wire.wait(wire.queue_fit(dataset["id"], "real", adapter="real"))
    version = wire.call("GET", f"/v1/adapters/real/versions/{job['result']['version']}")
    card = wire.call("GET", f"/v1/adapters/real/versions/{version['version']}/card")
    return {
        "job": job,
        "gate": version["gate"]["factors"],
        "card": {factor["name"]: factor for factor in card["factors"]},
    }


def test_avatars_read_well_and_edit(tenant: Wire, shared_data: Path) -> None:
    data = labelled(shared_data / "avatars.npz", DEMO_FACTORS, 1000)
    done = fit(tenant, data)
    job, gate, card = done["job"], done["gate"], done["card"]
    assert isinstance(job, dict)
    assert isinstance(gate, dict)
    assert isinstance(card, dict)
    assert job["status"] in ("succeeded", "awaiting_approval"), job["error"]
    assert np.mean([card[name]["accuracy"] for name in DEMO_FACTORS]) >= 0.85
    passed = [name for name in DEMO_FACTORS if gate[name]["passed"]]
    assert len(passed) >= 4, gate
    tenant.approve("real", job["result"]["version"])
    target = next(level for level in data.factor_set["factors"][5]["levels"] if level != data.labels[0]["background"])
    answer = tenant.edit_when_served(data.images[0], {"adapter": "real", "set": {"background": target}})
    assert answer.status_code == 200, answer.text


def test_photographs_pass_by_pose_and_sunglasses_and_expression_is_refused(tenant: Wire, shared_data: Path) -> None:
    data = labelled(shared_data / "cmu_faces.npz", ("pose", "expression", "eyes"), 624)
    done = fit(tenant, data)
    job, gate = done["job"], done["gate"]
    assert isinstance(job, dict)
    assert isinstance(gate, dict)
    assert job["status"] == "awaiting_approval", job["error"]
    assert {name: gate[name]["passed"] for name in gate} == {"pose": True, "expression": False, "eyes": True}
    assert any("expression" in reason or "accuracy" in reason for reason in gate["expression"]["reasons"])
    tenant.approve("real", job["result"]["version"])
    refused = tenant.edit_when_served(data.images[0], {"adapter": "real", "set": {"expression": "happy"}})
    assert refused.status_code == 422, refused.text
    assert refused.json()["code"] == "factor_refused"
