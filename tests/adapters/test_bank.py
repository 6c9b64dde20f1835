import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.adapter import Adapter
from heddle_adapters.bank import AdapterBank
from heddle_adapters.edit import edit_latents
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, NotFound

SMALL = {"name": "small", "factors": [{"name": "lit", "kind": "binary"}]}


@pytest.fixture(scope="module")
def small(draw_tenant: Callable[..., Any]) -> Adapter:
    fitted: Adapter = draw_tenant(rows=100, seed=4, document=SMALL).fit()
    return fitted


def requests_of(rows: int) -> list[EditRequest]:
    kinds: list[dict[str, Any]] = [
        {"set": {"shape": "cone"}},
        {"set": {"age": 40.0}, "preserve": ["size", "lit"]},
        {"shift": {"size": -1, "hue": 30}},
    ]
    return [EditRequest(adapter="a", **kinds[row % 3]) for row in range(rows)]


def test_mixed_tenants_equal_one_by_one(adapter: Adapter, small: Adapter, tenant: Any) -> None:
    bank = AdapterBank(16)
    bank.add("small", small)  # first the small one: the stack must widen
    bank.add("large", adapter)
    latents = tenant.latents_NL[:12].astype(np.float32)
    lit = EditRequest(adapter="b", set={"lit": True})
    edits = [("large", one) if row % 4 else ("small", lit) for row, one in enumerate(requests_of(12))]
    found = bank.edit(latents, edits)
    for row, (digest, one) in enumerate(edits):
        alone = edit_latents(bank.get(digest), latents[row : row + 1], [one])
        assert found.latents_BL[row] == pytest.approx(alone.latents_BL[0], abs=1e-5)
        assert found.extrapolation_B[row] == pytest.approx(alone.extrapolation_B[0], abs=1e-5)
        assert found.detail[row] == alone.detail[0]
        assert found.readings_before(row).as_json(0) == alone.readings_before.as_json(0)


def test_removed_adapters_are_gone_and_their_place_is_reused(adapter: Adapter, small: Adapter) -> None:
    bank = AdapterBank(16)
    for digest in ("one", "two"):
        bank.add(digest, adapter)
    bank.remove("one")
    bank.remove("one")
    assert bank.digests == ("two",)
    with pytest.raises(NotFound) as error:
        bank.get("one")
    assert error.value.code == "adapter_not_loaded"
    bank.add("three", small)
    assert len(bank) == 2
    assert "three" in bank
    latents = np.ones((1, 16), np.float32)
    one = EditRequest(adapter="b", set={"lit": True})
    expected = edit_latents(small, latents, [one]).latents_BL
    assert bank.edit(latents, [("three", one)]).latents_BL == pytest.approx(expected, abs=1e-6)


def test_faults_are_those_of_a_single_edit(adapter: Adapter) -> None:
    bank = AdapterBank(16)
    bank.add("one", adapter)
    wrong = EditRequest(adapter="a", set={"shape": "torus"})
    with pytest.raises(InvalidInput) as error:
        bank.edit(np.zeros((1, 16)), [("one", wrong)])
    assert error.value.code == "unknown_level"
    with pytest.raises(NotFound):
        bank.edit(np.zeros((1, 16)), [("two", wrong)])
    with pytest.raises(InvalidInput):
        bank.edit(np.zeros((2, 16)), [("one", wrong)])
    with pytest.raises(InvalidInput) as error:
        AdapterBank(8).add("one", adapter)
    assert error.value.code == "latent_mismatch"


def test_edits_are_right_while_adapters_come_and_go(adapter: Adapter, small: Adapter, tenant: Any) -> None:
    bank = AdapterBank(16)
    bank.add("kept", adapter)
    latents, requests = tenant.latents_NL[:3].astype(np.float32), requests_of(3)
    expected = bank.edit(latents, [("kept", one) for one in requests]).latents_BL
    done = threading.Event()

    def churn() -> None:
        turn = 0
        while not done.is_set():
            bank.add(f"other{turn % 20}", small)
            bank.remove(f"other{(turn - 5) % 20}")
            turn += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            assert np.array_equal(bank.edit(latents, [("kept", one) for one in requests]).latents_BL, expected)
    finally:
        done.set()
        thread.join()
