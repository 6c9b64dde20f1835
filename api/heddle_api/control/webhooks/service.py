"""Webhook endpoints: registered with a secret shown once, changed under If-Match, rotated, and their deliveries."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import Control
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.precondition import IfMatch, etag
from heddle_api.control.seal import Seal
from heddle_api.control.webhooks.network import MAX_URL_CHARACTERS, check_url
from heddle_api.control.webhooks.sender import SEAL_PURPOSE
from heddle_api.control.webhooks.signature import new_secret
from heddle_api.control.wire import Asked
from heddle_infra.database import webhooks
from heddle_platform.errors import InvalidInput
from heddle_platform.webhook_records import (
    WEBHOOK_EVENTS,
    DeliveryStatus,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

_ENDPOINT_ID: Final = "whe_01jd8x4s5n7k2m3p4q5r6s7t8v"
_URL: Final = "https://example.com/hooks/heddle"

Url = Annotated[
    str, StringConstraints(min_length=10, max_length=MAX_URL_CHARACTERS, pattern=r"^https?://[\x21-\x7e]+$")
]
Note = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WEBHOOK_EVENTS))]


class NewEndpoint(Asked):
    """An address that wants to be told of events."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": _URL, "events": ["job.succeeded", "job.failed"]}]},
    )
    url: Url = Field(description="Where events are POSTed: https, on the public internet; redirects are not followed.")
    events: Events = Field(list(WEBHOOK_EVENTS), description="Which events are sent; all unless named.")
    description: Note = Field("", description="For people.")


