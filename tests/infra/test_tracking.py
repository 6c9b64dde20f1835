"""The experiment tracker: none where none is asked for; MLflow itself, in a sqlite store, where it is installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from heddle_infra.tracking import figures, flattened, open_tracker
from heddle_platform.base.alarms import Alarm
from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.settings import TrackingSettings

RECIPE = {"name": "tiny", "seed": 3, "terms": [{"kind": "kl", "schedule": {"weight": 4.0}}], "network": {"latents": 2}}


def measurement(step: int) -> Measurement:
    return Measurement(
        step=step,
        elapsed_seconds=step / 10,
        losses={"kl": 5.0},
        mse={"dsprites": 0.02},
        edges={"dsprites": 0.4},
        active_units=1,
        kl_per_latent=(4.5, 0.5),
        scores={"dsprites": {"mig": Reading(value=0.25)}},
        warnings=(Alarm(name="blurry", finding="40%", advice="train longer"),),
    )


def test_none_is_opened_where_none_is_configured() -> None:
    assert open_tracker(TrackingSettings(mlflow_tracking_uri=None), run="a", name="b") is None


def test_recipes_become_dotted_parameters_and_measurements_numbers() -> None:
    assert flattened(RECIPE) == {
        "name": "tiny",
        "seed": 3,
        "terms.0.kind": "kl",
        "terms.0.schedule.weight": 4.0,
        "network.latents": 2,
    }
    found = figures(measurement(7))
    assert (found["mse"], found["kl"], found["kl/latent_001"], found["mig/dsprites"]) == (0.02, 5.0, 0.5, 0.25)


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: pip install 'heddle[tracking]'")
def test_a_run_taken_up_again_goes_on_in_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)  # its files go to ./mlruns
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    settings = TrackingSettings(mlflow_tracking_uri=uri, mlflow_experiment="bases")
    for step in (1, 2):
        tracker = open_tracker(settings, run="job_1", name="tiny")
        assert tracker is not None
        tracker.started(RECIPE, "0.1")
        tracker.measured(measurement(step), b"\x89PNG")
        if step == 2:
            tracker.finished("f" * 64, {"card.html": b"<!doctype html>"})
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("bases")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.params["terms.0.schedule.weight"] == "4.0"
    assert run.data.tags["base_digest"] == "f" * 64
    assert run.data.tags["warning.blurry"] == "40%"
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "mig/dsprites")
    assert [(each.step, each.value) for each in history] == [(1, 0.25), (2, 0.25)]
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert kept == {"card.html", "traversals"}


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: pip install 'heddle[tracking]'")
def test_a_tracker_that_is_away_costs_no_training(tmp_path: Path) -> None:
    settings = TrackingSettings(mlflow_tracking_uri=f"sqlite:///{tmp_path / 'missing' / 'runs.db'}")
    tracker = open_tracker(settings, run="job_1", name="tiny")
    assert tracker is not None
    tracker.started(RECIPE, "0.1")
    tracker.measured(measurement(1), b"")
    tracker.finished("f", {})
