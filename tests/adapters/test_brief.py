"""Brief cards: the same accuracy to within noise, few pictures, what is left out said, and the gate on wide bounds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.artifact import pack
from heddle_adapters.brief import EDITS, score_brief
from heddle_adapters.card import score_adapter
from heddle_adapters.gate import judge
from heddle_adapters.report import Card
from heddle_platform.factors import FactorSet, parse_factor_set

FACTORS: FactorSet = parse_factor_set(
    {
        "name": "made_up",
        "factors": [
            {"name": "color", "kind": "categorical", "levels": ["a", "b", "c"]},
            {"name": "worn", "kind": "binary"},
            {"name": "age", "kind": "continuous", "range": [-4, 4]},
        ],
    }
)
Matrix = NDArray[np.float64]


def made_up(rows: int = 300, latents: int = 16) -> tuple[Matrix, Matrix]:
    """Return latents that show three factors clearly, and labels."""
    random = np.random.default_rng(0)
    values_NF = np.stack(
        [random.integers(3, size=rows), random.integers(2, size=rows), random.uniform(-2, 2, size=rows)], axis=1
    ).astype(np.float64)
    latents_NL = random.normal(size=(rows, latents))
    latents_NL[:, :3] += 4.0 * np.eye(3)[values_NF[:, 0].astype(int)]
    latents_NL[:, 3] += 5.0 * values_NF[:, 1]
    latents_NL[:, 4] = 2.0 * values_NF[:, 2] + 0.2 * latents_NL[:, 4]
    return latents_NL, values_NF


class Drawn:
    """A round trip without loss that counts pictures."""

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(self, latents_BL: NDArray[Any]) -> NDArray[Any]:
        self.pictures += len(latents_BL)
        return latents_BL


def brief(drawn: Drawn) -> tuple[bytes, Card]:
    adapter, card = score_brief(*made_up(), FACTORS, base_digest="b" * 64, round_trip=drawn)
    return pack(adapter), card


def test_it_reads_as_well_as_a_full_card_says_and_draws_few_pictures() -> None:
    few, many = Drawn(), Drawn()
    _, short = brief(few)
    _, full = score_adapter(*made_up(), FACTORS, base_digest="b" * 64, round_trip=many)
    assert few.pictures == short.round_trips == EDITS * len(FACTORS.factors)
    assert many.pictures > 10 * few.pictures
    for one, other in zip(short.factors, full.factors, strict=True):
        assert abs(one.accuracy - other.accuracy) < 0.05
        assert other.accuracy_interval[0] <= one.accuracy <= other.accuracy_interval[1] + 0.02


def test_where_an_edit_changes_another_factor_the_unedited_pictures_are_drawn_as_well() -> None:
    def made_plain(latents_BL: NDArray[Any]) -> NDArray[Any]:
        changed = np.array(latents_BL)
        changed[:, 3] = 0.0  # the base draws nobody with what is worn
        return changed

    asked: list[int] = []

    def counted(latents_BL: NDArray[Any]) -> NDArray[Any]:
        asked.append(len(latents_BL))
        return made_plain(latents_BL)

    _, card = score_brief(*made_up(), FACTORS, base_digest="b" * 64, round_trip=counted)
    factors = len(FACTORS.factors)
    assert asked[:2] == [EDITS * factors, EDITS]
    assert card.round_trips == sum(asked)
    assert (card.factor("worn").survives or 0.0) < 1.0
    assert card.factor("color").survives == 1.0
    # what is lost without an edit is not blamed on the edits of others
    assert card.leakage["color"]["worn"] == 0.0
    assert "worn" in judge(card, FACTORS).refused
    assert judge(card, FACTORS).factors["color"].verdict == "pass"


def test_it_says_what_it_leaves_out() -> None:
    _, card = brief(Drawn())
    assert card.measured is None
    assert (card.mig.value, card.dci.value) == (None, None)
    assert "brief card" in str(card.mig.protocol["not_defined"])
    assert card.protocol["brief"]["edits_per_factor"] == EDITS
    assert "gain_and_detail" not in card.protocol
    assert {factor.detail for factor in card.factors} == {"decode"}


def test_clear_factors_pass_and_a_wish_it_cannot_judge_asks_for_a_person() -> None:
    _, card = brief(Drawn())
    verdict = judge(card, FACTORS)
    assert [verdict.factors[name].verdict for name in ("color", "worn")] == ["pass", "pass"]
    assert verdict.refused == ()
    wished = parse_factor_set({**FACTORS.document(), "accept": {"mig": 0.5}})
    verdict = judge(card, wished)
    assert verdict.verdict == "needs_approval"
    assert any("gap" in reason for reason in verdict.reasons)


def test_an_edit_that_does_not_arrive_is_refused() -> None:
    latents_NL, values_NF = made_up()

    def forgetful(latents_BL: NDArray[Any]) -> NDArray[Any]:
        changed = np.array(latents_BL)
        changed[:, :3] = latents_NL[:, :3].mean(axis=0)  # the base cannot draw the color
        return changed

    _, card = score_brief(latents_NL, values_NF, FACTORS, base_digest="b" * 64, round_trip=forgetful)
    assert "color" in judge(card, FACTORS).refused


def test_equal_input_gives_equal_bytes() -> None:
    (first, card), (again, told) = brief(Drawn()), brief(Drawn())
    assert first == again
    assert card.document() == told.document()
