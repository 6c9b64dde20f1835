"""The task of a drift check: what a version was fitted on and sums of what it edited in, a document out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from heddle_platform.drift import Watched, WatchedSums
from heddle_workers.progress import Failed, Progress, Report, streamed


@dataclass(frozen=True)
class DriftRequest:
    """A version to be judged by sums over the last `window_hours`; None: it edited nothing."""

    watched: Watched
    found: WatchedSums | None
    window_hours: int


def heddle_drift_check(request: DriftRequest) -> Iterator[Progress | Failed | dict[str, Any]]:
    """Judge a version's drift; ends with what `GET /v1/drift` tells."""

    def work(report: Report) -> dict[str, Any]:
        from heddle_adapters.drift_report import drift_report

        report("judging", 0.0)
        return drift_report(request.watched, request.found, request.window_hours).model_dump(mode="json")

    yield from streamed(work)
