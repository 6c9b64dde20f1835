"""Webhook endpoints as their tenant sees them, and what was sent to them. Sending lives in `deliveries`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.deliveries import in_seconds
from heddle_infra.database.paging import page
from heddle_infra.database.webhook_models import WebhookDeliveryRow, WebhookEndpointRow
from heddle_platform.errors import Conflict, NotFound, PreconditionFailed, PreconditionRequired
from heddle_platform.ids import new_id
from heddle_platform.webhook_records import WebhookDelivery, WebhookEndpoint, WebhookEvent


async def create(
    session: AsyncSession,
    tenant_id: str,
    *,
    url: str,
    description: str,
    events: Sequence[WebhookEvent],
    sealed_secret: bytes,
    most: int,
) -> WebhookEndpoint:
    """Add an endpoint.

    Raises:
        Conflict: code `too_many_endpoints`: there are `most` already.
    """
    there = await session.scalar(
        select(func.count()).select_from(WebhookEndpointRow).where(WebhookEndpointRow.tenant_id == tenant_id)
    )
    if (there or 0) >= most:
        raise Conflict(
            f"there are {there} endpoints, at most {most} are allowed; delete one first", code="too_many_endpoints"
        )
    row = WebhookEndpointRow(
        id=new_id("whe"),
        tenant_id=tenant_id,
        url=url,
        description=description,
        events=list(events),
        sealed_secret=sealed_secret,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return WebhookEndpoint.model_validate(row)


async def _row(session: AsyncSession, tenant_id: str, endpoint_id: str, *, lock: bool = False) -> WebhookEndpointRow:
    query = select(WebhookEndpointRow).where(
        WebhookEndpointRow.id == endpoint_id, WebhookEndpointRow.tenant_id == tenant_id
    )
    # not FOR UPDATE: a transaction that has something to tell this endpoint need not wait for its change
    row = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if row is None:
        raise NotFound(f"there is no webhook endpoint {endpoint_id[:60]!r}", code="unknown_endpoint")
    return row


async def get(session: AsyncSession, tenant_id: str, endpoint_id: str) -> WebhookEndpoint:
    """Return an endpoint of the tenant.

    Raises:
        NotFound: code `unknown_endpoint`.
    """
    return WebhookEndpoint.model_validate(await _row(session, tenant_id, endpoint_id))


async def list_endpoints(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[WebhookEndpoint], bool]:
    """Return one page of the tenant's endpoints, newest first, and whether there are more."""
    query = select(WebhookEndpointRow).where(WebhookEndpointRow.tenant_id == tenant_id)
    rows, more = await page(session, query, WebhookEndpointRow.id, limit=limit, after=after)
    return [WebhookEndpoint.model_validate(row) for row in rows], more


async def _to_change(
    session: AsyncSession, tenant_id: str, endpoint_id: str, if_match: int | None, any_state: bool
) -> WebhookEndpointRow:
    row = await _row(session, tenant_id, endpoint_id, lock=True)
    if if_match is None and not any_state:
        raise PreconditionRequired(f'send If-Match: "{row.revision}", the ETag you read endpoint {row.id} with')
    if if_match is not None and if_match != row.revision:
        raise PreconditionFailed(f"endpoint {row.id} is at revision {row.revision}, If-Match says {if_match}")
    return row


async def change(
    session: AsyncSession,
    tenant_id: str,
    endpoint_id: str,
    values: dict[str, Any],
    *,
    if_match: int | None,
    any_state: bool,
) -> WebhookEndpoint:
    """Change url, description, events or status; switching it on forgets that it failed.

    Raises:
        NotFound: code `unknown_endpoint`.
        PreconditionRequired: neither `if_match` nor `any_state`.
        PreconditionFailed: it changed since.
    """
    row = await _to_change(session, tenant_id, endpoint_id, if_match, any_state)
    if values.get("status") == "enabled":
        row.failing_since = row.disabled_reason = None
    elif values.get("status") == "disabled" and row.status == "enabled":
        row.disabled_reason = "switched off by its owner"
        await _give_up(session, row.id)
    for name, value in values.items():
        setattr(row, name, value)
    return await _changed(session, row)


async def rotate(
    session: AsyncSession, tenant_id: str, endpoint_id: str, *, sealed_secret: bytes, overlap_seconds: float
) -> WebhookEndpoint:
    """Give an endpoint another secret; the old one signs as well for a while.

    Raises:
        NotFound: code `unknown_endpoint`.
    """
    row = await _row(session, tenant_id, endpoint_id, lock=True)
    row.sealed_previous, row.sealed_secret = row.sealed_secret, sealed_secret
    row.previous_until = in_seconds(overlap_seconds)
    return await _changed(session, row)


async def _changed(session: AsyncSession, row: WebhookEndpointRow) -> WebhookEndpoint:
    row.revision += 1
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    return WebhookEndpoint.model_validate(row)


async def remove(
    session: AsyncSession, tenant_id: str, endpoint_id: str, *, if_match: int | None, any_state: bool
) -> None:
    """Delete an endpoint with its deliveries.

    Raises:
        NotFound: code `unknown_endpoint`.
        PreconditionRequired: neither `if_match` nor `any_state`.
        PreconditionFailed: it changed since.
    """
    row = await _to_change(session, tenant_id, endpoint_id, if_match, any_state)
    await session.execute(delete(WebhookEndpointRow).where(WebhookEndpointRow.id == row.id))


async def list_deliveries(
    session: AsyncSession, tenant_id: str, endpoint_id: str, *, limit: int, after: str | None
) -> tuple[list[WebhookDelivery], bool]:
    """Return one page of what was or will be sent to an endpoint, newest first, and whether there is more.

    Raises:
        NotFound: code `unknown_endpoint`.
    """
    await _row(session, tenant_id, endpoint_id)
    query = select(WebhookDeliveryRow).where(
        WebhookDeliveryRow.endpoint_id == endpoint_id, WebhookDeliveryRow.tenant_id == tenant_id
    )
    rows, more = await page(session, query, WebhookDeliveryRow.id, limit=limit, after=after)
    return [WebhookDelivery.model_validate(row) for row in rows], more


async def redeliver(session: AsyncSession, tenant_id: str, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
    """Send an event once more, with all attempts ahead of it.

    Raises:
        NotFound: codes `unknown_endpoint`, `unknown_delivery`.
        Conflict: code `endpoint_disabled`.
    """
    endpoint = await _row(session, tenant_id, endpoint_id, lock=True)
    row = await session.scalar(
        select(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.id == delivery_id, WebhookDeliveryRow.endpoint_id == endpoint.id)
        .with_for_update()
    )
    if row is None:
        raise NotFound(f"endpoint {endpoint.id} has no delivery {delivery_id[:60]!r}", code="unknown_delivery")
    if endpoint.status != "enabled":
        raise Conflict(f"endpoint {endpoint.id} is disabled; switch it on with PATCH first", code="endpoint_disabled")
    row.status, row.attempts_before, row.finished_at = "pending", row.attempts, None
    row.next_attempt_at = func.now()
    await session.flush()
    await session.refresh(row)
    return WebhookDelivery.model_validate(row)


async def _give_up(session: AsyncSession, endpoint_id: str) -> None:
    await session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.endpoint_id == endpoint_id, WebhookDeliveryRow.status == "pending")
        .values(status="failed", reason="the endpoint was switched off", finished_at=func.now())
    )
