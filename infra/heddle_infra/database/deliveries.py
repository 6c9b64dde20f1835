"""Sending, as the database sees it: deliveries leased to one sender at a time, and their outcomes.

A sender that dies leaves a lease that runs out; another takes the delivery over. Its `attempts` is the fencing token:
an outcome is written only by who made the last attempt. So an event arrives at least once, and receivers tell
repetitions by its webhook-id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.webhook_models import WebhookDeliveryRow, WebhookEndpointRow
from heddle_platform.webhook_records import WebhookDelivery, WebhookEndpoint

RETENTION: Final = timedelta(days=30)
_AT_ONCE_PER_ENDPOINT: Final = 4  # a slow receiver keeps nobody else waiting

_DUE: Final = (
    "d.status = 'pending' and d.next_attempt_at <= now() and (d.lease_expires_at is null or d.lease_expires_at < now())"
)
_NEXT: Final = f"""
    with due as (
        select d.id, d.next_attempt_at, row_number() over (partition by d.endpoint_id order by d.next_attempt_at, d.id)
            + (select count(*) from webhook_deliveries sent where sent.endpoint_id = d.endpoint_id
               and sent.status = 'pending' and sent.lease_expires_at >= now()) as place
        from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
            join tenants t on t.id = d.tenant_id
        where {_DUE} and e.status = 'enabled' and t.status = 'active'
    )
    select id from due where place <= :each order by place, next_attempt_at, id limit :limit
"""  # noqa: S608  no value is pasted in
_LOCK: Final = f"select d.id from webhook_deliveries d where d.id = any(:ids) and {_DUE} for update skip locked"  # noqa: S608


@dataclass(frozen=True)
class Leased:
    """A delivery to make, and where to."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        delivered: whether the endpoint took it.
        response_status: what it answered; None: there was no answer.
        reason: a sentence, where it did not.
        gone: whether the endpoint said that it does not want any more (410).
    """

    delivered: bool
    response_status: int | None = None
    reason: str | None = None
    gone: bool = False


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> list[Leased]:
    """Lease up to `limit` deliveries that are due, fairly over endpoints; several senders never get the same one.

    Those of a suspended tenant wait until it is resumed.
    """
    order = (await session.scalars(text(_NEXT), {"limit": limit, "each": _AT_ONCE_PER_ENDPOINT})).all()
    if not order:
        return []
    locked: Sequence[str] = (await session.scalars(text(_LOCK), {"ids": list(order)})).all()
    await session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.id.in_(locked))
        .values(lease_expires_at=in_seconds(lease_seconds), attempts=WebhookDeliveryRow.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    found = await session.execute(
        select(WebhookDeliveryRow, WebhookEndpointRow)
        .join(WebhookEndpointRow, WebhookEndpointRow.id == WebhookDeliveryRow.endpoint_id)
        .where(WebhookDeliveryRow.id.in_(locked))
    )
    return [
        Leased(WebhookDelivery.model_validate(delivery), WebhookEndpoint.model_validate(endpoint))
        for delivery, endpoint in found
    ]


async def finish(
    session: AsyncSession,
    leased: Leased,
    outcome: Outcome,
    *,
    retry_after_seconds: float | None,
    disable_after_seconds: float,
) -> str | None:
    """Write what came of an attempt, unless another sender has taken the delivery over.

    Args:
        session: open session.
        leased: what was attempted.
        outcome: what came of it.
        retry_after_seconds: when to try again; None gives up.
        disable_after_seconds: how long an endpoint may take nothing before it is switched off.

    Returns:
        Why the endpoint was switched off, if it was.
    """
    # the endpoint first, as whoever changes one does: two orders would wait for each other
    endpoint = await session.get(
        WebhookEndpointRow, leased.endpoint.id, with_for_update={"key_share": True}, populate_existing=True
    )
    row = await session.scalar(
        select(WebhookDeliveryRow)
        .where(
            WebhookDeliveryRow.id == leased.delivery.id,
            WebhookDeliveryRow.attempts == leased.delivery.attempts,
            WebhookDeliveryRow.status == "pending",
        )
        .with_for_update()
    )
    if row is None or endpoint is None:
        return None
    row.response_status, row.reason, row.lease_expires_at = outcome.response_status, outcome.reason, None
    if outcome.delivered:
        row.status, row.finished_at, endpoint.failing_since = "delivered", func.now(), None
        return None
    if retry_after_seconds is None:
        row.status, row.finished_at = "failed", func.now()
    else:
        row.next_attempt_at = in_seconds(retry_after_seconds)
    if endpoint.failing_since is None:
        endpoint.failing_since = func.now()
    await session.flush()
    return await _switched_off(session, endpoint, outcome, disable_after_seconds)


async def _switched_off(
    session: AsyncSession, endpoint: WebhookEndpointRow, outcome: Outcome, disable_after_seconds: float
) -> str | None:
    await session.refresh(endpoint)
    failing_seconds = await session.scalar(
        select(func.extract("epoch", func.clock_timestamp() - WebhookEndpointRow.failing_since)).where(
            WebhookEndpointRow.id == endpoint.id
        )
    )
    if outcome.gone:
        reason = "it answered 410 Gone: it wants no more events"
    elif float(failing_seconds or 0.0) >= disable_after_seconds:
        reason = f"it has taken nothing since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC; lately: {outcome.reason}"
    else:
        return None
    endpoint.status, endpoint.disabled_reason = "disabled", reason
    endpoint.revision += 1
    endpoint.updated_at = func.now()
    await session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.endpoint_id == endpoint.id, WebhookDeliveryRow.status == "pending")
        .values(status="failed", reason=f"the endpoint was switched off: {reason}", finished_at=func.now())
    )
    return reason


async def forget_old(session: AsyncSession) -> None:
    """Delete what was over a month ago."""
    await session.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.finished_at < func.now() - RETENTION))


def in_seconds(seconds: float) -> Any:
    """Return the database's time so many seconds from now."""
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
