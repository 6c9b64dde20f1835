"""Records of rollouts: a new base brought to tenants' adapters."""

from datetime import datetime
from typing import Any, Literal

from heddle_platform.records import Record

RolloutStatus = Literal["fitting", "reported", "canary", "complete", "rolled_back", "cancelled", "failed"]
RolloutOutcome = Literal["better", "equal", "worse", "failed"]


class Rollout(Record):
    """A new base brought to tenants' adapters.

    `fitting` while its job works, `reported` where it was a dry run, `canary` once a share of the tenants was moved and
    the rest waits, until `canary_until` at most. With `promote` the base alias `default` is moved at the end as well;
    `promoted_from` and `promoted_revision` say where it was and what became of it.
    """

    id: str
    base_id: str
    base_name: str
    base_digest: str
    job_id: str
    status: RolloutStatus
    canary_share: float
    max_wait_seconds: int | None
    dry_run: bool
    promote: bool
    promoted_from: str | None
    promoted_revision: int | None
    tenants: tuple[str, ...] | None
    key_id: str
    canary_until: datetime | None
    created_at: datetime
    finished_at: datetime | None


class RolloutItem(Record):
    """One served version of an adapter in a rollout: what became of it, and whether its aliases were moved."""

    rollout_id: str
    tenant_id: str
    adapter_id: str
    adapter_name: str
    from_version: int
    from_base_digest: str
    to_version: int | None
    outcome: RolloutOutcome | None
    passed: bool
    mapped: bool
    numbers: dict[str, Any]
    reasons: tuple[str, ...]
    attempts: int
    moved: bool
    done_at: datetime | None
