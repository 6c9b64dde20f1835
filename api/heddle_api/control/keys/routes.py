"""Routes of API keys: `/v1/api_keys`, and `/v1/me`."""

from fastapi import APIRouter, Response

from heddle_api.auth import Caller
from heddle_api.control.context import CurrentControl
from heddle_api.control.keys import service
from heddle_api.control.keys.service import CreatedKey, KeyView, Me, NewKey
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_infra.database import tenants

router = APIRouter(prefix="/v1", tags=["keys"])


@router.get("/me", summary="Who am I")
async def me(caller: Caller, control: CurrentControl) -> Me:
    """Read the tenant and the scopes that the key in use stands for."""
    async with control.transaction(caller) as session:
        return await service.me(session, caller)


@router.post("/api_keys", status_code=201, response_model=CreatedKey, summary="Create an API key")
async def create_key(body: NewKey, caller: Caller, post: OncePost) -> Response:
    """Create a key of the same owner with some of the scopes of the key in use, which must have every scope."""
    # before the stored reply is looked up: it holds a key that a weaker caller must not be handed
    service.check_manager(caller)
    service.check_scopes(caller, body.scopes)
    return await post.once(caller, lambda session: service.create(session, caller, body))


@router.get("/api_keys", summary="List API keys")
async def list_keys(caller: Caller, control: CurrentControl, turn: AskedPage) -> Page[KeyView]:
    """List the owner's keys, newest first, without their secrets; revoked ones stay listed."""
    service.check_manager(caller)
    async with control.transaction(caller) as session:
        return await service.list_own(session, caller, turn)


@router.get("/api_keys/{key_id}", summary="Read an API key")
async def get_key(key_id: str, caller: Caller, control: CurrentControl) -> KeyView:
    """Read one key, without its secret."""
    service.check_manager(caller)
    async with control.transaction(caller) as session:
        return service.view(await tenants.get_key(session, caller.tenant_id, key_id))


@router.delete("/api_keys/{key_id}", summary="Revoke an API key")
async def revoke_key(key_id: str, caller: Caller, control: CurrentControl) -> KeyView:
    """Revoke a key: it stops working at once here, and within a second at the edge."""
    service.check_manager(caller)
    async with control.transaction(caller) as session:
        key = await tenants.revoke_key(session, caller.tenant_id, key_id)
    await control.announce("key_revoked")
    return service.view(key)
