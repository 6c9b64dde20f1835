"""Signed documents: what the platform attests, provable to anybody who holds its public key.

The Ed25519 key is derived from `HEDDLE_SECRET_KEY` by HKDF, so every process of an installation signs alike and no
further secret has to be kept; changing that key changes the public one. A document is signed in its canonical
spelling, and whoever checks it brings the public key: one that travels inside the document proves nothing.
"""

from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, SecretStr

from heddle_platform.digest import canonical_json
from heddle_platform.errors import InvalidInput

_PURPOSE = b"heddle signed documents v1"  # a key of its own: seals and edit ids are made with others


class SignedDocument(BaseModel):
    """A document with its signature.

    Attributes:
        document: what is attested.
        algorithm: always Ed25519.
        public_key: of the signer, 64 hexadecimal digits; a hint which key to check with.
        signature: over the document's canonical JSON, 128 hexadecimal digits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    document: dict[str, Any]
    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str
    signature: str


class Signer:
    """Signs with the key of this installation.

    Args:
        secret_key: `SecuritySettings.secret_key`.
    """

    def __init__(self, secret_key: SecretStr) -> None:
        seed = HKDF(SHA256(), 32, None, _PURPOSE).derive(secret_key.get_secret_value().encode())
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """What others check signatures with, 64 hexadecimal digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, document: dict[str, Any]) -> SignedDocument:
        """Sign a JSON document; equal documents get equal signatures.

        Raises:
            ValueError: a number is not finite.
            TypeError: a value is not JSON.
        """
        signature = self._key.sign(canonical_json(document)).hex()
        return SignedDocument(document=document, public_key=self.public_key, signature=signature)


def verify(signed: SignedDocument, public_key: str) -> dict[str, Any]:
    """Return the document if the holder of this key signed exactly it.

    Args:
        signed: as received.
        public_key: of the platform, from where it is trusted.

    Raises:
        InvalidInput: code `signature_invalid`.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signed.signature), canonical_json(signed.document))
    except (InvalidSignature, ValueError, TypeError):
        raise InvalidInput(
            f"the document was not signed by the key {public_key[:16]}...: it was changed, or another installation "
            f"({signed.public_key[:16]}...) signed it",
            code="signature_invalid",
        ) from None
    return signed.document
