"""Signatures of Standard Webhooks, version 1: HMAC-SHA256 over `id.timestamp.body`."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Make a secret `whsec_<base64 of 32 random bytes>`."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,<base64>` for one message.

    Args:
        secret: as the tenant holds it.
        message_id: the header webhook-id.
        timestamp: the header webhook-timestamp, seconds since 1970.
        body: the exact bytes sent.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def headers(secrets_in_use: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers; while a secret is being rotated there are two signatures, either of them valid."""
    signatures = " ".join(signature(secret, message_id, timestamp, body) for secret in secrets_in_use)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def verify(secret: str, sent: dict[str, str], body: bytes, *, now: float, tolerance_seconds: float = 300.0) -> bool:
    """Tell whether a message is the platform's and fresh, as a receiver must.

    Args:
        secret: the endpoint's.
        sent: the request's headers, names in lower case.
        body: the exact bytes received.
        now: seconds since 1970.
        tolerance_seconds: how old or how early a message may be.
    """
    try:
        timestamp = int(sent["webhook-timestamp"])
        right = signature(secret, sent["webhook-id"], timestamp, body)
    except (KeyError, ValueError, binascii.Error):
        return False
    fresh = abs(now - timestamp) <= tolerance_seconds
    matches = [hmac.compare_digest(one, right) for one in sent.get("webhook-signature", "").split(" ")]
    return fresh and any(matches)
