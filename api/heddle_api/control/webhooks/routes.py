"""Routes of webhooks: `/v1/webhook_endpoints`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from heddle_api.auth import Principal, require
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.once import OncePost, answer
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.precondition import AskedMatch, etag
from heddle_api.control.trail import AskedTrail
from heddle_api.control.webhooks import service
from heddle_api.control.webhooks.service import (
    DeliveryView,
    EndpointChange,
    EndpointView,
    EndpointWithSecret,
    NewEndpoint,
)
from heddle_infra.database import webhooks

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"])


async def _owner(
    jobs: Annotated[Principal, Depends(tenant_with("jobs"))],
    _data: Annotated[Principal, Depends(require("data"))],
    _adapters: Annotated[Principal, Depends(require("adapters"))],
) -> Principal:
    """Let keys pass that may read all that events tell of: jobs, labelled sets and adapters."""
    return jobs


HooksKey = Annotated[Principal, Depends(_owner)]


@router.post("", status_code=201, response_model=EndpointWithSecret, summary="Register a webhook endpoint")
async def create_endpoint(body: NewEndpoint, tenant: HooksKey, post: OncePost) -> Response:
    """Register an address that is told of events, signed as Standard Webhooks say; its secret is in this reply only.

    Each event is a POST with the headers webhook-id, webhook-timestamp and webhook-signature. Answer 2xx within ten
    seconds; anything else is tried again, after seconds at first and hours at last, for a day. An event may arrive
    twice and out of order: tell repetitions by webhook-id.
    """
    return await post.once(tenant, lambda session: service.create(session, post.control, tenant.tenant, body))


@router.get("", summary="List webhook endpoints")
async def list_endpoints(tenant: HooksKey, control: CurrentControl, turn: AskedPage) -> Page[EndpointView]:
    """List endpoints, newest first, without their secrets."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn)


@router.get("/{endpoint}", summary="Read a webhook endpoint")
async def get_endpoint(endpoint: str, tenant: HooksKey, control: CurrentControl, response: Response) -> EndpointView:
    """Read an endpoint; its ETag is what If-Match needs to change or delete it."""
    async with control.transaction(tenant) as session:
        found = await webhooks.get(session, tenant.tenant, endpoint)
    response.headers["ETag"] = etag(found.revision)
    return service.view(found)


@router.patch("/{endpoint}", response_model=EndpointView, summary="Change a webhook endpoint")
async def change_endpoint(
    endpoint: str,
    body: EndpointChange,
    tenant: HooksKey,
    control: CurrentControl,
    match: AskedMatch,
    trail: AskedTrail,
) -> Response:
    """Change an endpoint's address, events or description, or switch it off and on; needs If-Match."""
    async with control.transaction(tenant) as session:
        before = service.view(await webhooks.get(session, tenant.tenant, endpoint))
        reply = await service.change(session, control, tenant.tenant, endpoint, body, match)
        await trail.note(session, tenant, before=before, after=reply.body)
    return answer(reply)


@router.delete("/{endpoint}", status_code=204, summary="Delete a webhook endpoint")
async def delete_endpoint(
    endpoint: str, tenant: HooksKey, control: CurrentControl, match: AskedMatch, trail: AskedTrail
) -> None:
    """Delete an endpoint with all it was or would be sent; needs If-Match."""
    async with control.transaction(tenant) as session:
        before = service.view(await webhooks.get(session, tenant.tenant, endpoint))
        await webhooks.remove(session, tenant.tenant, endpoint, if_match=match.revision, any_state=match.any_state)
        await trail.note(session, tenant, before=before)


@router.post("/{endpoint}/rotate", response_model=EndpointWithSecret, summary="Rotate an endpoint's secret")
async def rotate_secret(endpoint: str, tenant: HooksKey, post: OncePost) -> Response:
    """Give an endpoint a fresh secret, shown in this reply only; for a day deliveries carry two valid signatures."""
    return await post.once(tenant, lambda session: service.rotate(session, post.control, tenant.tenant, endpoint))


@router.get("/{endpoint}/deliveries", summary="List deliveries")
async def list_deliveries(
    endpoint: str, tenant: HooksKey, control: CurrentControl, turn: AskedPage
) -> Page[DeliveryView]:
    """List what was or will be sent to an endpoint, newest first; what was over a month ago is forgotten."""
    async with control.transaction(tenant) as session:
        return await service.list_deliveries(session, tenant.tenant, endpoint, turn)


@router.post(
    "/{endpoint}/deliveries/{delivery}/redeliver",
    status_code=202,
    response_model=DeliveryView,
    summary="Send an event again",
)
async def redeliver(endpoint: str, delivery: str, tenant: HooksKey, post: OncePost) -> Response:
    """Send an event once more, whatever came of it before, with all attempts ahead of it."""
    return await post.once(tenant, lambda session: service.redeliver(session, tenant.tenant, endpoint, delivery))
