"""What a tenant does to have images erased: find them, ask, wait, and get the certificate."""

import uuid
from collections.abc import Callable, Sequence

from heddle_api.client.planes import segment
from heddle_api.client.results import Document, ErasureInfo, ItemInfo
from heddle_api.client.serving import ServingCalls


class ErasingCalls(ServingCalls):
    """Calls of tenants on images that must go."""

    def items(self, dataset: str) -> list[ItemInfo]:
        """List the images of a labelled set: labelled ones in the order of labels.csv, then the others."""
        return [ItemInfo.model_validate(found) for found in self._all(f"/v1/datasets/{segment(dataset)}/items")]

    def erase(
        self,
        *,
        dataset: str | None = None,
        items: Sequence[str] = (),
        images: Sequence[str] = (),
        reason: str | None = None,
    ) -> ErasureInfo:
        """Ask for images to be erased from labelled sets, latents, caches and adapters.

        Args:
            dataset: the set that `items` are of.
            items: ids as `items` gives them.
            images: SHA-256 of image files, in any set.
            reason: for your own records.
        """
        body: Document = {"items": list(items), "images": list(images), "dataset": dataset, "reason": reason}
        return ErasureInfo.model_validate(self._control.json("POST", "/v1/erasure_requests", body))

    def erase_item(self, dataset: str, item: str) -> ErasureInfo:
        """Ask for one image of a labelled set to be erased."""
        path = f"/v1/datasets/{segment(dataset)}/items/{segment(item)}"
        key = {"Idempotency-Key": str(uuid.uuid4())}  # sent again after a lost connection, it is one request still
        return ErasureInfo.model_validate(self._control.json("DELETE", path, headers=key))

    def erasures(self) -> list[ErasureInfo]:
        """List erasures, newest first."""
        return [ErasureInfo.model_validate(found) for found in self._all("/v1/erasure_requests")]

    def erasure(self, erasure_id: str) -> ErasureInfo:
        """Read an erasure; once it is done, `certificate` says what went."""
        return ErasureInfo.model_validate(self._control.json("GET", f"/v1/erasure_requests/{segment(erasure_id)}"))

    def wait_for_erasure(
        self,
        erasure_id: str,
        *,
        on_progress: Callable[[ErasureInfo], None] | None = None,
        timeout_seconds: float = 3_600.0,
    ) -> ErasureInfo:
        """Wait until an erasure is done or failed.

        Args:
            erasure_id: the erasure.
            on_progress: told the erasure whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        return self._wait(lambda: self.erasure(erasure_id), lambda found: found.is_final, timeout_seconds, on_progress)

    def signing_key(self) -> str:
        """Read the public key that certificates are checked with; needs no API key."""
        return str(self._control.json("GET", "/v1/signing_key")["public_key"])
