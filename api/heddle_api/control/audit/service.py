"""The audit trail as it is read: a tenant sees its own chain, an operator all of them."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.keys.service import check_manager
from heddle_api.control.page import Page, Turn, page_of
from heddle_infra.database import audit
from heddle_platform.audit import Actor
from heddle_platform.errors import InvalidInput, NotFound
from heddle_platform.ids import is_id


class AuditView(BaseModel):
    """One thing that was done.

    `hash` is the SHA-256 of the other members as canonical JSON (sorted keys, no spaces, UTF-8), `created_at` with six
    decimals and `+00:00`; `previous_hash` is the hash of the chain's event before, 64 zeros for the first.
    """

    id: str
    tenant_id: str | None = Field(description="Whose chain it stands in; null: the operators'.")
    sequence: int = Field(description="Its place in the chain, from 1.")
    actor: Actor = Field(description="Which kind of key did it.")
    key_id: str
    action: str
    target: str = Field(description="What it was done to: an id or a path; of an alias also the version it came to.")
    request_id: str | None
    before: str | None = Field(description="SHA-256 of the document as it was, where it was at hand.")
    after: str | None = Field(description="SHA-256 of the document as it is, secrets left out.")
    created_at: datetime
    previous_hash: str
    hash: str


class ChainView(BaseModel):
    """Where a chain ends: write it down elsewhere, and nobody can shorten or rewrite what came before it."""

    chain: str = Field(description="A tenant's id, or `operators`.")
    sequence: int
    hash: str


def check_reader(caller: Principal) -> None:
    """Make sure the caller may read the trail: as for keys, it must have every scope.

    Raises:
        Forbidden: code `missing_scope`.
    """
    check_manager(caller, "read the audit trail")


def readable(control: Control, caller: Principal) -> AbstractAsyncContextManager[AsyncSession]:
    """Open a transaction that sees what the caller may read: a tenant its own rows, an operator all."""
    return control.platform_transaction(caller) if caller.tenant_id is None else control.transaction(caller)


async def list_events(
    session: AsyncSession, caller: Principal, turn: Turn, tenant_id: str | None, action: str | None
) -> Page[AuditView]:
    """Return one page of events: the tenant's own; for an operator everybody's, or one tenant's."""
    wanted, everybody = _whose(caller, tenant_id)
    found, more = await audit.list_events(
        session, wanted, limit=turn.limit, after=turn.after_id("ev"), everybody=everybody, action=action
    )
    shown = [AuditView.model_validate(event, from_attributes=True) for event in found]
    return page_of(shown, more, lambda event: event.id)


async def list_chains(session: AsyncSession, caller: Principal, turn: Turn, tenant_id: str | None) -> Page[ChainView]:
    """Return one page of the ends of chains.

    Raises:
        InvalidInput: code `invalid_cursor`.
    """
    if turn.after is not None and turn.after != "operators" and not is_id(turn.after, "ten"):
        raise InvalidInput("after is not a cursor of this list", code="invalid_cursor", param="after")
    wanted, everybody = _whose(caller, tenant_id)
    found, more = await audit.list_heads(session, wanted, limit=turn.limit, after=turn.after, everybody=everybody)
    shown = [ChainView.model_validate(head, from_attributes=True) for head in found]
    return page_of(shown, more, lambda head: head.chain)


def _whose(caller: Principal, tenant_id: str | None) -> tuple[str | None, bool]:
    if caller.tenant_id is not None:
        if tenant_id not in (None, caller.tenant_id):
            raise NotFound(f"there is no tenant {tenant_id!r}", param="tenant_id")
        return caller.tenant_id, False
    return tenant_id, tenant_id is None
