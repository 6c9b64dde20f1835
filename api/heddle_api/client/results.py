"""What the client returns: the fields programs rely on, and `raw` fields beyond them as the platform sends them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from heddle_api.client.pictures import opened

Document = dict[str, Any]
FINAL_JOB_STATUSES: Final = frozenset({"awaiting_approval", "succeeded", "failed", "cancelled"})


class Result(BaseModel):
    """Root of what is returned; what a newer platform sends besides is kept, not refused."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def document(self) -> Document:
        """Return all that was sent, as JSON."""
        return self.model_dump(mode="json")


class NewTenantInfo(Result):
    """A tenant just made; `api_key` is shown this once."""

    id: str
    name: str
    api_key: str


class QuotaInfo(Result):
    """A tenant's limits, which of them are its own, and what is used; `etag` is the condition of changing them."""

    tenant_id: str
    limits: dict[str, float | None]
    own: tuple[str, ...]
    used: dict[str, int]
    etag: str


class BaseInfo(Result):
    """A published base."""

    id: str
    name: str
    digest: str
    aliases: tuple[str, ...] = ()


class BaseAliasInfo(Result):
    """Where an alias of bases points; `etag` is what moving it needs."""

    alias: str
    base: str
    name: str
    digest: str
    etag: str


class FactorSetInfo(Result):
    """One version of a factor set."""

    id: str
    name: str
    version: int


class DatasetInfo(Result):
    """A labelled set: validating, ready or rejected."""

    id: str
    name: str
    status: str
    images: int | None = None
    fault_count: int | None = None


class ItemInfo(Result):
    """One image of a labelled set."""

    id: str
    file: str
    sha256: str
    labels: dict[str, str] = {}


class ErasureInfo(Result):
    """An erasure: queued, running, done or failed; what went and the signed certificate once it is done."""

    id: str
    status: str
    error: Document | None = None
    erased: dict[str, int] | None = None
    adapters: tuple[Document, ...] = ()
    certificate: Document | None = None

    @property
    def is_final(self) -> bool:
        """Whether the erasure is over."""
        return self.status in ("done", "failed")


class RolloutInfo(Result):
    """A rollout: fitting, reported, canary, complete, rolled_back, cancelled or failed; `counts` by outcome."""

    id: str
    status: str
    base: dict[str, str]
    job: str
    counts: dict[str, int]
    progress: float = 0.0
    aliases_kept: int = 0
    error: Document | None = None


class JobInfo(Result):
    """A job; of a finished fit, `result` holds adapter, version and card; of an evaluation, scores per factor."""

    id: str
    type: str
    status: str
    progress: float = 0.0
    stage: str | None = None
    queue_position: int | None = None
    estimated_start_at: str | None = None
    estimated_end_at: str | None = None
    dead_letter: bool = False
    error: Document | None = None
    result: Document | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job is over, as far as it gets without a person."""
        return self.status in FINAL_JOB_STATUSES


class EstimateInfo(Result):
    """What a job would cost and take; None where nothing was measured yet. `based_on` holds a sentence."""

    type: str
    rows: int | None
    cost_units: float
    seconds: float | None
    queue_wait_seconds: float | None
    estimated_start_at: str | None
    estimated_end_at: str | None
    based_on: Document


class PreviewInfo(Result):
    """What a fit would be worth: a score per factor, the learning curve, and images to label next, best first."""

    rows: int
    candidates: int
    factors: tuple[Document, ...]
    learning_curve: tuple[Document, ...]
    label_next: tuple[Document, ...]


class AdapterInfo(Result):
    """An adapter and where its aliases point."""

    id: str
    name: str
    aliases: dict[str, int] = {}
    latest_version: int | None = None


class VersionInfo(Result):
    """One fitted version."""

    adapter: str
    adapter_id: str
    version: int
    status: str
    verdict: str
    digest: str


class AliasInfo(Result):
    """An alias; `etag` is what moving it needs."""

    alias: str
    version: int
    etag: str


class AliasMoveInfo(Result):
    """One move of an alias: `version` is where it came to, None where an erasure left nothing to point at.

    `canary` {version, weight} and `shadow` are on trial beside it since then.
    """

    alias: str
    version: int | None
    from_version: int | None
    canary: Document | None = None
    shadow: int | None = None
    reason: str
    key_id: str | None
    key_name: str | None
    comment: str
    created_at: str


class BatchInfo(Result):
    """A batch of edits; `results` holds its items that are over, where one batch was read."""

    id: str
    status: str
    items: int
    done: int = 0
    failed: int = 0
    results: tuple[Document, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("done", "cancelled")


class ImageInfo(Result):
    """An image kept at the edge: every edit of it is only a decode, until it expires.

    `readings`, where an adapter was named: factor -> {"value": level, bool or number, "confidence": 0..1}.
    """

    image_id: str
    width: int | None = None
    height: int | None = None
    adapter: str | None = None
    readings: dict[str, Document] | None = None
    expires_at: str


@dataclass(frozen=True)
class PictureResult:
    """A picture that the edge drew.

    Attributes:
        image: the file's bytes.
        media_type: their type.
        headers: all headers of the answer, lower-case names.
    """

    image: bytes
    media_type: str
    headers: Mapping[str, str]

    def picture(self) -> Image.Image:
        """Return it as a PIL image."""
        return opened(self.image)

    def array(self) -> NDArray[np.uint8]:
        """Return it as uint8 [H, W, 3], transparency laid over white."""
        picture = self.picture()
        if picture.mode == "RGBA":
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return np.asarray(picture.convert("RGB"))

    def save(self, path: Path) -> None:
        """Write the file as it came, whatever the path's ending."""
        path.write_bytes(self.image)


@dataclass(frozen=True)
class EditResult(PictureResult):
    """An edited image and what the edge said of it.

    Attributes:
        edit_id: names the edit, for feedback.
        adapter_version: "name@version" that made it.
        cache: "hit", "latent" or "miss".
        extrapolation: how far beyond the trusted range the edit went, 1 being its border; None inside.
        suggestion: what to ask for instead where it went beyond: `reason`, and `set`, `shift`, `leave`.
        detail: how it was drawn, "preserve" or "decode".
        detail_reason: why so: "requested", or what the card measured.
    """

    edit_id: str
    adapter_version: str
    cache: str
    extrapolation: float | None
    suggestion: Document | None = None
    detail: str = ""
    detail_reason: str = ""


@dataclass(frozen=True)
class GridResult(PictureResult):
    """One factor at all its levels, side by side; `values` from left to right, `extrapolation` of the farthest."""

    values: tuple[Any, ...]
    extrapolation: float | None = None
