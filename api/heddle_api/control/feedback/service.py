"""Feedback: which edits people kept, and where they left the sliders.

An edit id is signed, so whose edit it was and what it did is known without a row of it.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_adapters.change import target_of
from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Asked
from heddle_api.edit_id import EditReceipt, EditSigner
from heddle_infra.database import adapters, factor_sets, feedback
from heddle_platform.edit_records import Feedback
from heddle_platform.errors import Detail, InvalidInput, NotFound
from heddle_platform.factors import parse_factor_set

Value = str | bool | float


class NewFeedback(Asked):
    """A verdict on one edit."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"edit_id": "edt_...", "kept": True, "final": {"glasses": "round"}}]},
    )
    edit_id: str = Field(min_length=1, max_length=8_000, description="The X-Edit-Id that came with the edit.")
    kept: bool = Field(description="Whether the picture was kept.")
    final: dict[str, Value] = Field(
        default_factory=dict, max_length=200, description="Factor to the value its person ended at."
    )


class FeedbackView(BaseModel):
    """A verdict as it stands."""

    id: str = Field(description="Of the edit: one edit has one verdict.")
    adapter: str = Field(description="name@version that made the edit.")
    adapter_digest: str = Field(description="SHA-256 of the adapter that made the edit.")
    edit: dict[str, Any] | None = Field(description="What was asked for; null where it was too long for an edit id.")
    kept: bool = Field(description="Whether the picture was kept.")
    final: dict[str, Value] = Field(description="Factor to the value its person ended at.")
    created_at: datetime
    updated_at: datetime


def view(found: Feedback) -> FeedbackView:
    """Return what is shown of a verdict."""
    return FeedbackView(
        adapter=f"{found.adapter_name}@{found.adapter_version}",
        **found.model_dump(include={"id", "adapter_digest", "edit", "kept", "final", "created_at", "updated_at"}),
    )


async def create(session: AsyncSession, control: Control, caller: Principal, wanted: NewFeedback) -> Reply:
    """Note a verdict; the last one on an edit counts.

    Raises:
        NotFound: code `unknown_edit`: the id is not ours, altered, or of another tenant's edit.
        InvalidInput: `final` names what the adapter's factor set does not know.
    """
    signer = EditSigner(control.settings.security.secret_key.get_secret_value())
    try:
        receipt = signer.verify(wanted.edit_id, caller.tenant)
    except InvalidInput as error:
        raise NotFound(
            f"there is no edit {wanted.edit_id[:40]!r} of yours; send the whole X-Edit-Id that came with the picture",
            code="unknown_edit",
            param="/edit_id",
        ) from error
    name, _, number = receipt.adapter.partition("@")
    await _check_final(session, caller.tenant, receipt, name, int(number), wanted.final)
    noted, first = await feedback.report(
        session,
        {
            "id": receipt.id,
            "tenant_id": caller.tenant,
            "adapter_name": name,
            "adapter_version": int(number),
            "adapter_digest": receipt.adapter_digest,
            "edit": receipt.edit,
            "edit_digest": receipt.edit_digest,
            "kept": wanted.kept,
            "final": wanted.final,
            "key_id": caller.key_id,
        },
    )
    return Reply(view(noted), 201 if first else 200)


async def list_own(
    session: AsyncSession, tenant_id: str, turn: Turn, *, adapter: str | None, kept: bool | None
) -> Page[FeedbackView]:
    """Return one page of the tenant's verdicts."""
    found, more = await feedback.list_feedback(
        session, tenant_id, limit=turn.limit, after=turn.after_id("edt"), adapter=adapter, kept=kept
    )
    return page_of([view(one) for one in found], more, lambda one: one.id)


async def _check_final(
    session: AsyncSession, tenant_id: str, receipt: EditReceipt, name: str, number: int, final: dict[str, Value]
) -> None:
    if not final:
        return
    try:
        adapter = await adapters.resolve(session, tenant_id, name)
        version = await adapters.version(session, tenant_id, adapter.id, number)
        stored = await factor_sets.resolve(session, tenant_id, version.factor_set_id, version.factor_set_version)
    except NotFound:
        return  # erased since: the verdict stands, nobody can say any more what its factors were
    if version.digest != receipt.adapter_digest and version.status != "erased":
        return
    factors = {factor.name: factor for factor in parse_factor_set(stored.document).factors}
    for factor_name, value in final.items():
        pointer = f"/final/{factor_name[:60]}"
        if factor_name not in factors:
            raise _fault(
                pointer,
                "unknown_factor",
                f"{name!r} has no factor {factor_name[:60]!r}; its factors are: {', '.join(list(factors)[:30])}",
            )
        try:
            target_of(factors[factor_name], value)
        except InvalidInput as error:
            raise _fault(pointer, error.code, error.message) from None


def _fault(pointer: str, code: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, code=code, param=pointer, details=[Detail(pointer, code, sentence)])
