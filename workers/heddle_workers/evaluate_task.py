"""The task of an evaluation: addresses of a version and of a set's labels and latents in, a document out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from heddle_platform.latents import unpack_latents
from heddle_platform.manifest import Manifest
from heddle_workers.fetch import fetch_bytes
from heddle_workers.progress import Failed, Progress, Report, streamed
from heddle_workers.tasks import ARTIFACT_MAX_BYTES, LATENTS_MAX_BYTES, MANIFEST_MAX_BYTES


@dataclass(frozen=True)
class EvaluateRequest:
    """A version to be scored.

    Attributes:
        adapter_url: its matrices.
        card: its card's document.
        manifest_url, latents_url: of the set; its images are not read.
        fitted_on_url: the manifest of the set that the version was fitted on; None: it is not known any more.
    """

    adapter_url: str
    card: dict[str, Any]
    manifest_url: str
    latents_url: str
    fitted_on_url: str | None


def heddle_evaluate(request: EvaluateRequest) -> Iterator[Progress | Failed | dict[str, Any]]:
    """Score a version; ends with the document of an `Evaluation`."""

    def work(report: Report) -> dict[str, Any]:
        from heddle_workers.evaluate import evaluate_set

        report("fetching", 0.0)
        manifest = _manifest(request.manifest_url)
        fitted_on = _manifest(request.fitted_on_url) if request.fitted_on_url else None
        latents = fetch_bytes(request.latents_url, max_bytes=LATENTS_MAX_BYTES)
        adapter = fetch_bytes(request.adapter_url, max_bytes=ARTIFACT_MAX_BYTES)
        report("scoring", 0.2)
        latents_NL = unpack_latents(latents, rows=len(manifest.all))
        return evaluate_set(adapter, request.card, manifest, latents_NL, fitted_on)

    yield from streamed(work)


def _manifest(url: str) -> Manifest:
    return Manifest.from_bytes(fetch_bytes(url, max_bytes=MANIFEST_MAX_BYTES))
