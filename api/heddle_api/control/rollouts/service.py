"""Rollouts: started, read, gone on with, rolled back, cancelled; the work is a job of the dispatcher's."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Asked
from heddle_infra.database import bases, jobs, rollout_moves, rollouts
from heddle_infra.database.walls import platform_scope
from heddle_platform.records import JobError
from heddle_platform.rollout_records import Rollout, RolloutItem, RolloutOutcome, RolloutStatus

TenantId = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
LONGEST_WAIT_SECONDS = 30 * 24 * 3600


class NewRollout(Asked):
    """How a base is rolled out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"canary_share": 0.05, "max_wait_seconds": 86400}],
            "not": {
                "required": ["promote", "dry_run"],
                "properties": {"promote": {"const": True}, "dry_run": {"const": True}},
            },
        }
    )
    canary_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the tenants whose adapters pass that is moved first, at least one tenant; 1 moves all.",
    )
    max_wait_seconds: int | None = Field(
        None,
        ge=1,
        le=LONGEST_WAIT_SECONDS,
        description="After so long without a decision the canary is rolled back by itself; null: it waits.",
    )
    dry_run: bool = Field(False, description="Fit, judge and report; store no version and move nothing.")
    promote: bool = Field(
        False,
        description="When all that passed is moved, point the base alias `default` at the base too, so that new fits "
        "use it; a rollback moves it back.",
    )
    tenants: list[TenantId] | None = Field(
        None, min_length=1, max_length=10_000, description="Only these tenants; null: all active ones."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.promote and self.dry_run:
            raise ValueError("a dry run moves nothing, so it cannot promote the base; leave one of the two out")
        return self


class BaseOf(BaseModel):
    """A base."""

    id: str
    name: str
    digest: str


class CountsView(BaseModel):
    """How many adapters there are, and what became of them."""

    adapters: int = Field(description="Versions that aliases served on other bases when it began.")
    tenants: int = Field(description="Tenants whose adapters these are.")
    done: int = Field(description="Fitted or carried over, and judged.")
    better: int = Field(description="Read better than their predecessors.")
    equal: int = Field(description="Read as well as their predecessors.")
    worse: int = Field(description="Read worse than their predecessors.")
    failed: int = Field(description="Could not be fitted; the report says why.")
    mapped: int = Field(description="Carried over by a linear latent map, their images being gone.")
    passed: int = Field(description="May be served in their predecessor's place.")
    moved: int = Field(description="Are served now.")


class RolloutView(BaseModel):
    """A rollout."""

    id: str
    base: BaseOf
    job: str = Field(description="The job that fits and judges; follow it with GET /v1/jobs/{id}/events.")
    status: RolloutStatus
    canary_share: float = Field(description="Share of the tenants that is moved first.")
    max_wait_seconds: int | None = Field(description="How long the canary waits for a decision; null: for ever.")
    canary_until: datetime | None = Field(description="When the canary is rolled back if nobody decides.")
    dry_run: bool = Field(description="Whether it only reports: no version is stored, nothing is moved.")
    promote: bool = Field(description="Whether the base alias `default` is moved at the end as well.")
    tenants: list[str] | None = Field(description="Only these tenants; null: all active ones.")
    counts: CountsView = Field(description="What became of the adapters so far.")
    progress: float = Field(description="Share of the adapters that is done, 0 to 1.")
    aliases_kept: int = Field(description="Aliases a rollback left alone, their tenants having moved them since.")
    error: JobError | None = Field(description="Why it failed; null unless it did.")
    created_at: datetime
    finished_at: datetime | None


class RolloutItemView(BaseModel):
    """One adapter in a rollout."""

    tenant: str
    adapter: str
    adapter_id: str
    from_version: int = Field(description="The version served when the rollout began.")
    from_base: str = Field(description="Digest of the base it was on.")
    to_version: int | None = Field(description="The version made on the new base; null where there is none.")
    outcome: RolloutOutcome | None = Field(description="Against its predecessor; null while it is not done.")
    passed: bool = Field(description="Whether it may be served in its predecessor's place.")
    moved: bool = Field(description="Whether it is served now.")
    mapped: bool = Field(description="Whether it was carried over by a linear latent map, its images being gone.")
    numbers: dict[str, Any] = Field(
        description="`differences`: paired, out of fold, on the same rows, by factor and (factor null) on average; or "
        "`mapped`: what the latent map lost on public pictures."
    )
    reasons: list[str] = Field(description="Why it may not be served, or how it was made; sentences.")


class ReportView(BaseModel):
    """A rollout with every adapter."""

    rollout: RolloutView = Field(description="The rollout as it stands.")
    adapters: list[RolloutItemView]


async def create(session: AsyncSession, operator: Principal, base: str, wanted: NewRollout) -> Reply:
    """Start a rollout.

    Raises:
        NotFound: codes `unknown_base`, `unknown_tenant`.
        Conflict: code `rollout_under_way`.
    """
    async with platform_scope(session):
        found = await bases.resolve(session, base)
        await rollouts.check_tenants(session, wanted.tenants or ())
        rollout = await rollouts.create(
            session,
            found,
            canary_share=wanted.canary_share,
            max_wait_seconds=wanted.max_wait_seconds,
            dry_run=wanted.dry_run,
            promote=wanted.promote,
            tenants=wanted.tenants,
            key_id=operator.key_id,
        )
        return Reply(await view(session, rollout), 202, {"Location": f"/v1/rollouts/{rollout.id}"})


async def view(session: AsyncSession, rollout: Rollout) -> RolloutView:
    """Return what is shown of a rollout."""
    counts = await rollouts.counts(session, rollout.id)
    error = (await jobs.get(session, None, rollout.job_id)).error if rollout.status == "failed" else None
    over = rollout.status != "fitting"
    return RolloutView(
        base=BaseOf(id=rollout.base_id, name=rollout.base_name, digest=rollout.base_digest),
        job=rollout.job_id,
        tenants=None if rollout.tenants is None else list(rollout.tenants),
        counts=CountsView(**vars(counts)),
        progress=counts.done / counts.adapters if counts.adapters else float(over),
        aliases_kept=await rollouts.kept_moves(session, rollout.id),
        error=error,
        **rollout.model_dump(
            include={
                *("id", "status", "canary_share", "max_wait_seconds", "canary_until", "dry_run", "promote"),
                *("created_at", "finished_at"),
            }
        ),
    )


async def read(session: AsyncSession, rollout_id: str) -> RolloutView:
    """Return one rollout."""
    await rollouts.settle(session)
    return await view(session, await rollouts.get(session, rollout_id))


async def list_all(session: AsyncSession, turn: Turn) -> Page[RolloutView]:
    """Return one page of rollouts."""
    await rollouts.settle(session)
    found, more = await rollouts.list_rollouts(session, limit=turn.limit, after=turn.after_id("rol"))
    return page_of([await view(session, one) for one in found], more, lambda rollout: rollout.id)


async def report(session: AsyncSession, rollout_id: str) -> ReportView:
    """Return a rollout with every adapter."""
    shown = await read(session, rollout_id)
    return ReportView(rollout=shown, adapters=[_item(one) for one in await rollouts.items(session, rollout_id)])


async def go_on(session: AsyncSession, rollout_id: str) -> Reply:
    """Move the rest after the canary.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_not_in_canary`.
    """
    async with platform_scope(session):
        rollout = await rollout_moves.go_on(session, rollout_id)
        return Reply(await view(session, rollout), announce="rolled_out")


async def roll_back(session: AsyncSession, rollout_id: str) -> Reply:
    """Move every alias back.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_moved_nothing`.
    """
    async with platform_scope(session):
        rollout, _ = await rollout_moves.roll_back(session, rollout_id)
        return Reply(await view(session, rollout), announce="rolled_back")


async def cancel(session: AsyncSession, rollout_id: str) -> Reply:
    """Stop a rollout that is still fitting.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_not_open`.
    """
    async with platform_scope(session):
        return Reply(await view(session, await rollouts.cancel(session, rollout_id)))


def _item(item: RolloutItem) -> RolloutItemView:
    return RolloutItemView(
        tenant=item.tenant_id,
        adapter=item.adapter_name,
        from_base=item.from_base_digest,
        reasons=list(item.reasons),
        **item.model_dump(
            include={
                *("adapter_id", "from_version", "to_version", "outcome"),
                *("passed", "moved", "mapped", "numbers"),
            }
        ),
    )
