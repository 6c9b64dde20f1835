"""Refits and evaluations: jobs on a version that there is, with everything they refer to resolved.

Whoever queues a refit (a route, a monitor of drift) asks for it here, so that they all mean the same by it.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, bases, datasets, factor_sets, jobs
from heddle_infra.database.fair_share import USUAL_LATENTS, USUAL_ROWS
from heddle_infra.database.referred import last_fitted, referred
from heddle_platform.errors import Conflict, InvalidInput, NotFound
from heddle_platform.factors import parse_factor_set
from heddle_platform.other_labels import check_readable, unlabelled_factors
from heddle_platform.records import Adapter, AdapterVersion, Base, Dataset, FactorSetVersion, Job, JobStatus

BY_HAND: Final = "by hand"


@dataclass(frozen=True)
class Parts:
    """What a job on a version refers to, resolved; the set is held until the transaction ends."""

    adapter: Adapter
    version: AdapterVersion
    factor_set: FactorSetVersion
    dataset: Dataset
    base: Base

    @property
    def status(self) -> JobStatus:
        """The status in which a job on it begins."""
        return "validating" if self.dataset.status == "validating" else "queued"

    @property
    def cost(self) -> float:
        """What the queue charges for a job on it."""
        return charge(self.dataset, self.base)

    def spec(self) -> dict[str, Any]:
        """Return what every such job's spec holds."""
        return {
            "adapter": self.adapter.name,
            "adapter_id": self.adapter.id,
            "version": self.version.version,
            "factor_set_id": self.factor_set.id,
            "factor_set_version": self.factor_set.version,
            "dataset_id": self.dataset.id,
            "base_id": self.base.id,
            "base_digest": self.base.digest,
            "base_name": self.base.name,
        }


async def resolve_refit(
    session: AsyncSession,
    tenant_id: str,
    adapter: str,
    *,
    dataset: str | None = None,
    factor_set: tuple[str, int | None] | None = None,
    base: str | None = None,
) -> Parts:
    """Resolve what an adapter would be fitted with anew.

    Args:
        session: open session.
        tenant_id: owner.
        adapter: id or name.
        dataset: id or name of a labelled set; None: that of the version in production, else of the newest.
        factor_set: id or name, and a version of it or None; None: the newest of that version's factor set.
        base: id, alias or name; None: that version's.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`, `unknown_dataset`, `unknown_factor_set`, `unknown_base`.
        Conflict: code `dataset_rejected`.
        InvalidInput: codes `labels_do_not_fit`, `labels_missing`.
    """
    found = await adapters.resolve(session, tenant_id, adapter)
    version = await last_fitted(session, found)
    factors = await factor_sets.resolve(session, tenant_id, *(factor_set or (version.factor_set_id, None)))
    labelled = await datasets.resolve(session, tenant_id, dataset or version.dataset_id, lock=True)
    refuse_rejected(labelled)
    document = parse_factor_set(factors.document)
    check_readable(labelled.report, document, every_column=False)
    if missing := unlabelled_factors(labelled.report, document):
        raise InvalidInput(
            f"no image of labelled set {labelled.id} has a label of {missing[0]!r}, a factor of {factors.name}@"
            f"{factors.version}; send a set that labels it, or an older factor_set",
            code="labels_missing",
            param="dataset",
        )
    return Parts(found, version, factors, labelled, await bases.resolve(session, base or version.base_id))


async def queue_refit(session: AsyncSession, parts: Parts, *, trigger: str = BY_HAND, priority: int = 0) -> Job:
    """Queue a refit.

    Args:
        session: open session.
        parts: see `resolve_refit`.
        trigger: why, such as "drift", "feedback" or "by hand"; it stays with the job and the version.
        priority: which of the tenant's jobs goes first.
    """
    made = await card_kind(session, parts.version)
    spec = {**parts.spec(), "trigger": trigger, **({} if made == "full" else {"card": made})}
    return await jobs.create(
        session,
        parts.version.tenant_id,
        job_type="refit",
        spec=spec,
        dataset_id=parts.dataset.id,
        status=parts.status,
        priority=priority,
    )


async def resolve_evaluation(session: AsyncSession, tenant_id: str, adapter: str, dataset: str) -> Parts:
    """Resolve a version and the labelled set it is to be scored on.

    Args:
        session: open session.
        tenant_id: owner.
        adapter: see `referred.referred`.
        dataset: id or name.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`, `unknown_alias`, `version_erased`, `unknown_dataset`.
        Conflict: code `dataset_rejected`.
        InvalidInput: code `labels_do_not_fit`.
    """
    found, version = await referred(session, tenant_id, adapter)
    factors = await factor_sets.resolve(session, tenant_id, version.factor_set_id, version.factor_set_version)
    labelled = await datasets.resolve(session, tenant_id, dataset, lock=True)
    refuse_rejected(labelled)
    check_readable(labelled.report, parse_factor_set(factors.document), every_column=True)
    return Parts(found, version, factors, labelled, await bases.resolve(session, version.base_id))


async def queue_evaluation(session: AsyncSession, parts: Parts, *, priority: int = 0) -> Job:
    """Queue an evaluation; see `resolve_evaluation`."""
    return await jobs.create(
        session,
        parts.version.tenant_id,
        job_type="evaluate",
        spec=parts.spec(),
        dataset_id=parts.dataset.id,
        status=parts.status,
        priority=priority,
    )


def charge(dataset: Dataset, base: Base) -> float:
    """Return what the queue charges for a job on a labelled set: rows x latents."""
    rows = USUAL_ROWS if dataset.images is None else dataset.images
    return float(rows * int(base.manifest.get("latents", USUAL_LATENTS)))


def refuse_rejected(dataset: Dataset) -> None:
    """Refuse a labelled set that did not pass its validation.

    Raises:
        Conflict: code `dataset_rejected`.
    """
    if dataset.status == "rejected":
        faults = (dataset.report or {}).get("fault_count")
        raise Conflict(
            f"labelled set {dataset.id} was rejected with {faults} fault(s); "
            f"read GET /v1/datasets/{dataset.id}/validation, mend the set and upload it again",
            code="dataset_rejected",
            param="dataset",
        )


async def card_kind(session: AsyncSession, version: AdapterVersion) -> str:
    """Return which kind of card the version's fit made, and its refit will."""
    made = await made_by(session, version)
    return "full" if made is None else str(made.spec.get("card", "full"))


async def made_by(session: AsyncSession, version: AdapterVersion) -> Job | None:
    """Return the job that made a version; None for a rollout, which is an operator's."""
    try:
        return await jobs.get(session, version.tenant_id, version.job_id)
    except NotFound:
        return None
