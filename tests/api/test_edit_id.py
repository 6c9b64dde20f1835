"""Edit ids: readable by us, forgeable by nobody, bound to one tenant."""

import base64
import json

import pytest

from heddle_api.edit_id import EditSigner
from heddle_platform.digest import json_digest
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput

TENANT, OTHER = "ten_01jd00000000000000000000aa", "ten_01jd00000000000000000000bb"
EDIT = EditRequest(adapter="avatars@production", set={"glasses": "round"}, preserve=("skin",), detail="preserve")
BODY = {"set": {"glasses": "round"}, "preserve": ["skin"], "detail": "preserve"}


@pytest.fixture
def signer() -> EditSigner:
    return EditSigner("secret")


def test_an_id_says_what_was_signed(signer: EditSigner) -> None:
    receipt = signer.verify(signer.sign(TENANT, "avatars@3", "d" * 64, EDIT), TENANT)
    assert (receipt.tenant_id, receipt.adapter, receipt.adapter_digest) == (TENANT, "avatars@3", "d" * 64)
    assert receipt.edit == BODY
    assert receipt.edit_digest == json_digest(BODY)


def test_equal_edits_have_ids_of_their_own(signer: EditSigner) -> None:
    ids = {signer.verify(signer.sign(TENANT, "avatars@3", "d" * 64, EDIT), TENANT).id for _ in range(3)}
    assert len(ids) == 3


def test_a_long_edit_is_stated_by_its_digest(signer: EditSigner) -> None:
    long = EditRequest(adapter="a", set={f"factor_{index:03d}": "a level with a long name" for index in range(200)})
    signed = signer.sign(TENANT, "a@1", "d" * 64, long)
    assert len(signed) < 1_000
    receipt = signer.verify(signed, TENANT)
    assert receipt.edit is None
    assert receipt.edit_digest == json_digest(long.model_dump(mode="json", exclude={"adapter"}, exclude_defaults=True))


def test_the_longest_id_fits_a_header(signer: EditSigner) -> None:
    for count in range(1, 60):
        edit = EditRequest(adapter="a", set={f"factor_{index:03d}": "level" for index in range(count)})
        assert len(signer.sign(TENANT, "n" * 63 + "@99999", "d" * 64, edit)) < 4_096


def test_every_altered_character_is_noticed(signer: EditSigner) -> None:
    signed = signer.sign(TENANT, "avatars@3", "d" * 64, EDIT)
    for place in range(len(signed)):
        other = "A" if signed[place] != "A" else "B"
        forged = signed[:place] + other + signed[place + 1 :]
        try:
            receipt = signer.verify(forged, TENANT)
        except InvalidInput:
            continue
        # the last letter of a base64 text has spare bits; the bytes behind it are the same
        assert place in {signed.index(".") - 1, len(signed) - 1}
        assert receipt.edit == BODY


def test_claims_cannot_be_rewritten(signer: EditSigner) -> None:
    payload, _, mac = signer.sign(TENANT, "avatars@3", "d" * 64, EDIT).removeprefix("edt_").partition(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["t"] = OTHER
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidInput):
        signer.verify(f"edt_{forged}.{mac}", OTHER)


@pytest.mark.parametrize("text", ["", "edt_", "edt_.", "edt_e30.e30", "img_x.y", "edt_" + "A" * 5_000, "edt_é.é"])
def test_nonsense_is_refused(signer: EditSigner, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        signer.verify(text, TENANT)
    assert caught.value.code == "invalid_edit_id"


def test_another_tenant_or_another_secret_is_refused(signer: EditSigner) -> None:
    signed = signer.sign(TENANT, "avatars@3", "d" * 64, EDIT)
    for judge, tenant in ((signer, OTHER), (EditSigner("another"), TENANT)):
        with pytest.raises(InvalidInput):
            judge.verify(signed, tenant)
