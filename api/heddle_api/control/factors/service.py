"""Factor sets: checked, registered as immutable versions, read back."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_infra.database import factor_sets
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.records import FactorSetVersion


class FactorSetView(BaseModel):
    """One version of a factor set."""

    id: str
    name: str
    version: int
    document: dict[str, Any] = Field(description="The factor set as registered, defaults filled in.")
    created_at: datetime


class FactorSetCheck(BaseModel):
    """What a check of a factor-set document found; nothing is stored."""

    valid: bool
    fault_count: int
    errors: list[dict[str, Any]] = Field(description="Each fault with its JSON pointer, code and a sentence.")
    document: dict[str, Any] | None = Field(description="The set with defaults filled in, where it is valid.")


def split_reference(reference: str) -> tuple[str, int | None]:
    """Split "name@version" or "id@version"; without `@` the newest version is meant.

    Raises:
        InvalidInput: code `invalid_reference`.
    """
    name, at, version = reference.partition("@")
    if not at:
        return name, None
    if not (version.isascii() and version.isdigit() and len(version) <= 9):
        raise InvalidInput(
            f"{reference[:80]!r} is no reference to a factor set; write its id, its name, or name@version",
            code="invalid_reference",
            param="factor_set",
        )
    return name, int(version)


def view(found: FactorSetVersion) -> FactorSetView:
    """Return what a tenant sees of a version."""
    return FactorSetView.model_validate(found, from_attributes=True)


def check(document: Any) -> FactorSetCheck:
    """Check a document and report every fault."""
    try:
        factor_set = parse_factor_set(document)
    except InvalidInput as error:
        faults = [fault.as_json() for fault in error.details]
        return FactorSetCheck(valid=False, fault_count=len(faults), errors=faults, document=None)
    return FactorSetCheck(valid=True, fault_count=0, errors=[], document=factor_set.document())


async def register(session: AsyncSession, tenant_id: str, factor_set: FactorSet) -> Reply:
    """Add a version; a document equal to the newest version is that version."""
    found = await factor_sets.register(session, tenant_id, factor_set)
    return Reply(view(found), 201, {"Location": f"/v1/factor_sets/{found.id}/versions/{found.version}"})


async def list_own(session: AsyncSession, tenant_id: str, turn: Turn) -> Page[FactorSetView]:
    """Return one page of the tenant's factor sets, each in its newest version."""
    found, more = await factor_sets.list_latest(session, tenant_id, limit=turn.limit, after=turn.after_id("fs"))
    return page_of([view(version) for version in found], more, lambda version: version.id)
