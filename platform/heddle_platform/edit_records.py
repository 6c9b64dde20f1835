"""Records of edits: what their people said of them, and many of them under way."""

from datetime import datetime
from typing import Any, Literal

from heddle_platform.records import Record


class Feedback(Record):
    """What became of one edit: kept or not, and the values its person ended at. `id` is the edit's."""

    id: str
    tenant_id: str
    adapter_name: str
    adapter_version: int
    adapter_digest: str
    edit: dict[str, Any] | None
    edit_digest: str
    kept: bool
    final: dict[str, Any]
    key_id: str
    created_at: datetime
    updated_at: datetime


class EditBatch(Record):
    """Many edits under way: `spec` says of what, `results` has one entry per item done, in the items' order."""

    id: str
    tenant_id: str
    key_id: str
    epoch: int
    status: Literal["queued", "running", "done", "cancelled"]
    spec: dict[str, Any]
    items: int
    done: int
    failed: int
    results: tuple[dict[str, Any], ...]
    attempt: int
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime
