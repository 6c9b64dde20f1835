"""Records: what the stores hold and the planes exchange, frozen and checked at every border."""

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from heddle_platform.errors import InvalidInput

Scope = Literal["factors", "data", "jobs", "adapters", "approve", "edits", "feedback", "admin"]
ALL_SCOPES: tuple[Scope, ...] = get_args(Scope)
TENANT_SCOPES: tuple[Scope, ...] = tuple(scope for scope in ALL_SCOPES if scope != "admin")

JobType = Literal[
    "fit", "refit", "evaluate", "export", "drift_check", "validate", "pretrain", "sweep", "erase", "rollout"
]
ExportFormat = Literal["editor", "onnx", "npz"]
JobStatus = Literal[
    "validating", "queued", "running", "scoring", "awaiting_approval", "succeeded", "failed", "cancelled"
]
FINAL_STATUSES: frozenset[JobStatus] = frozenset({"awaiting_approval", "succeeded", "failed", "cancelled"})
CardKind = Literal["full", "brief"]
DatasetStatus = Literal["validating", "ready", "rejected"]
UploadStatus = Literal["open", "complete", "consumed"]
VersionStatus = Literal["passed", "awaiting_approval", "approved", "rejected", "refused", "erased"]
GateVerdict = Literal["pass", "needs_approval", "fail"]


class Record(BaseModel):
    """Root of all records."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Tenant(Record):
    """A customer. `epoch` is part of every cache key: raising it forgets all that is cached of the tenant."""

    id: str
    name: str
    status: Literal["active", "suspended"]
    epoch: int
    created_at: datetime


class ApiKey(Record):
    """A key, without its secret. `tenant_id` None marks an operator's key.

    `previous_ends_at`: until when the secret that it had before it was rotated goes on working beside the new one.
    """

    id: str
    tenant_id: str | None
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None = None
    previous_ends_at: datetime | None = None
    created_at: datetime


class Base(Record):
    """A published base: immutable files in the object store, addressed by the manifest's digest."""

    id: str
    name: str
    digest: str
    manifest: dict[str, Any]
    created_at: datetime


class FactorSetVersion(Record):
    """One immutable version of a tenant's factor set; `document` parses as `factors.FactorSet`."""

    id: str
    tenant_id: str
    name: str
    version: int
    document: dict[str, Any]
    created_at: datetime


class Upload(Record):
    """Bytes a tenant sends straight to the object store. `tenant_id` None: an operator's."""

    id: str
    tenant_id: str | None
    filename: str
    bytes: int
    sha256: str
    multipart_id: str
    part_count: int
    status: UploadStatus
    expires_at: datetime
    created_at: datetime


class Dataset(Record):
    """A labelled set. `digest` addresses its checked images; `report` is the validation report."""

    id: str
    tenant_id: str
    name: str
    factor_set_id: str
    factor_set_version: int
    upload_id: str
    status: DatasetStatus
    digest: str | None
    images: int | None
    report: dict[str, Any] | None
    created_at: datetime


class JobError(Record):
    """Why a job failed: a stable code, a sentence, and the field at fault."""

    code: str
    message: str
    param: str | None = None


class Job(Record):
    """A unit of work. `attempt` counts leases and is the fencing token: only its holder may write results.

    `tenant_id` None: an operator's. `forgiven` attempts do not count against the most that are made: the job was sent
    again after them, or its dispatcher, a store or a node died. A `dead_letter` failed because its attempts were used
    up, not because of what was asked.
    """

    id: str
    tenant_id: str | None
    type: JobType
    status: JobStatus
    spec: dict[str, Any]
    attempt: int
    stage: str | None
    progress: float
    error: JobError | None
    result: dict[str, Any] | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    priority: int = 0
    cost: float | None = None
    forgiven: int = 0
    dead_letter: bool = False

    @property
    def tries(self) -> int:
        """How many of its attempts count, the one under way included."""
        return self.attempt - self.forgiven

    @property
    def tenant(self) -> str:
        """The tenant's id.

        Raises:
            InvalidInput: code `tenant_job_required`; an operator's job has no tenant.
        """
        if self.tenant_id is None:
            raise InvalidInput(f"job {self.id} is an operator's and has no tenant", code="tenant_job_required")
        return self.tenant_id


class JobEvent(Record):
    """One thing that happened to a job; `id` grows and is what Last-Event-ID resumes from."""

    id: int
    job_id: str
    type: str
    data: dict[str, Any]
    created_at: datetime


class Adapter(Record):
    """A tenant's adapter by name; its versions hold what was fitted."""

    id: str
    tenant_id: str
    name: str
    created_at: datetime


class AdapterVersion(Record):
    """One fitted version: immutable files under `digest`, the card, and where it stands with the gate.

    `replaces` is the version that an erasure or a rollout made this one for, `replaced_by` the one an erasure made for
    this. An `erased` version is a name only: its files are gone, gate and card are empty.
    """

    adapter_id: str
    tenant_id: str
    version: int
    digest: str
    job_id: str
    base_id: str
    base_digest: str
    factor_set_id: str
    factor_set_version: int
    dataset_id: str
    verdict: GateVerdict
    status: VersionStatus
    gate: dict[str, Any]
    card: dict[str, Any]
    files: dict[str, str]
    replaces: int | None = None
    replaced_by: int | None = None
    created_at: datetime


class Approval(Record):
    """A person's decision on a version."""

    id: int
    adapter_id: str
    version: int
    decision: Literal["approve", "reject"]
    comment: str
    key_id: str
    created_at: datetime


class Alias(Record):
    """A movable name for a version; `revision` is its ETag.

    A share `canary_weight` of all images is edited by `canary_version` instead; `shadow_version` draws every edit
    too, for comparison only.
    """

    adapter_id: str
    alias: str
    version: int
    previous_version: int | None
    canary_version: int | None = None
    canary_weight: float | None = None
    shadow_version: int | None = None
    revision: int
    updated_at: datetime


MoveReason = Literal["moved", "approved", "rolled_back", "rollout", "rollout_undone", "erased"]


class AliasMove(Record):
    """One move of an alias, or of the trial beside it: then `version` is `from_version`.

    `version` is null where an erasure left nothing to point at; `key_id` where the platform moved it by itself or it
    moved before moves were kept. `key_name` is the tenant's name for the key; null for an operator's.
    """

    id: int
    adapter_id: str
    alias: str
    version: int | None
    from_version: int | None
    canary_version: int | None
    canary_weight: float | None
    shadow_version: int | None
    reason: MoveReason
    key_id: str | None
    key_name: str | None = None
    comment: str
    created_at: datetime
