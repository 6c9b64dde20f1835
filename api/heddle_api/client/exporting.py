"""Jobs on versions that make no version: files in one archive that is read from the object store; drift, now."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from heddle_api.client.errors import ApiError, Unreachable, error_of
from heddle_api.client.planes import segment
from heddle_api.client.refitting import RefittingCalls
from heddle_api.client.results import Document, EstimateInfo, JobInfo, Result

EDITOR: Final = ("editor",)
_BLOCK: Final = 1024**2
_TIMEOUT_SECONDS: Final = 60.0


class ArchiveInfo(Result):
    """Where an archive can be read without a key, until when, and what it must be."""

    url: str
    expires_at: str
    filename: str
    bytes: int
    sha256: str


class ExportingCalls(RefittingCalls):
    """Calls of tenants that take versions home in one archive, and have drift looked at."""

    def export(self, *adapters: str, formats: Sequence[str] = EDITOR, priority: int = 0) -> JobInfo:
        """Queue the making of versions' files, each held against the platform's arithmetic, in one zip.

        Args:
            adapters: each name@alias or name@version; by the name alone the version in production, else the newest.
            formats: of "editor" (one ONNX file that edits pictures), "onnx" (the adapter's graph), "npz" (matrices).
            priority: -5 to 5, which of your own jobs goes first.
        """
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", _export(adapters, formats, priority)))

    def estimate_export(self, *adapters: str, formats: Sequence[str] = EDITOR, priority: int = 0) -> EstimateInfo:
        """Say what an export would cost and when it would be done; arguments as for `export`."""
        body = _export(adapters, formats, priority)
        return EstimateInfo.model_validate(self._control.json("POST", "/v1/jobs/estimate", body))

    def check_drift(self, adapter: str, *, window_hours: int | None = None, priority: int = 0) -> JobInfo:
        """Queue a look at a version's drift; its result is what `drift` tells, and it tells webhooks as the hourly one.

        Args:
            adapter: name@alias or name@version; by the name alone the version in production, else the newest.
            window_hours: how many hours to look back, 1 to 720; None: a week.
            priority: -5 to 5, which of your own jobs goes first.
        """
        body: Document = {"type": "drift_check", "adapter": adapter}
        body |= {} if window_hours is None else {"window_hours": window_hours}
        body |= {} if priority == 0 else {"priority": priority}
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def export_archive(self, job_id: str) -> ArchiveInfo:
        """Find the archive that an export made."""
        return ArchiveInfo.model_validate(self._control.json("GET", f"/v1/jobs/{segment(job_id)}/export"))

    def save_export(self, job_id: str, path: Path) -> ArchiveInfo:
        """Write the archive that an export made to a file, which is there whole or not at all.

        Raises:
            ApiError: code `digest_mismatch`: what came is not what was made; or the object store refused.
        """
        found = self.export_archive(job_id)
        aside = path.with_name(path.name + ".part")
        try:
            if _read_to(found.url, aside) != found.sha256:
                sentence = f"what came of {found.filename} is not what was made; ask again"
                raise ApiError(0, {"code": "digest_mismatch", "detail": sentence, "retryable": True})
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return found


def _read_to(url: str, path: Path) -> str:
    """Write what lies at a signed address to a file and return its SHA-256; no key goes there."""
    digest = hashlib.sha256()
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT_SECONDS) as answer, path.open("wb") as file:
            if not answer.is_success:
                answer.read()
                raise error_of(answer)
            for block in answer.iter_bytes(_BLOCK):
                digest.update(block)
                file.write(block)
    except httpx.TransportError as error:
        sentence = f"the object store does not answer: {error}"
        raise Unreachable(0, {"code": "unreachable", "detail": sentence, "retryable": True}) from error
    return digest.hexdigest()


def _export(adapters: Sequence[str], formats: Sequence[str], priority: int) -> Document:
    body: Document = {"type": "export", "adapter": list(adapters), "formats": list(formats)}
    return body | ({} if priority == 0 else {"priority": priority})
