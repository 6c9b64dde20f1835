"""Batches of edits: many images sent at once, drawn when nobody else waits, fetched when they are done."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from heddle_api.client.pictures import Picture, picture_bytes
from heddle_api.client.results import BatchInfo
from heddle_api.client.rolling import RollingCalls

_PATH: Final = "/v1/edit_batches"


class BatchingCalls(RollingCalls):
    """The part of `HeddleClient` that speaks of batches."""

    def edit_batch(
        self, images: Sequence[Picture], edits: Sequence[Mapping[str, Any]], *, accept: str = "image/png"
    ) -> BatchInfo:
        """Queue every edit of every image.

        Args:
            images: at most 200, each as for `edit`.
            edits: as for `edit`.
            accept: type of the pictures.
        """
        files = [
            ("image", (str(at), picture_bytes(image), "application/octet-stream")) for at, image in enumerate(images)
        ]
        fields = {"edits": json.dumps([dict(edit) for edit in edits]), "accept": accept}
        answer = self._edge.send("POST", _PATH, data=fields, files=files)
        return BatchInfo.model_validate(answer.json())

    def batches(self) -> list[BatchInfo]:
        """List the newest batches, at most 100; they are kept for a day."""
        page = self._edge.json("GET", _PATH, params={"limit": 100})
        return [BatchInfo.model_validate(one) for one in page["data"]]

    def batch(self, batch_id: str) -> BatchInfo:
        """Read how far a batch is, and what became of each item."""
        return BatchInfo.model_validate(self._edge.json("GET", _of(batch_id)))

    def wait_for_batch(
        self,
        batch_id: str,
        *,
        on_progress: Callable[[BatchInfo], None] | None = None,
        timeout_seconds: float = 3_600.0,
    ) -> BatchInfo:
        """Wait until a batch is over.

        Args:
            batch_id: the batch.
            on_progress: told the batch whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        return self._wait(lambda: self.batch(batch_id), lambda found: found.is_final, timeout_seconds, on_progress)

    def batch_item(self, batch_id: str, item: int) -> bytes:
        """Download the picture of one item."""
        return self._edge.send("GET", f"{_of(batch_id)}/items/{item}").content

    def download_batch(self, batch_id: str) -> bytes:
        """Download a zip of all pictures so far, and results.json."""
        return self._edge.send("GET", f"{_of(batch_id)}/download").content

    def delete_batch(self, batch_id: str) -> None:
        """Stop a batch and delete its images and pictures."""
        self._edge.send("DELETE", _of(batch_id))


def _of(batch_id: str) -> str:
    return f"{_PATH}/{quote(batch_id, safe='')}"
