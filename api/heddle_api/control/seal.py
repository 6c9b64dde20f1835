"""Sealing: stored replies are encrypted, for one of them may hold a fresh API key."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from heddle_platform.errors import Conflict

_PURPOSE = b"heddle stored replies, version 1"  # another purpose of the same secret gets another key


class Seal:
    """Encrypts and authenticates bytes with a key derived from the platform's secret."""

    def __init__(self, secret: SecretStr, purpose: bytes = _PURPOSE) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=purpose).derive(secret.get_secret_value().encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def close(self, data: bytes) -> bytes:
        """Return `data` encrypted."""
        return self._fernet.encrypt(data)

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            Conflict: code `stored_reply_lost`; the secret has changed since, and doing the work again instead
                of answering would break what the caller was promised.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise Conflict(
                "the request with this Idempotency-Key was done, and its answer can no longer be opened; "
                "look for its result and use a new key",
                code="stored_reply_lost",
                param="Idempotency-Key",
            ) from None
