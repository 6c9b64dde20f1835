"""What a reconciler finds, in words an operator can act on."""

from collections import Counter
from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

FindingKind = Literal[
    "orphan_object",
    "orphan_multipart",
    "object_missing",
    "recorded_twice",
    "result_missing",
    "lease_expired",
    "waiting_in_vain",
]
KINDS: tuple[FindingKind, ...] = get_args(FindingKind)


class Finding(BaseModel):
    """One thing that does not fit: what kind, whose, which object or row, a sentence, and whether it was mended."""

    model_config = ConfigDict(frozen=True)
    kind: FindingKind
    tenant_id: str | None
    subject: str = Field(description="Key of the object, or id of the row.")
    detail: str
    repaired: bool = False


class Reconciliation(BaseModel):
    """One run over all tenants.

    Attributes:
        objects, rows: how many objects were seen, and how many rows were found to need one.
        kept_young: objects without a row that are younger than the grace, or of a job that is running: not judged.
        unreached: tenants that were not looked at because a store failed meanwhile.
    """

    model_config = ConfigDict(frozen=True)
    began_at: datetime
    seconds: float
    tenants: int
    objects: int
    rows: int
    kept_young: int
    unreached: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[FindingKind, int]:
        """How many findings of each kind were left as they are."""
        left = Counter(finding.kind for finding in self.findings if not finding.repaired)
        return {kind: left[kind] for kind in KINDS}

    @property
    def repaired(self) -> int:
        """How many findings were mended."""
        return sum(finding.repaired for finding in self.findings)

    @property
    def clean(self) -> bool:
        """Whether all was looked at and nothing is left that does not fit."""
        return not self.unreached and not any(self.counts.values())
