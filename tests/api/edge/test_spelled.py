"""Edits spelled lately: the same as spelled anew, never another tenant's or version's, and not without bound."""

from dataclasses import replace
from typing import cast

import pytest

from heddle_adapters.bank import AdapterBank
from heddle_adapters.edit import detail_reason
from heddle_api.edge.cache_key import canonical_edit, edit_text
from heddle_api.edge.serving import Codec, LoadedBase, Target
from heddle_api.edge.spelled import Speller
from heddle_api.edit_id import EditSigner
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput
from tests.api.edge.edge_world import OTHER, TENANT, Fitted

SIGNER = EditSigner("a secret of the tests")
ROUND = EditRequest(adapter="avatars", set={"glasses": " round "})


@pytest.fixture
def target(fitted: Fitted) -> Target:
    bank = AdapterBank(fitted.adapter.latents)
    bank.add(fitted.digest, fitted.adapter)
    base = LoadedBase("default", fitted.adapter.base_digest, cast(Codec, None), bank)
    return Target(TENANT, "avatars", 1, fitted.digest, base)


def test_an_edit_is_spelled_once_and_as_ever(target: Target) -> None:
    speller = Speller(SIGNER)
    first = speller.spell(target, ROUND)
    assert speller.spell(target, ROUND.model_copy()) is first
    assert first.edit == canonical_edit(target.adapter, ROUND)
    assert first.text == edit_text(first.edit)
    assert first.reason == detail_reason(target.adapter, ROUND)
    assert speller.spell(target, EditRequest(adapter="avatars", set={"glasses": "none"})).text != first.text


def test_each_tenant_and_version_has_claims_of_its_own(target: Target) -> None:
    speller = Speller(SIGNER)
    for tenant_id, version in ((TENANT, 1), (OTHER, 1), (TENANT, 2)):
        spelled = speller.spell(replace(target, tenant_id=tenant_id, version=version), ROUND)
        receipt = SIGNER.verify(SIGNER.issue(spelled.claims), tenant_id)
        assert (receipt.tenant_id, receipt.adapter) == (tenant_id, f"avatars@{version}")
        assert (receipt.adapter_digest, receipt.edit) == (
            target.digest,
            {"set": {"glasses": "round"}, "detail": spelled.edit.detail},
        )


def test_those_not_used_for_longest_are_forgotten(target: Target) -> None:
    speller = Speller(SIGNER, most=2)
    edits = [EditRequest(adapter="avatars", set={"glasses": level}) for level in ("none", "round", "square")]
    first, second = (speller.spell(target, edit) for edit in edits[:2])
    assert speller.spell(target, edits[0]) is first
    speller.spell(target, edits[2])
    assert speller.spell(target, edits[0]) is first
    assert speller.spell(target, edits[1]) is not second


def test_an_erasure_forgets_the_edits_of_its_tenant_only(target: Target) -> None:
    speller, theirs = Speller(SIGNER), replace(target, tenant_id=OTHER)
    speller.forget_erased({TENANT: 1, OTHER: 1})
    mine, other = speller.spell(target, ROUND), speller.spell(theirs, ROUND)
    speller.forget_erased({TENANT: 2, OTHER: 1})
    assert speller.spell(target, ROUND) is not mine
    assert speller.spell(theirs, ROUND) is other


def test_what_is_wrong_is_said_each_time(target: Target) -> None:
    speller = Speller(SIGNER)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="pince-nez"):
            speller.spell(target, EditRequest(adapter="avatars", set={"glasses": "pince-nez"}))
