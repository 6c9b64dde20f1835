"""Edit ids: what was edited, how and for whom, signed, so that feedback is checked without a database look-up."""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput
from heddle_platform.ids import is_id, new_id

_PREFIX: Final = "edt_"
_MAC_BYTES: Final = 16
_MAX_EDIT_BYTES: Final = 1_024  # an id travels in a header; a longer edit is stated by its digest only
_MAX_CHARACTERS: Final = 4_096


@dataclass(frozen=True)
class EditReceipt:
    """What an edit id says.

    Attributes:
        id: unique `edt_...` id of this one edit.
        tenant_id: whose edit it was.
        adapter: "name@version".
        adapter_digest: content address of the adapter.
        edit: set, shift, preserve and detail as carried out; None where they were too long for an id.
        edit_digest: SHA-256 of the canonical edit.
    """

    id: str
    tenant_id: str
    adapter: str
    adapter_digest: str
    edit: dict[str, Any] | None
    edit_digest: str


@dataclass(frozen=True)
class Claims:
    """What all ids of one edit say, as JSON: what stands before and behind that which differs, the id itself."""

    before: bytes
    after: bytes


class EditSigner:
    """Writes and checks edit ids with a key of its own, derived from the platform's secret."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"heddle/edit-id/v1", "sha256")

    def sign(self, tenant_id: str, adapter: str, adapter_digest: str, edit: EditRequest) -> str:
        """Return the id of one edit: `edt_<claims>.<HMAC>`, both url-safe base64.

        Args:
            tenant_id: whose edit it is.
            adapter: "name@version".
            adapter_digest: content address of the adapter.
            edit: the edit as carried out.
        """
        return self.issue(self.claims(tenant_id, adapter, adapter_digest, edit))

    def claims(self, tenant_id: str, adapter: str, adapter_digest: str, edit: EditRequest) -> Claims:
        """Prepare what all ids of an edit say, for `issue`; the arguments are those of `sign`."""
        body = edit.model_dump(mode="json", exclude={"adapter"}, exclude_defaults=True)
        spelled = canonical_json(body)
        before: dict[str, Any] = {"a": adapter_digest, "h": sha256_hex(spelled)}
        if len(spelled) <= _MAX_EDIT_BYTES:
            before["e"] = body
        after = canonical_json({"n": adapter, "t": tenant_id})
        return Claims(canonical_json(before)[:-1] + b',"i":"', b'",' + after[1:])

    def issue(self, claims: Claims) -> str:
        """Return a new id that says `claims`."""
        payload = claims.before + new_id("edt").encode() + claims.after
        return f"{_PREFIX}{_text(payload)}.{_text(self._mac(payload))}"

    def verify(self, edit_id: str, tenant_id: str) -> EditReceipt:
        """Check an id and return what it says.

        Args:
            edit_id: an `X-Edit-Id`.
            tenant_id: who presents it.

        Raises:
            InvalidInput: code `invalid_edit_id`: not ours, altered, or another tenant's; the three are not
                told apart.
        """
        try:
            if not edit_id.startswith(_PREFIX) or len(edit_id) > _MAX_CHARACTERS:
                raise ValueError(edit_id[:8])
            first, _, second = edit_id.removeprefix(_PREFIX).partition(".")
            payload = _bytes(first)
            if not hmac.compare_digest(_bytes(second), self._mac(payload)):
                raise ValueError("signature")
            claims = json.loads(payload)
            receipt = EditReceipt(claims["i"], claims["t"], claims["n"], claims["a"], claims.get("e"), claims["h"])
            if receipt.tenant_id != tenant_id or not is_id(receipt.id, "edt"):
                raise ValueError("tenant")
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise InvalidInput(
                "this edit id was not issued to you by this platform; send the X-Edit-Id of one of your edits",
                code="invalid_edit_id",
                param="edit_id",
            ) from None
        return receipt

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
