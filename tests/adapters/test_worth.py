"""Interactions that do harm are given up, with the reason."""

import numpy as np

from heddle_adapters.card import score_adapter
from heddle_adapters.discover import Tried
from heddle_adapters.interaction import Interaction
from heddle_adapters.worth import do_harm, given_up
from tests.adapters.conftest import make_entwined


def test_given_up_pairs_say_why_and_others_stay_as_they_were() -> None:
    pair = Interaction(0, 1, 0.1, 0.01, ())
    tried = (Tried(pair, 2, True, "clear"), Tried(pair, 2, False, "within noise"))
    kept, refused = given_up(tried, np.array([0.8]), np.array([0.9]))
    assert not kept.kept
    assert "0.800 with them, 0.900 without" in kept.reason
    assert refused == tried[1]


def test_only_a_clear_loss_is_harm() -> None:
    without = np.ones(400)
    assert not do_harm(without, without)
    assert not do_harm(without - 0.015, without)
    assert do_harm(without - 0.03, without)
    few = np.ones(20)
    few[0] = 0.0
    assert not do_harm(few, np.ones(20))  # one edit of twenty


def test_a_faithful_base_keeps_its_pairs() -> None:
    tenant = make_entwined(strength=2.0)
    adapter, card = score_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest="b" * 64,
        round_trip=lambda latents_BL: latents_BL,
        round_trips=1_500,
    )
    assert [(one.factor, one.on) for one in adapter.interactions] == [(0, 1)]
    assert [one.kept for one in card.interactions if (one.factor, one.on) == ("lit", "shape")] == [True]
