"""The fit on real images and the shipped base: complete, consistent with itself, and the same every time."""

import io
import json

import numpy as np
import onnxruntime

from heddle_adapters.artifact import unpack
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_workers.fit import fit_set
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips

from .study import LABELLED, Study


def test_a_version_is_complete_and_addressed_by_its_adapter(study: Study) -> None:
    fitted = study.fitted
    kept = {"adapter.npz", "adapter.onnx", "editor.core", "statistics.npz", "card.json", "card.html", "playbook.html"}
    assert set(fitted.files) == kept
    assert fitted.digest == sha256_hex(fitted.files["adapter.npz"])
    assert json.loads(fitted.files["card.json"]) == fitted.card
    assert fitted.files["card.json"] == canonical_json(fitted.card)
    assert fitted.card["labels"] == LABELLED
    assert fitted.card["pool"] == 10
    assert fitted.gate["verdict"] == fitted.verdict


def test_what_the_gate_refuses_the_adapter_refuses(study: Study) -> None:
    adapter = unpack(study.fitted.files["adapter.npz"])
    refused = {name for name, verdict in study.fitted.gate["factors"].items() if not verdict["passed"]}
    assert set(adapter.refused) == refused
    assert adapter.base_digest == study.trips.runtime.digest
    assert adapter.factor_set == study.factor_set


def test_the_graph_computes_what_the_adapter_computes(study: Study) -> None:
    adapter = unpack(study.fitted.files["adapter.npz"])
    session = onnxruntime.InferenceSession(study.fitted.files["adapter.onnx"], providers=["CPUExecutionProvider"])
    latents_BL = study.trips.latents_NL[:7]
    change_BP = np.random.default_rng(0).normal(size=(7, len(adapter.write_PL))).astype(np.float32)
    [edited_BL] = session.run(["edited"], {"latent": latents_BL, "delta": change_BP})
    np.testing.assert_allclose(edited_BL, latents_BL + change_BP @ adapter.write_PL, atol=1e-4)


def test_backgrounds_are_read_on_the_shipped_base(study: Study) -> None:
    [background] = [factor for factor in study.fitted.card["factors"] if factor["name"] == "background"]
    assert background["accuracy"] > 0.8
    assert background["chance"] < 0.3


def test_stages_are_told_and_progress_never_falls(study: Study) -> None:
    shares = [share for _, share in study.stages]
    assert shares == sorted(shares)
    assert list(dict.fromkeys(stage for stage, _ in study.stages)) == ["scoring", "gating", "exporting"]


def test_the_same_set_gives_the_same_bytes(study: Study) -> None:
    trips = RoundTrips(study.trips.runtime, study.images, study.trips.latents_NL, threads=1)
    again = fit_set(study.table, study.factor_set, trips, silent)
    assert again.files["adapter.npz"] == study.fitted.files["adapter.npz"]
    assert again.card == study.fitted.card
    assert again.files == study.fitted.files


def test_the_adapter_holds_no_pickle(study: Study) -> None:
    with np.load(io.BytesIO(study.fitted.files["adapter.npz"]), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files if name != "header.json")