class EndpointChange(Asked):
    """What to change of an endpoint; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "enabled"}], "minProperties": 1})
    url: Url | None = Field(None, description="Where events are POSTed from now on, those that wait included.")
    events: Events | None = Field(None, description="Which events are sent from now on.")
    description: Note | None = Field(None, description="For people.")
    status: EndpointStatus | None = Field(
        None, description="`disabled` sends nothing more and gives up what waits; `enabled` starts anew."
    )


class EndpointView(BaseModel):
    """An endpoint without its secret."""

    id: str = Field(description="Id of the endpoint.", examples=[_ENDPOINT_ID])
    url: str = Field(description="Where events are POSTed.", examples=[_URL])
    events: list[WebhookEvent] = Field(description="Which events are sent.", examples=[["job.succeeded"]])
    description: str = Field(description="For people.", examples=["the shop's back office"])
    status: EndpointStatus = Field(description="Whether events are sent.", examples=["enabled"])
    disabled_reason: str | None = Field(description="Why it is disabled; null while it is enabled.", examples=[None])
    failing_since: datetime | None = Field(
        description="Since when it has taken nothing; null if the last delivery arrived. Failing for five days "
        "disables it.",
        examples=[None],
    )
    previous_secret_until: datetime | None = Field(
        description="Until when deliveries are signed with the secret before the rotation as well.", examples=[None]
    )
    created_at: datetime = Field(description="When it was registered.", examples=["2027-01-31T12:00:00Z"])
    updated_at: datetime = Field(description="When it was last changed.", examples=["2027-01-31T12:00:00Z"])


class EndpointWithSecret(EndpointView):
    """An endpoint with its secret, which is shown this once."""

    secret: str = Field(
        description="`whsec_` and base64: the key of webhook-signature. Store it now, it cannot be read again.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
    )


class DeliveryView(BaseModel):
    """One event on its way to one endpoint."""

    id: str = Field(description="Id of the delivery.", examples=["dlv_01jd8x4s5n7k2m3p4q5r6s7t8v"])
    endpoint: str = Field(description="Id of the endpoint.", examples=[_ENDPOINT_ID])
    event_id: str = Field(
        description="The header webhook-id: the same for all attempts, so that a receiver can tell repetitions.",
        examples=["ev_01jd8x4s5n7k2m3p4q5r6s7t8v"],
    )
    event: WebhookEvent = Field(description="What happened.", examples=["job.succeeded"])
    payload: dict[str, Any] = Field(
        description="The body: type, timestamp and data.",
        examples=[{"type": "job.succeeded", "timestamp": "2027-01-31T12:00:00Z", "data": {"id": "job_01jd"}}],
    )
    status: DeliveryStatus = Field(description="`failed` was given up; redeliver it.", examples=["delivered"])
    attempts: int = Field(description="How often it was sent.", examples=[1])
    next_attempt_at: datetime | None = Field(description="When it is sent next; null once it is over.", examples=[None])
    response_status: int | None = Field(description="What the endpoint answered last; null: nothing.", examples=[204])
    reason: str | None = Field(description="Why the last attempt failed.", examples=["it answered 500"])
    created_at: datetime = Field(description="When the event happened.", examples=["2027-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(
        description="When it arrived or was given up.", examples=["2027-01-31T12:00:01Z"]
    )


def view(endpoint: WebhookEndpoint) -> EndpointView:
    """Return what is shown of an endpoint."""
    return EndpointView(**_shown(endpoint))


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    hidden = {"tenant_id", "revision", "sealed_secret", "sealed_previous", "previous_until"}
    return {**endpoint.model_dump(exclude=hidden), "previous_secret_until": endpoint.previous_until}


def delivery_view(delivery: WebhookDelivery) -> DeliveryView:
    """Return what is shown of a delivery."""
    shown = delivery.model_dump(exclude={"tenant_id", "endpoint_id", "event_type", "attempts_before"})
    if delivery.status != "pending":
        shown["next_attempt_at"] = None
    return DeliveryView(**shown, endpoint=delivery.endpoint_id, event=delivery.event_type)


def _with_secret(endpoint: WebhookEndpoint, secret: str, status: int) -> Reply:
    headers = {
        "Location": f"/v1/webhook_endpoints/{endpoint.id}",
        "ETag": etag(endpoint.revision),
        "Cache-Control": "no-store",
    }
    return Reply(EndpointWithSecret(**_shown(endpoint), secret=secret), status, headers)


def _sealed(control: Control, secret: str) -> bytes:
    return Seal(control.settings.security.secret_key, SEAL_PURPOSE).close(secret.encode())


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewEndpoint) -> Reply:
    """Register an endpoint with a fresh secret.

    Raises:
        InvalidInput: codes `invalid_url`, `https_required`, `private_address`.
        Conflict: code `too_many_endpoints`.
    """
    settings, secret = control.settings.webhooks, new_secret()
    endpoint = await webhooks.create(
        session,
        tenant_id,
        url=check_url(wanted.url, allow_loopback=settings.webhook_allow_loopback),
        description=wanted.description,
        events=_ordered(wanted.events),
        sealed_secret=_sealed(control, secret),
        most=settings.webhook_endpoints_max,
    )
    return _with_secret(endpoint, secret, 201)


async def rotate(session: AsyncSession, control: Control, tenant_id: str, endpoint_id: str) -> Reply:
    """Give an endpoint a fresh secret; the one before signs as well for a day.

    Raises:
        NotFound: code `unknown_endpoint`.
    """
    secret = new_secret()
    endpoint = await webhooks.rotate(
        session,
        tenant_id,
        endpoint_id,
        sealed_secret=_sealed(control, secret),
        overlap_seconds=control.settings.webhooks.webhook_overlap_seconds,
    )
    return _with_secret(endpoint, secret, 200)


async def change(
    session: AsyncSession, control: Control, tenant_id: str, endpoint_id: str, wanted: EndpointChange, match: IfMatch
) -> Reply:
    """Change an endpoint.

    Raises:
        InvalidInput: codes `nothing_to_change`, `invalid_url`, `https_required`, `private_address`.
        NotFound: code `unknown_endpoint`.
        PreconditionRequired: no If-Match was sent.
        PreconditionFailed: it is not what If-Match says.
    """
    values = wanted.model_dump(exclude_none=True)
    if not values:
        raise InvalidInput("nothing to change; send url, events, description or status", code="nothing_to_change")
    if wanted.url is not None:
        check_url(wanted.url, allow_loopback=control.settings.webhooks.webhook_allow_loopback)
    if wanted.events is not None:
        values["events"] = _ordered(wanted.events)
    changed = await webhooks.change(
        session, tenant_id, endpoint_id, values, if_match=match.revision, any_state=match.any_state
    )
    return Reply(view(changed), 200, {"ETag": etag(changed.revision)})


def _ordered(events: list[WebhookEvent]) -> list[WebhookEvent]:
    return [event for event in WEBHOOK_EVENTS if event in events]


async def list_own(session: AsyncSession, tenant_id: str, turn: Turn) -> Page[EndpointView]:
    """Return one page of the tenant's endpoints."""
    found, more = await webhooks.list_endpoints(session, tenant_id, limit=turn.limit, after=turn.after_id("whe"))
    return page_of([view(endpoint) for endpoint in found], more, lambda endpoint: endpoint.id)


async def list_deliveries(session: AsyncSession, tenant_id: str, endpoint_id: str, turn: Turn) -> Page[DeliveryView]:
    """Return one page of an endpoint's deliveries."""
    found, more = await webhooks.list_deliveries(
        session, tenant_id, endpoint_id, limit=turn.limit, after=turn.after_id("dlv")
    )
    return page_of([delivery_view(delivery) for delivery in found], more, lambda delivery: delivery.id)


async def redeliver(session: AsyncSession, tenant_id: str, endpoint_id: str, delivery_id: str) -> Reply:
    """Send an event once more.

    Raises:
        NotFound: codes `unknown_endpoint`, `unknown_delivery`.
        Conflict: code `endpoint_disabled`.
    """
    return Reply(delivery_view(await webhooks.redeliver(session, tenant_id, endpoint_id, delivery_id)), 202)
