"""API keys: made and revoked by keys that carry every scope of their owner.

Decision: a key may manage keys if nothing could be gained by it, that is if it carries all scopes of a tenant
(or `admin`, for operators). So a leaked `edits` key of an app can neither make a stronger key nor revoke others.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal, mint_key
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.tenants.service import TenantView
from heddle_api.control.tenants.service import view as tenant_view
from heddle_api.control.wire import Asked, DisplayName, Moment, each_once
from heddle_infra.database import rotation, tenants
from heddle_platform.errors import Forbidden, InvalidInput
from heddle_platform.ids import new_id
from heddle_platform.records import ALL_SCOPES, TENANT_SCOPES, ApiKey, Scope

OVERLAP_SECONDS: Final = 24 * 3600
LONGEST_OVERLAP_SECONDS: Final = 30 * 24 * 3600


class NewKey(Asked):
    """A key to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "shop front", "scopes": ["edits", "feedback"]}]})
    name: DisplayName = Field(description="Where the key is used; for people.")
    scopes: Annotated[
        frozenset[Scope], BeforeValidator(each_once), Field(min_length=1, description="What the key may do.")
    ]
    expires_at: Moment | None = Field(None, description="When the key stops working; null: never.")


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None = Field(description="When it got the secret it has now; null: with its creation.")
    previous_ends_at: datetime | None = Field(
        description="Until when the secret that it had before works beside the new one; null: it has ended."
    )
    created_at: datetime


class CreatedKey(KeyView):
    """A new key with its secret, which is shown this once."""

    api_key: str = Field(description="Store it now, it cannot be read again.")


class Rotation(Asked):
    """How a key changes over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86400}]})
    overlap_seconds: int = Field(
        OVERLAP_SECONDS,
        ge=0,
        le=LONGEST_OVERLAP_SECONDS,
        description="How long the old secret goes on working; 0 ends it at once, for one that has leaked.",
    )


class RotatedKey(KeyView):
    """A key with its new secret, which is shown this once."""

    api_key: str = Field(description="Store it now, it cannot be read again.")


class Me(BaseModel):
    """Who is calling."""

    tenant_id: str | None = Field(description="Null for an operator's key.")
    tenant: TenantView | None
    key: KeyView
    scopes: list[Scope]


def view(key: ApiKey) -> KeyView:
    """Return what may be seen of a key; scopes in their usual order."""
    scopes = [scope for scope in ALL_SCOPES if scope in key.scopes]
    ends_at = key.previous_ends_at
    if ends_at is not None and ends_at <= datetime.now(UTC):
        ends_at = None
    return KeyView(**{**key.model_dump(exclude={"tenant_id"}), "scopes": scopes, "previous_ends_at": ends_at})


def check_manager(caller: Principal, deed: str = "manage keys") -> None:
    """Make sure the caller has every scope of its owner, as who manages keys must.

    Args:
        caller: who asks.
        deed: what is asked for, for the sentence.

    Raises:
        Forbidden: code `missing_scope`.
    """
    needed: set[Scope] = {"admin"} if caller.tenant_id is None else {*TENANT_SCOPES}
    missing = sorted(needed - caller.scopes)
    if missing:
        raise Forbidden(
            f"only a key with every scope may {deed}; this one lacks: {', '.join(missing)}",
            code="missing_scope",
            param="Authorization",
        )


def check_scopes(caller: Principal, scopes: frozenset[Scope]) -> None:
    """Make sure a key is given nothing its maker lacks.

    Raises:
        Forbidden: code `scope_not_held`.
    """
    extra = sorted(scopes - caller.scopes)
    if extra:
        raise Forbidden(
            f"a key cannot be given scopes its maker lacks: {', '.join(extra)}; this key has: "
            f"{', '.join(sorted(caller.scopes))}",
            code="scope_not_held",
            param="scopes",
        )


async def create(session: AsyncSession, caller: Principal, wanted: NewKey) -> Reply:
    """Add a key of the caller's owner.

    Raises:
        InvalidInput: code `already_expired`.
    """
    now = datetime.now(UTC)
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise InvalidInput(
            f"expires_at is {wanted.expires_at.isoformat()}, which is not after now, {now.isoformat()}",
            code="already_expired",
            param="expires_at",
        )
    key_id = new_id("key")
    minted = mint_key(key_id)
    key = await tenants.create_key(
        session,
        tenant_id=caller.tenant_id,
        name=wanted.name,
        scopes=[scope for scope in ALL_SCOPES if scope in wanted.scopes],
        secret_hash=minted.hash,
        expires_at=wanted.expires_at,
        key_id=key_id,
    )
    body = CreatedKey(**view(key).model_dump(), api_key=minted.plaintext)
    headers = {"Location": f"/v1/api_keys/{key.id}", "Cache-Control": "no-store"}
    return Reply(body, 201, headers, announce="key_created")


async def rotate(session: AsyncSession, caller: Principal, key_id: str, wanted: Rotation) -> Reply:
    """Give a key of the caller's owner a new secret.

    Raises:
        NotFound: code `not_found`.
        Forbidden: code `scope_not_held`.
        Conflict: code `key_not_valid`.
    """
    before = await tenants.get_key(session, caller.tenant_id, key_id)
    check_scopes(caller, frozenset(before.scopes))
    minted = mint_key(key_id)
    key = await rotation.rotate(
        session, caller.tenant_id, key_id, secret_hash=minted.hash, overlap_seconds=wanted.overlap_seconds
    )
    body = RotatedKey(**view(key).model_dump(), api_key=minted.plaintext)
    return Reply(body, 200, {"Cache-Control": "no-store"}, announce="key_rotated", before=view(before))


async def list_own(session: AsyncSession, caller: Principal, turn: Turn) -> Page[KeyView]:
    """Return one page of the keys of the caller's owner."""
    found, more = await tenants.list_keys(session, caller.tenant_id, limit=turn.limit, after=turn.after_id("key"))
    return page_of([view(key) for key in found], more, lambda key: key.id)


async def me(session: AsyncSession, caller: Principal) -> Me:
    """Tell a key who it is."""
    key = await tenants.get_key(session, caller.tenant_id, caller.key_id)
    tenant = await tenants.get_tenant(session, caller.tenant_id) if caller.tenant_id else None
    shown = view(key)
    return Me(
        tenant_id=caller.tenant_id, tenant=tenant_view(tenant) if tenant else None, key=shown, scopes=shown.scopes
    )
