"""What became of fits, written for many at once: versions, closed jobs with their events, and what is counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, jobs, usage
from heddle_infra.database.jobs import Closing
from heddle_infra.database.versions import Addition, NewVersion, add_versions
from heddle_platform.records import JobError, JobStatus
from heddle_platform.telemetry import code_version
from heddle_platform.usage import Slot, hour_of


@dataclass(frozen=True)
class FitOutcome:
    """What one fit found.

    Attributes:
        tenant_id, job_id: whose fit it was.
        new: the version.
        status, error: how the job ends.
        images_encoded: how many images had no latents before.
        encoding: how fast they were encoded, for the result; None where there were none.
        more: what else the result says.
    """

    tenant_id: str
    job_id: str
    new: NewVersion
    status: JobStatus
    error: JobError | None
    images_encoded: int
    encoding: dict[str, float] | None
    more: Mapping[str, Any] = field(default_factory=dict)


async def record(session: AsyncSession, outcomes: Sequence[FitOutcome]) -> None:
    """Write outcomes whose jobs' fences the transaction holds; a dozen fits take as many statements as one."""
    additions = [Addition(one.tenant_id, one.job_id, one.new) for one in outcomes]
    placed = await add_versions(session, additions)
    closings = [
        Closing(one.job_id, one.status, _result(one, adapter_id, version), one.error)
        for one, (adapter_id, version) in zip(outcomes, placed, strict=True)
    ]
    await jobs.close_all(session, closings)
    # counted with the versions, in the fenced transaction: exactly once, however often a job was tried
    rows = await datasets.labelled_rows(session, {one.new.dataset_id for one in outcomes})
    counted: Counter[Slot] = Counter()
    hour = hour_of(datetime.now(UTC))
    for one in outcomes:
        counted[Slot(one.tenant_id, hour, "jobs")] += 1
        counted[Slot(one.tenant_id, hour, "rows_fitted")] += rows.get(one.new.dataset_id, 0)
        counted[Slot(one.tenant_id, hour, "images_encoded")] += one.images_encoded
    await usage.add(session, counted)


def _result(one: FitOutcome, adapter_id: str, version: int) -> dict[str, Any]:
    url = f"/v1/adapters/{adapter_id}/versions/{version}/card"
    return {
        "adapter": one.new.adapter_name,
        "adapter_id": adapter_id,
        "version": version,
        "verdict": one.new.verdict,
        "reasons": one.new.gate["reasons"],
        "card": {**one.new.card, "url": url},
        "encoding": one.encoding,
        "code_version": code_version(),
        **one.more,
    }
