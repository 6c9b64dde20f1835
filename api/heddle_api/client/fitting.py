"""What a tenant does to get an adapter: factor sets, labelled sets, jobs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from heddle_api.client.errors import ApiError
from heddle_api.client.overseeing import OverseeingCalls
from heddle_api.client.packing import packed_folder, packed_pictures
from heddle_api.client.pictures import Picture
from heddle_api.client.planes import segment
from heddle_api.client.results import DatasetInfo, Document, EstimateInfo, FactorSetInfo, JobInfo, PreviewInfo
from heddle_api.client.upload import Progress

POLL_SECONDS: Final = 0.25
_YAML: Final = "application/yaml"
T = TypeVar("T")


class FittingCalls(OverseeingCalls):
    """Calls of tenants up to a fitted adapter."""

    def register_factor_set(self, document: Document | str) -> FactorSetInfo:
        """Register a factor set; a changed one under a known name becomes its next version.

        Args:
            document: the set, or its YAML text.
        """
        return FactorSetInfo.model_validate(self._send_factor_set("/v1/factor_sets", document))

    def check_factor_set(self, document: Document | str) -> Document:
        """Check a factor set without storing it: {valid, fault_count, errors, document}."""
        found: Document = self._send_factor_set("/v1/factor_sets/validate", document)
        return found

    def _send_factor_set(self, path: str, document: Document | str) -> Any:
        if isinstance(document, str):
            return self._control.json("POST", path, content=document.encode(), headers={"Content-Type": _YAML})
        return self._control.json("POST", path, document)

    def factor_sets(self) -> list[FactorSetInfo]:
        """List factor sets in their newest versions."""
        return [FactorSetInfo.model_validate(found) for found in self._all("/v1/factor_sets")]

    def factor_set(self, reference: str, version: int | None = None) -> FactorSetInfo:
        """Read a factor set by id or name; `document()` holds its factors."""
        path = f"/v1/factor_sets/{segment(reference)}" + (f"/versions/{version}" if version is not None else "")
        return FactorSetInfo.model_validate(self._control.json("GET", path))

    def create_dataset(self, name: str, *, factor_set: str, upload: str) -> DatasetInfo:
        """Register a completed upload as a labelled set; its validation starts at once."""
        body = {"name": name, "factor_set": factor_set, "upload": upload}
        return DatasetInfo.model_validate(self._control.json("POST", "/v1/datasets", body))

    def upload_dataset(
        self, name: str, source: bytes | Path, *, factor_set: str, on_progress: Progress | None = None
    ) -> DatasetInfo:
        """Upload a labelled set and register it.

        Args:
            name: of the set.
            source: a folder of images with `labels.csv`, a zip of one, or a Parquet file; or the bytes of either file.
            factor_set: what its labels are read with.
            on_progress: told bytes sent and bytes in all, as they go out.

        Raises:
            ValueError: the folder has no `labels.csv`.
        """
        if isinstance(source, bytes):
            upload = self.upload(source, on_progress=on_progress)
        else:
            with packed_folder(source) as file:
                upload = self.upload(file, on_progress=on_progress)
        return self.create_dataset(name, factor_set=factor_set, upload=upload)

    def label_pictures(
        self,
        name: str,
        pictures: Sequence[Picture],
        labels: Sequence[Mapping[str, Any]],
        *,
        factor_set: str,
        on_progress: Progress | None = None,
    ) -> DatasetInfo:
        """Upload pictures and their labels from memory as a labelled set.

        Args:
            name: of the set.
            pictures: files, bytes, uint8 arrays or PIL images.
            labels: factor -> level or number, one mapping for each picture; a key `weight` in it says how often the
                picture counts beside the others.
            factor_set: what the labels are read with.
            on_progress: told bytes sent and bytes in all, as they go out.

        Raises:
            ValueError: pictures and labels differ in number, or one is no picture.
        """
        data = packed_pictures(pictures, labels)
        return self.upload_dataset(name, data, factor_set=factor_set, on_progress=on_progress)

    def datasets(self) -> list[DatasetInfo]:
        """List labelled sets, newest first."""
        return [DatasetInfo.model_validate(found) for found in self._all("/v1/datasets")]

    def dataset(self, reference: str) -> DatasetInfo:
        """Read a labelled set by id or name."""
        return DatasetInfo.model_validate(self._control.json("GET", f"/v1/datasets/{segment(reference)}"))

    def validation(self, reference: str) -> Document:
        """Read the validation report of a labelled set: every fault by row and column."""
        found: Document = self._control.json("GET", f"/v1/datasets/{segment(reference)}/validation")
        return found

    def delete_dataset(self, reference: str) -> None:
        """Delete a labelled set that no job has used, with its images; of others `erase` takes images out."""
        self._control.send("DELETE", f"/v1/datasets/{segment(reference)}")

    def wait_for_dataset(
        self,
        reference: str,
        *,
        on_progress: Callable[[DatasetInfo], None] | None = None,
        timeout_seconds: float = 600.0,
    ) -> DatasetInfo:
        """Wait until a labelled set is ready or rejected.

        Args:
            reference: id or name of the set.
            on_progress: told the set whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        checked = lambda found: found.status != "validating"  # noqa: E731
        return self._wait(lambda: self.dataset(reference), checked, timeout_seconds, on_progress)

    def fit(
        self,
        adapter: str,
        *,
        factor_set: str,
        dataset: str,
        base: str = "default",
        card: str = "full",
        priority: int = 0,
    ) -> JobInfo:
        """Queue a fit that makes the next version of an adapter.

        Args:
            adapter: its name.
            factor_set: id, name or name@version; the one the set was labelled with.
            dataset: id or name of a labelled set.
            base: alias, id or name.
            card: "full", or "brief" for fleets of small fits: a card without curves and pictures, much sooner done.
            priority: -5 to 5, which of your own jobs goes first.
        """
        body = _fit(adapter, factor_set, dataset, base, card, priority)
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def estimate_job(
        self,
        adapter: str,
        *,
        factor_set: str,
        dataset: str,
        base: str = "default",
        card: str = "full",
        priority: int = 0,
    ) -> EstimateInfo:
        """Say what a fit would cost and when it would be done, without queueing it; arguments as for `fit`."""
        body = _fit(adapter, factor_set, dataset, base, card, priority)
        return EstimateInfo.model_validate(self._control.json("POST", "/v1/jobs/estimate", body))

    def preview_fit(
        self, dataset: str, *, factor_set: str | None = None, base: str = "default", count: int = 10
    ) -> PreviewInfo:
        """Say what a fit would be worth now and what to label next; stores nothing.

        Args:
            dataset: a labelled set that the base has encoded.
            factor_set: the set's own by default.
            base: alias, id or name.
            count: how many images to choose.
        """
        body: Document = {"dataset": dataset, "base": base, "count": count}
        if factor_set is not None:
            body["factor_set"] = factor_set
        return PreviewInfo.model_validate(self._control.json("POST", "/v1/fits/preview", body))

    def jobs(
        self, *, status: str | None = None, dead_letter: bool | None = None, job_type: str | None = None
    ) -> list[JobInfo]:
        """List jobs, newest first.

        Args:
            status: only jobs in this status.
            dead_letter: only jobs whose attempts were used up (True), or only others (False).
            job_type: only jobs of this type, such as "evaluate"; None: all that was asked for.
        """
        query: dict[str, Any] = {"status": status} if status else {}
        if job_type is not None:
            query["type"] = job_type
        if dead_letter is not None:
            query["dead_letter"] = dead_letter
        return [JobInfo.model_validate(found) for found in self._all("/v1/jobs", **query)]

    def job(self, job_id: str) -> JobInfo:
        """Read a job."""
        return JobInfo.model_validate(self._control.json("GET", f"/v1/jobs/{segment(job_id)}"))

    def job_events(self, job_id: str) -> list[Document]:
        """Read a job's history, oldest first."""
        return self._all(f"/v1/jobs/{segment(job_id)}/events")

    def cancel_job(self, job_id: str) -> JobInfo:
        """Cancel a job."""
        return JobInfo.model_validate(self._control.json("POST", f"/v1/jobs/{segment(job_id)}/cancel"))

    def retry_job(self, job_id: str) -> JobInfo:
        """Queue a job that failed again."""
        return JobInfo.model_validate(self._control.json("POST", f"/v1/jobs/{segment(job_id)}/retry"))

    def wait_for_job(
        self,
        job_id: str,
        *,
        on_progress: Callable[[JobInfo], None] | None = None,
        timeout_seconds: float = 3_600.0,
    ) -> JobInfo:
        """Wait until a job is over and return it, failed or not.

        Args:
            job_id: the job.
            on_progress: told the job whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        return self._wait(lambda: self.job(job_id), lambda job: job.is_final, timeout_seconds, on_progress)

    def _wait(
        self,
        read: Callable[[], T],
        done: Callable[[T], bool],
        timeout_seconds: float,
        on_progress: Callable[[T], None] | None = None,
    ) -> T:
        ends = time.monotonic() + timeout_seconds
        while True:
            found = read()
            if on_progress is not None:
                on_progress(found)
            if done(found):
                return found
            if time.monotonic() > ends:
                raise timed_out(timeout_seconds)
            self._sleep(POLL_SECONDS)


def timed_out(timeout_seconds: float) -> ApiError:
    """Return the error of a wait that took too long."""
    sentence = f"after {timeout_seconds:g} seconds it is still not done; ask again later"
    return ApiError(0, {"code": "wait_timed_out", "detail": sentence, "retryable": True})


def _fit(adapter: str, factor_set: str, dataset: str, base: str, card: str, priority: int) -> Document:
    body: Document = {"type": "fit", "adapter": adapter, "factor_set": factor_set, "dataset": dataset, "base": base}
    # what is as usual is not said: a platform before these options takes the fit, too
    return body | ({} if card == "full" else {"card": card}) | ({} if priority == 0 else {"priority": priority})
