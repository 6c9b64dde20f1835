import json
from typing import Any

import pytest
from pydantic import SecretStr

from heddle_infra.signing import SignedDocument, Signer, verify
from heddle_platform.errors import InvalidInput

DOCUMENT = {"kind": "test", "rows": ["a", "b"], "share": 0.5}
SIGNER = Signer(SecretStr("one secret of thirty-two letters"))


def test_a_signed_document_travels_as_json_and_is_believed() -> None:
    sent = SIGNER.sign(DOCUMENT).model_dump_json()
    assert verify(SignedDocument.model_validate_json(sent), SIGNER.public_key) == DOCUMENT


def test_equal_secrets_and_documents_give_equal_signatures() -> None:
    again = Signer(SecretStr("one secret of thirty-two letters"))
    assert again.sign(dict(reversed(DOCUMENT.items()))) == SIGNER.sign(DOCUMENT)
    assert Signer(SecretStr("another")).public_key != SIGNER.public_key


@pytest.mark.parametrize(
    "change",
    [
        {"document": {**DOCUMENT, "rows": ["a"]}},
        {"signature": "00" * 64},
        {"signature": "no hexadecimal"},
    ],
)
def test_a_changed_document_is_not_believed(change: dict[str, Any]) -> None:
    changed = SIGNER.sign(DOCUMENT).model_copy(update=change)
    with pytest.raises(InvalidInput) as error:
        verify(changed, SIGNER.public_key)
    assert error.value.code == "signature_invalid"


def test_a_forger_who_sends_his_own_key_is_not_believed() -> None:
    forged = Signer(SecretStr("forger")).sign(DOCUMENT)
    assert json.loads(forged.model_dump_json())["public_key"] == forged.public_key
    with pytest.raises(InvalidInput):
        verify(forged, SIGNER.public_key)
