"""Routes of API keys: `/v1/api_keys`, and `/v1/me`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from heddle_api.auth import Caller, Principal
from heddle_api.control.context import CurrentControl
from heddle_api.control.keys import service
from heddle_api.control.keys.service import CreatedKey, KeyView, Me, NewKey, RotatedKey, Rotation
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.trail import AskedTrail
from heddle_infra.database import tenants

router = APIRouter(prefix="/v1", tags=["keys"])


async def _manager(caller: Caller) -> Principal:
    service.check_manager(caller)
    return caller


ManagerKey = Annotated[Principal, Depends(_manager)]


@router.get("/me", summary="Who am I")
async def me(caller: Caller, control: CurrentControl) -> Me:
    """Read the tenant and the scopes that the key in use stands for."""
    async with control.transaction(caller) as session:
        return await service.me(session, caller)


@router.post("/api_keys", status_code=201, response_model=CreatedKey, summary="Create an API key")
async def create_key(body: NewKey, caller: ManagerKey, post: OncePost) -> Response:
    """Create a key of the same owner with some of the scopes of the key in use, which must have every scope."""
    # before the stored reply is looked up, as the caller's own scopes: it holds a key that a weaker one must not get
    service.check_scopes(caller, body.scopes)
    return await post.once(caller, lambda session: service.create(session, caller, body))


@router.get("/api_keys", summary="List API keys")
async def list_keys(caller: ManagerKey, control: CurrentControl, turn: AskedPage) -> Page[KeyView]:
    """List the owner's keys, newest first, without their secrets; revoked ones stay listed."""
    async with control.transaction(caller) as session:
        return await service.list_own(session, caller, turn)


@router.get("/api_keys/{key_id}", summary="Read an API key")
async def get_key(key_id: str, caller: ManagerKey, control: CurrentControl) -> KeyView:
    """Read one key, without its secret."""
    async with control.transaction(caller) as session:
        return service.view(await tenants.get_key(session, caller.tenant_id, key_id))


@router.post("/api_keys/{key_id}/rotate", response_model=RotatedKey, summary="Rotate an API key")
async def rotate_key(key_id: str, caller: ManagerKey, post: OncePost, body: Rotation | None = None) -> Response:
    """Give a key a new secret; the old one goes on beside it for a while (24 hours unless said otherwise)."""
    return await post.once(caller, lambda session: service.rotate(session, caller, key_id, body or Rotation()))


@router.delete("/api_keys/{key_id}", summary="Revoke an API key")
async def revoke_key(key_id: str, caller: ManagerKey, control: CurrentControl, trail: AskedTrail) -> KeyView:
    """Revoke a key: it stops working at once here, and within a second at the edge."""
    async with control.transaction(caller) as session:
        before = service.view(await tenants.get_key(session, caller.tenant_id, key_id))
        revoked = service.view(await tenants.revoke_key(session, caller.tenant_id, key_id))
        if revoked != before:
            await trail.note(session, caller, target=key_id, before=before, after=revoked)
    await control.announce("key_revoked")
    return revoked
