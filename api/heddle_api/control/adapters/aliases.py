"""Aliases: where they point, what is on trial beside them, and every move they made."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.precondition import IfMatch, etag
from heddle_api.control.wire import Asked
from heddle_infra.database import adapters, alias_moves
from heddle_infra.database.alias_moves import Cause
from heddle_platform.errors import InvalidInput, PreconditionFailed
from heddle_platform.records import Alias, AliasMove, MoveReason

_COMMENT = 2_000


class CanaryTarget(Asked):
    """A version on trial: it edits a share of all images, always the same ones, in place of the alias's own."""

    version: int = Field(ge=1, le=2**31 - 1)
    weight: float = Field(gt=0.0, le=1.0, description="Share of images, 0 to 1.")


class AliasView(BaseModel):
    """A movable name for a version; edits name it as `adapter@alias`."""

    adapter: str = Field(description="Id of the adapter.")
    alias: str
    version: int
    previous_version: int | None = Field(description="Where a rollback would move it.")
    canary: CanaryTarget | None = Field(None, description="What edits a share of all images instead.")
    shadow: int | None = Field(None, description="The version that draws every edit too, for comparison only.")
    updated_at: datetime


class AliasMoveView(BaseModel):
    """One move of an alias: where it came to, from where, who moved it, when and why."""

    id: int
    alias: str
    version: int | None = Field(description="The version it came to; null: an erasure left nothing to point at.")
    from_version: int | None = Field(
        description="The version it pointed at until then, the same where only a trial changed; null: it was new."
    )
    canary: CanaryTarget | None = Field(description="What is on trial since then.")
    shadow: int | None = Field(description="The version that draws along unseen since then.")
    reason: MoveReason = Field(description="What kind of deed it was.")
    key_id: str | None = Field(description="The key that moved it; null: the platform, or before moves were kept.")
    key_name: str | None = Field(description="What the tenant calls that key; null for an operator's.")
    comment: str = Field(description="What was said about it, or the rollout or erasure it belongs to.")
    created_at: datetime


class AliasTarget(Asked):
    """Where an alias shall point."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 3}, {"version": 3, "canary": {"version": 4, "weight": 0.1}}]},
    )
    version: int = Field(ge=1, le=2**31 - 1)
    canary: CanaryTarget | None = Field(None, description="Without it a canary that runs is ended.")
    shadow: int | None = Field(
        None, ge=1, le=2**31 - 1, description="A version that draws every edit too, after the answer; see /metrics."
    )
    comment: str = Field("", max_length=_COMMENT, description="Why; kept with the alias's moves.")

    @property
    def trial(self) -> adapters.Trial:
        """What shall be on trial beside the version."""
        if self.canary is None:
            return adapters.Trial(shadow=self.shadow)
        return adapters.Trial(self.canary.version, self.canary.weight, self.shadow)


class RollBack(Asked):
    """Which alias to roll back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"alias": "production"}]})
    alias: str = Field(adapters.PRODUCTION, pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    comment: str = Field("", max_length=_COMMENT, description="Why; kept with the alias's moves.")


def alias_view(alias: Alias) -> AliasView:
    """Return what is shown of an alias."""
    return AliasView(
        adapter=alias.adapter_id,
        canary=_canary(alias.canary_version, alias.canary_weight),
        shadow=alias.shadow_version,
        **alias.model_dump(include={"alias", "version", "previous_version", "updated_at"}),
    )


async def move_alias(
    session: AsyncSession, caller: Principal, reference: str, alias: str, wanted: AliasTarget, match: IfMatch
) -> Reply:
    """Point an alias at a version, and set what is on trial; making a new one needs no If-Match, moving one does.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`.
        Conflict: code `version_not_servable`.
        PreconditionRequired: the alias exists and no If-Match was sent.
        PreconditionFailed: the alias is not what If-Match says.
    """
    tenant_id = caller.tenant
    adapter = await adapters.resolve(session, tenant_id, reference)
    known = {known.alias: known for known in await adapters.list_aliases(session, tenant_id, adapter.id)}
    if match.any_state and alias not in known:
        raise PreconditionFailed(f"there is no alias {alias!r} yet; leave If-Match out to make it")
    for on_trial, param in ((wanted.trial.canary, "/canary/version"), (wanted.trial.shadow, "/shadow")):
        if on_trial == wanted.version:
            raise InvalidInput(
                f"version {on_trial} cannot be tried against itself; name another version on trial",
                code="trial_of_itself",
                param=param,
            )
    moved = await adapters.move_alias(
        session,
        tenant_id,
        adapter.id,
        alias,
        wanted.version,
        if_match=match.revision,
        checked=not match.any_state,
        trial=wanted.trial,
        cause=Cause("moved", caller.key_id, wanted.comment),
    )
    before = known.get(alias)
    return Reply(
        alias_view(moved),
        200 if before else 201,
        {"ETag": etag(moved.revision)},
        announce="alias_moved",
        target=_told(moved),
        before=alias_view(before) if before else None,
        changes=before is None or before.revision != moved.revision,
    )


async def roll_back(session: AsyncSession, caller: Principal, reference: str, wanted: RollBack) -> Reply:
    """Point an alias at the version it pointed at before; twice is there and back. A canary that runs ends first.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_alias`.
        Conflict: codes `nothing_to_roll_back`, `version_not_servable`.
    """
    adapter = await adapters.resolve(session, caller.tenant, reference)
    cause = Cause("rolled_back", caller.key_id, wanted.comment)
    moved = await adapters.roll_back(session, caller.tenant, adapter.id, wanted.alias, cause=cause)
    return Reply(
        alias_view(moved), 200, {"ETag": etag(moved.revision)}, announce="alias_rolled_back", target=_told(moved)
    )


async def list_moves(
    session: AsyncSession, tenant_id: str, reference: str, alias: str | None, turn: Turn
) -> Page[AliasMoveView]:
    """Return one page of the moves of an adapter's aliases, newest first."""
    adapter = await adapters.resolve(session, tenant_id, reference)
    found, more = await alias_moves.list_moves(
        session, tenant_id, adapter.id, alias=alias, limit=turn.limit, after=turn.after_number()
    )
    return page_of([_move_view(move) for move in found], more, lambda move: str(move.id))


def _move_view(move: AliasMove) -> AliasMoveView:
    names = {"id", "alias", "version", "from_version", "reason", "key_id", "key_name", "comment", "created_at"}
    return AliasMoveView(
        canary=_canary(move.canary_version, move.canary_weight),
        shadow=move.shadow_version,
        **move.model_dump(include=names),
    )


def _told(moved: Alias) -> str:
    """Return what the audit trail calls a move: which alias, and the version it came to."""
    return f"/v1/adapters/{moved.adapter_id}/aliases/{moved.alias} to version {moved.version}"


def _canary(version: int | None, weight: float | None) -> CanaryTarget | None:
    return None if version is None else CanaryTarget(version=version, weight=weight or 1.0)
