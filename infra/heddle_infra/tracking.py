"""An experiment tracker behind `RunTracker`: MLflow where it is installed and configured, else none.

MLflow may be away, slow or full: what it refuses is logged once and the training goes on, for the run's own log is
written either way. Its file store refuses to start since 3.17; `sqlite:///path` and servers work.
"""

import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import structlog

from heddle_platform.base.readings import Measurement
from heddle_platform.settings import TrackingSettings

_RUN_TAG: Final = "heddle_run"
_LONGEST_VALUE: Final = 6000  # characters of a parameter, MLflow's own bound

log = structlog.get_logger()


def open_tracker(settings: TrackingSettings, *, run: str, name: str) -> "MlflowTracker | None":
    """Return a tracker for one run, or None where none is configured or MLflow is not installed.

    Args:
        settings: where the tracker is.
        run: key of the run; a run taken up again under the same key goes on in the same place.
        name: for people.
    """
    if settings.mlflow_tracking_uri is None:
        return None
    if find_spec("mlflow") is None:
        log.warning("tracker_missing", detail="HEDDLE_MLFLOW_TRACKING_URI is set; pip install 'heddle[tracking]'")
        return None
    return MlflowTracker(settings.mlflow_tracking_uri, settings.mlflow_experiment, run=run, name=name)


class MlflowTracker:
    """One run in MLflow; a `RunTracker`. Nothing is connected to before it starts."""

    def __init__(self, uri: str, experiment: str, *, run: str, name: str) -> None:
        self._uri, self._experiment, self._run, self._name = uri, experiment, run, name
        self._client: Any = None
        self._run_id = ""

    def started(self, recipe: dict[str, Any], code_version: str) -> None:
        """Find the run by its key or begin it, with the recipe's fields as parameters."""

        def start() -> None:
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=self._uri)
            found = client.get_experiment_by_name(self._experiment)
            experiment = found.experiment_id if found else client.create_experiment(self._experiment)
            runs = client.search_runs([experiment], f"tags.{_RUN_TAG} = '{self._run}'", max_results=1)
            if runs:
                self._run_id = runs[0].info.run_id
            else:
                tags = {_RUN_TAG: self._run, "heddle_version": code_version}
                self._run_id = client.create_run(experiment, tags=tags, run_name=self._name).info.run_id
                for path, value in flattened(recipe).items():
                    client.log_param(self._run_id, path, str(value)[:_LONGEST_VALUE])
            self._client = client

        self._guarded(start)

    def measured(self, measurement: Measurement, traversal: bytes) -> None:
        """Log every figure at its step, and the traversal picture."""

        def send() -> None:
            from mlflow.entities import Metric

            stamp = int(measurement.elapsed_seconds * 1000)
            metrics = [Metric(key, value, stamp, measurement.step) for key, value in figures(measurement).items()]
            self._client.log_batch(self._run_id, metrics=metrics)
            self._store({f"step-{measurement.step:07d}.png": traversal}, "traversals")
            for alarm in measurement.warnings:
                self._client.set_tag(self._run_id, f"warning.{alarm.name}", alarm.finding)

        if self._client is not None:
            self._guarded(send)

    def finished(self, digest: str, files: dict[str, bytes]) -> None:
        """Note the base's digest, keep the files, end the run."""

        def end() -> None:
            self._client.set_tag(self._run_id, "base_digest", digest)
            self._store(files, "")
            self._client.set_terminated(self._run_id)

        if self._client is not None:
            self._guarded(end)

    def _store(self, files: Mapping[str, bytes], folder: str) -> None:
        with tempfile.TemporaryDirectory(prefix="heddle-mlflow-") as aside:
            for name, data in files.items():
                path = Path(aside) / name
                path.write_bytes(data)
                self._client.log_artifact(self._run_id, str(path), folder or None)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever a tracker raises, it is not worth a training
            log.warning("tracker_failed", detail=f"{type(error).__name__}: {str(error)[:200]}", exc_info=False)


def flattened(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested plain values by dotted path: {"terms": [{"kind": "kl"}]} is {"terms.0.kind": "kl"}."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{path}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
            for index, each in enumerate(value):
                flat |= flattened(each, f"{path}.{index}.")
        else:
            flat[path] = value
    return flat


def figures(measurement: Measurement) -> dict[str, float]:
    """All numbers of a measurement by name, as a tracker takes them."""
    found = {f"loss/{name}": value for name, value in measurement.losses.items()}
    found |= {f"mse/{part}": value for part, value in measurement.mse.items()}
    found |= {f"edges/{part}": value for part, value in measurement.edges.items()}
    found |= {f"kl/latent_{index:03d}": nats for index, nats in enumerate(measurement.kl_per_latent)}
    for part, readings in measurement.scores.items():
        found |= {f"{name}/{part}": reading.value for name, reading in readings.items()}
    return {**found, "mse": measurement.distortion, "kl": measurement.kl, "active_units": measurement.active_units}
