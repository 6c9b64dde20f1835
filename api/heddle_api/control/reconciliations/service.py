"""Reconciliations: a wish is noted here, a dispatcher takes it up, and what it found is read here."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.once import Reply
from heddle_api.control.wire import Asked
from heddle_infra.database import platform_notes
from heddle_infra.database.walls import platform_scope
from heddle_platform.ids import new_id


class NewReconciliation(Asked):
    """A wish to reconcile now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"repair": False}]})
    repair: bool = Field(False, description="Delete objects that no row names; rows are never changed.")


class AskedReconciliation(BaseModel):
    """A wish that a dispatcher takes up within seconds."""

    id: str = Field(description="The reconciliation that comes of it carries this id.")
    repair: bool = Field(description="Whether objects that no row names are deleted.")
    status: str = Field("asked", description="Always `asked`: it is gone from here once a dispatcher took it.")


class FindingView(BaseModel):
    """One thing that does not fit."""

    kind: str = Field(description="What does not fit, as a stable word.")
    tenant_id: str | None = Field(description="Whose; null: nobody's.")
    subject: str = Field(description="Key of the object, or id of the row.")
    detail: str = Field(description="A sentence that says what is wrong.")
    repaired: bool = Field(description="Whether it was mended.")


class ReconciliationView(BaseModel):
    """What the last run found."""

    id: str | None = Field(description="Of the wish; null: it was due.")
    began_at: datetime = Field(description="When the run began.")
    seconds: float = Field(description="How long it took.")
    age_seconds: float = Field(description="How long ago it was told.")
    repair: bool = Field(description="Whether objects that no row names are deleted.")
    clean: bool = Field(description="All was looked at, and nothing is left that does not fit.")
    repaired: int = Field(description="Findings that were mended.")
    tenants: int = Field(description="How many were looked at.")
    objects: int = Field(description="Objects that were seen.")
    rows: int = Field(description="Rows that need an object.")
    kept_young: int = Field(description="Objects without a row that may still be in a writer's hands: not judged.")
    unreached: int = Field(description="Tenants that were not looked at because a store failed meanwhile.")
    counts: dict[str, int] = Field(description="Findings by kind that were left as they are.")
    findings: list[FindingView] = Field(description="The first five hundred.")


class ReconciliationsView(BaseModel):
    """The last run, and the wish that waits for a dispatcher."""

    waiting: AskedReconciliation | None = Field(description="The wish no dispatcher took up yet; null: none.")
    last: ReconciliationView | None = Field(description="The last run; null: none yet.")


async def ask(session: AsyncSession, wanted: NewReconciliation) -> Reply:
    """Note the wish, in the place of one that no dispatcher took up yet."""
    asked = AskedReconciliation(id=new_id("rec"), repair=wanted.repair)
    note: dict[str, Any] = {"id": asked.id, "repair": asked.repair}
    async with platform_scope(session):
        await platform_notes.put(session, platform_notes.RECONCILIATION_WANTED, note)
    return Reply(asked, 202)


async def read(session: AsyncSession) -> ReconciliationsView:
    """Return the last run and the wish that waits."""
    notes = {note.name: note for note in await platform_notes.read(session, platform_notes.RECONCILIATION)}
    waiting, last = notes.get(platform_notes.RECONCILIATION_WANTED), notes.get(platform_notes.RECONCILIATION)
    return ReconciliationsView(
        waiting=None if waiting is None else AskedReconciliation.model_validate(waiting.document),
        last=None
        if last is None
        else ReconciliationView.model_validate({**last.document, "age_seconds": round(last.age_seconds, 1)}),
    )
