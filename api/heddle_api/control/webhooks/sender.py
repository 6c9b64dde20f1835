"""The sender: a task of every control plane that tells endpoints what stands in the outbox.

Several planes share the work by leases; one that is killed leaves its leases to run out and its deliveries to others.
"""

import asyncio
import random
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import httpcore
import structlog

from heddle_api.control.context import Control
from heddle_api.control.seal import Seal
from heddle_api.control.webhooks.network import Outside, Refused, trusting
from heddle_api.control.webhooks.signature import headers
from heddle_infra.database import deliveries
from heddle_infra.database.deliveries import Leased, Outcome
from heddle_platform.digest import canonical_json
from heddle_platform.errors import HeddleError, Unavailable
from heddle_platform.settings import WebhookSettings
from heddle_platform.webhook_records import WebhookEndpoint

SEAL_PURPOSE: Final = b"heddle webhook secrets, version 1"
_LEASE_OVER_TIMEOUT_SECONDS: Final = 20.0
_FORGET_EVERY_SECONDS: Final = 3_600.0

_log = structlog.get_logger(__name__)


class Sender:
    """Leases deliveries that are due, makes them, and writes down what came of it."""

    def __init__(self, control: Control) -> None:
        self._database = control.ports.database
        self._settings: WebhookSettings = control.settings.webhooks
        self._seal = Seal(control.settings.security.secret_key, SEAL_PURPOSE)
        self._trusted = trusting(self._settings.webhook_ca_file)  # a file that is none is told at the start

    def outside(self) -> Outside:
        """Return the way out that the settings allow."""
        settings = self._settings
        return Outside(
            allow_loopback=settings.webhook_allow_loopback,
            timeout_seconds=settings.webhook_timeout_seconds,
            context=self._trusted,
        )

    async def run(self) -> None:
        """Send until cancelled; a database that is away is waited for."""
        settings = self._settings
        sending: set[asyncio.Task[None]] = set()
        forget_at = 0.0
        async with self.outside() as outside:
            try:
                while True:
                    forget = time.time() > forget_at
                    leased = await self._claim(settings.webhook_in_flight - len(sending), forget=forget)
                    if forget:
                        forget_at = time.time() + _FORGET_EVERY_SECONDS
                    sending |= {asyncio.create_task(self._deliver(outside, one)) for one in leased}
                    if not leased:
                        await asyncio.sleep(settings.webhook_poll_seconds)
                    elif len(sending) >= settings.webhook_in_flight:
                        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                    sending = {task for task in sending if not task.done()}
            finally:
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)

    async def _claim(self, free: int, *, forget: bool) -> list[Leased]:
        lease_seconds = self._settings.webhook_timeout_seconds + _LEASE_OVER_TIMEOUT_SECONDS
        if free <= 0:
            return []
        try:
            async with self._database.platform_transaction() as session:  # what is due may be of many tenants
                if forget:
                    await deliveries.forget_old(session)
                return await deliveries.claim(session, limit=free, lease_seconds=lease_seconds)
        except Unavailable as error:
            _log.warning("webhook_sender_waits", reason=error.message)
        except Exception:  # nobody restarts this task, so nothing may end it
            _log.exception("webhook_claim_failed")
        return []

    async def _deliver(self, outside: Outside, leased: Leased) -> None:
        try:
            outcome = await self.attempt(outside, leased)
            await self._note(leased, outcome)
        except HeddleError as error:  # the lease runs out and the delivery is made again
            _log.warning("webhook_outcome_lost", delivery_id=leased.delivery.id, reason=error.message)
        except Exception:
            _log.exception("webhook_delivery_failed", delivery_id=leased.delivery.id)

    async def attempt(self, outside: Outside, leased: Leased) -> Outcome:
        """Send one delivery once and return what came of it."""
        delivery, endpoint = leased.delivery, leased.endpoint
        body = canonical_json(delivery.payload)
        sent = headers(self._secrets(endpoint), delivery.event_id, int(time.time()), body)
        sent |= {"content-type": "application/json", "user-agent": "heddle-webhooks/1"}
        try:
            status = await outside.post(endpoint.url, sent, body)
        except Refused as error:
            return Outcome(False, reason=str(error))
        except TimeoutError:
            return Outcome(False, reason=f"no answer within {self._settings.webhook_timeout_seconds:g} s")
        except httpcore.TimeoutException:
            return Outcome(False, reason="no connection in time")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return Outcome(False, reason=f"no answer: {type(error).__name__}")
        if 200 <= status < 300:
            return Outcome(True, status)
        redirect = "; redirects are not followed" if 300 <= status < 400 else ""
        return Outcome(False, status, f"it answered {status}{redirect}", gone=status == HTTPStatus.GONE)

    def _secrets(self, endpoint: WebhookEndpoint) -> list[str]:
        sealed = [endpoint.sealed_secret]
        if endpoint.sealed_previous and endpoint.previous_until and endpoint.previous_until > datetime.now(UTC):
            sealed.append(endpoint.sealed_previous)
        return [self._seal.open(one).decode() for one in sealed]

    async def _note(self, leased: Leased, outcome: Outcome) -> None:
        delivery = leased.delivery
        tried = delivery.attempts - delivery.attempts_before
        wait = None if tried >= self._settings.webhook_max_attempts else self.wait_seconds(tried)
        async with self._database.transaction(delivery.tenant_id) as session:
            switched_off = await deliveries.finish(
                session,
                leased,
                outcome,
                retry_after_seconds=wait,
                disable_after_seconds=self._settings.webhook_disable_after_seconds,
            )
        _log.info(
            "webhook_sent",
            delivery_id=delivery.id,
            tenant_id=delivery.tenant_id,
            attempt=tried,
            delivered=outcome.delivered,
            status=outcome.response_status,
            reason=outcome.reason,
        )
        if switched_off is not None:
            _log.warning("webhook_endpoint_disabled", endpoint_id=leased.endpoint.id, reason=switched_off)

    def wait_seconds(self, tried: int) -> float:
        """Return how long to wait after so many failures: four times as long each time, a fifth left to chance."""
        longest = self._settings.webhook_longest_retry_seconds
        wait = min(longest, self._settings.webhook_first_retry_seconds * 4.0 ** min(tried - 1, 20))
        return wait * random.uniform(0.8, 1.2)  # noqa: S311  spreads receivers' load, keeps no secret
