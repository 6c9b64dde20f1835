"""Routes of erasures: `/v1/erasure_requests`, and the key that certificates are checked with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from heddle_api.auth import Principal
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.erasures import service
from heddle_api.control.erasures.service import ErasureView, NewErasure, SigningKey
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_infra.database import erasures
from heddle_infra.signing import Signer

router = APIRouter(tags=["erasure"])
DataKey = Annotated[Principal, Depends(tenant_with("data"))]


@router.post(
    "/v1/erasure_requests", status_code=202, response_model=ErasureView, summary="Erase images from everything"
)
async def create_erasure(body: NewErasure, tenant: DataKey, control: CurrentControl, post: OncePost) -> Response:
    """Erase images from labelled sets, latents, caches and every adapter version that learnt from them.

    It runs as a job: jobs queued before it end first, jobs queued after it wait. Each version is replaced by one
    fitted without the images, which takes over its aliases and approval; where the rows that stay cannot be fitted,
    the version and its aliases are withdrawn. When it is done, a signed certificate says what went.
    """
    return await post.once(tenant, lambda session: service.create(session, control, tenant, body))


@router.get("/v1/erasure_requests", summary="List erasures")
async def list_erasures(tenant: DataKey, control: CurrentControl, turn: AskedPage) -> Page[ErasureView]:
    """List erasures, newest first."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn)


@router.get("/v1/erasure_requests/{erasure}", summary="Read an erasure")
async def get_erasure(erasure: str, tenant: DataKey, control: CurrentControl) -> ErasureView:
    """Read an erasure: where it stands, what went, what took its place, and its certificate."""
    async with control.transaction(tenant) as session:
        return service.view(await erasures.get(session, tenant.tenant, erasure))


@router.get("/v1/signing_key", summary="Read the public signing key")
async def get_signing_key(control: CurrentControl) -> SigningKey:
    """Read what signatures are checked with; anybody may, so that a certificate convinces more than its owner."""
    return SigningKey(public_key=Signer(control.settings.security.secret_key).public_key)
