import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters.artifact import pack
from heddle_adapters.card import score_adapter
from heddle_adapters.gate import judge
from heddle_adapters.report import Card
from heddle_platform.errors import InvalidInput

BASE = "b" * 64


def perfect(latents: NDArray[Any]) -> NDArray[Any]:
    return latents


@pytest.fixture(scope="module")
def scored(tenant: Any) -> tuple[Any, Card, list[tuple[str, float]]]:
    told: list[tuple[str, float]] = []
    adapter, card = score_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest=BASE,
        round_trip=perfect,
        preserve_trip=lambda _rows, edited: edited,
        progress=lambda stage, share: told.append((stage, share)),
    )
    return adapter, card, told


def test_a_perfect_base_gives_a_perfect_card(scored: tuple[Any, Card, Any], tenant: Any) -> None:
    adapter, card, _ = scored
    assert card.factor("shape").accuracy > 0.98
    assert card.factor("age").measure == "r2"
    assert card.factor("age").accuracy > 0.95
    for factor in card.factors:
        assert factor.readable
        assert factor.effect is not None
        assert factor.effect > 0.9
        assert factor.leakage is not None
        assert factor.leakage < 0.1
        assert factor.accuracy_interval[0] <= factor.accuracy <= factor.accuracy_interval[1]
        assert set(factor.effect_by_detail) == {"decode", "preserve"}
        assert factor.ceiling is not None
        assert factor.ceiling > 0.8
    assert card.factor("shape").survives == 1.0
    assert card.factor("shape").chance == pytest.approx(np.bincount(tenant.values_NF[:, 1].astype(int)).max() / 400)
    assert sum(card.factor("size").counts.values()) == 400
    assert card.effect is not None
    assert card.mig.value is not None
    assert card.mig.interval is not None
    assert card.mig_latents.value is not None
    # one slider per factor is a far better code than the latents they are read from
    assert card.mig.value > card.mig_latents.value
    assert judge(card, tenant.factor_set).verdict == "pass"
    assert adapter.base_digest == BASE
    assert (card.latents, card.active_latents, card.write_kind) == (16, 16, "hybrid")


def test_the_document_is_json_without_clocks_and_comes_back(scored: tuple[Any, Card, Any]) -> None:
    _, card, _ = scored
    document = card.document()
    assert "fit_seconds" not in document
    assert card.fit_seconds > 0
    again = Card.model_validate(json.loads(json.dumps(document, allow_nan=False)))
    assert again.document() == document


def test_progress_reaches_the_end_of_every_stage(scored: tuple[Any, Card, Any]) -> None:
    _, _, told = scored
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["fit", "tune", "edit", "curves", "score"]
    for stage in ("fit", "tune", "edit", "score"):
        assert max(share for name, share in told if name == stage) == 1.0


def test_same_input_same_adapter_and_card(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=120)
    runs = [
        score_adapter(
            tenant.latents_NL,
            tenant.values_NF,
            tenant.factor_set,
            base_digest=BASE,
            round_trip=perfect,
            round_trips=200,
        )
        for _ in range(2)
    ]
    assert pack(runs[0][0]) == pack(runs[1][0])
    assert runs[0][1].document() == runs[1][1].document()


def test_no_more_pictures_are_drawn_than_the_budget(tenant: Any) -> None:
    drawn = []

    def counted(latents: NDArray[Any]) -> NDArray[Any]:
        drawn.append(len(latents))
        return latents

    _, card = score_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest=BASE,
        round_trip=counted,
        preserve_trip=lambda rows, edited: counted(edited) if len(rows) == len(edited) else edited[:0],
        round_trips=600,
    )
    assert sum(drawn) == card.round_trips <= 600


def test_what_the_base_cannot_draw_is_told_and_refused(tenant: Any) -> None:
    shape = tenant.effects_PL[1:3]
    basis = np.linalg.qr(shape.T)[0]

    def blind(latents: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(latents - (latents @ basis) @ basis.T)

    adapter, card = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest=BASE, round_trip=blind, round_trips=1_000
    )
    found = card.factor("shape")
    assert found.accuracy > 0.98  # it can be read from real pictures
    assert found.survives is not None
    assert found.survives < 0.6
    assert found.effect is not None
    assert found.effect < 0.6
    # what is lost without any edit is no edit's fault
    assert card.leakage["lit"]["shape"] < 0.1
    assert found.effect_by_detail.keys() == {"decode"}
    verdict = judge(card, tenant.factor_set)
    assert verdict.verdict == "needs_approval"
    assert verdict.refused == ("shape",)
    assert "keep their reading only" in verdict.factors["shape"].reasons[0]
    assert adapter.with_refused(verdict.refused).refused == ("shape",)


def test_a_weak_decoder_is_answered_with_gain(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(document={"name": "one", "factors": [{"name": "lit", "kind": "binary"}]}, noise=0.2)
    direction = tenant.effects_PL[0] / np.linalg.norm(tenant.effects_PL[0])
    middle = tenant.latents_NL.mean(axis=0)

    def weak(latents: NDArray[Any]) -> NDArray[Any]:
        # draws a dead zone about the middle: an edit that just crosses it is not seen
        along = (latents - middle) @ direction
        return latents - np.outer(np.sign(along) * np.minimum(np.abs(along), 0.55) - 0.05, direction)

    adapter, card = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest=BASE, round_trip=weak, round_trips=800
    )
    assert card.factor("lit").gain > 1.0
    assert float(adapter.gain_F[0]) == card.factor("lit").gain
    # a single slider has no gap to a second one: not a number, and the reason is on the card
    assert card.mig.value is None
    assert card.mig.protocol["code"] == "one_latent"


def test_the_mode_that_leaves_other_factors_alone_is_chosen(tenant: Any) -> None:
    def shaky(latents: NDArray[Any]) -> NDArray[Any]:
        return latents + 0.6 * np.random.default_rng(0).normal(size=latents.shape)

    _, card = score_adapter(
        tenant.latents_NL,
        tenant.values_NF,
        tenant.factor_set,
        base_digest=BASE,
        round_trip=shaky,
        preserve_trip=lambda _rows, edited: edited,
        round_trips=1_500,
    )
    assert {factor.detail for factor in card.factors} == {"preserve"}


def test_missing_labels_and_a_pool_are_taken(draw_tenant: Callable[..., Any]) -> None:
    def lose_some(values_NF: Any) -> Any:
        return np.where(np.random.default_rng(3).random(values_NF.shape) < 0.2, np.nan, values_NF)

    tenant = draw_tenant()
    values_NF = lose_some(tenant.values_NF)
    _, card = score_adapter(
        tenant.latents_NL,
        values_NF,
        tenant.factor_set,
        base_digest=BASE,
        round_trip=perfect,
        pool_ML=draw_tenant(rows=300, seed=8).latents_NL,
        round_trips=300,
    )
    assert card.pool == 300
    assert card.factor("lit").labels == int((~np.isnan(values_NF[:, 0])).sum())
    assert card.factor("lit").accuracy > 0.9
    assert card.mig.value is not None


def test_correlated_labels_are_warned_of(draw_tenant: Callable[..., Any]) -> None:
    document = {"name": "pair", "factors": [{"name": "one", "kind": "binary"}, {"name": "two", "kind": "binary"}]}

    def follow(values_NF: Any) -> Any:
        never = (values_NF[:, 0] == 1) & (values_NF[:, 1] == 0)
        return np.where(np.stack([np.zeros_like(never), never], axis=1), 1.0, values_NF)

    tenant = draw_tenant(document=document, change_values=follow)
    _, card = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest=BASE, round_trip=perfect, round_trips=200
    )
    codes = ["correlated_labels", "empty_cells", "learnt_correlation"]
    assert [warning.code for warning in card.warnings] == codes
    assert card.warnings[0].numbers["value"] == pytest.approx(card.associations[0].value)
    assert "label 5 more image(s) in which one is 'on', two is 'off'" in card.warnings[1].action
    assert card.labelling is not None
    assert card.labelling.requests[0].levels == {"one": "on", "two": "off"}
    assert card.associations[0].claim == "refused"
    assert "1 of 4 empty" in card.warnings[1].detail
    assert card.associations[0].smallest_cell == 0
    ceiling = card.factor("one").ceiling
    assert ceiling is not None
    assert ceiling < 0.9


def test_rare_levels_and_unreadable_factors_do_not_break_it(draw_tenant: Callable[..., Any]) -> None:
    def rare(values_NF: Any) -> Any:
        values_NF[:, 1] = np.where(np.arange(len(values_NF)) < 3, 2.0, np.minimum(values_NF[:, 1], 1.0))
        values_NF[:, 0] = np.random.default_rng(5).integers(2, size=len(values_NF))
        return values_NF

    made = draw_tenant()
    _, card = score_adapter(
        made.latents_NL, rare(made.values_NF.copy()), made.factor_set, base_digest=BASE, round_trip=perfect
    )
    assert card.factor("shape").counts["cone"] == 3
    assert "few_labels" in {warning.code for warning in card.warnings}
    assert not card.factor("lit").readable
    assert "lit" in judge(card, made.factor_set).refused


def test_too_little_is_refused(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant(rows=60)
    for rows, folds, code in ((4, 5, "too_few_labels"), (60, 1, "invalid_folds")):
        with pytest.raises(InvalidInput) as error:
            score_adapter(
                tenant.latents_NL[:rows],
                tenant.values_NF[:rows],
                tenant.factor_set,
                base_digest=BASE,
                round_trip=perfect,
                folds=folds,
            )
        assert error.value.code == code


def test_the_card_names_looks_that_depend_on_each_other(entwine: Callable[..., Any]) -> None:
    def spare(values_NF: Any) -> Any:
        cell = np.flatnonzero((values_NF[:, 0] == 1) & (values_NF[:, 1] == 2))
        values_NF[cell[4:], 1] = 1
        return values_NF

    tenant = entwine(change_values=spare)
    adapter, card = score_adapter(
        tenant.latents_NL, tenant.values_NF, tenant.factor_set, base_digest=BASE, round_trip=perfect, round_trips=400
    )
    [pair] = [one for one in card.interactions if one.kept]
    assert (pair.factor, pair.on, pair.columns, pair.cells) == ("lit", "shape", 2, 6)
    assert pair.gain > 4 * pair.error
    assert f"{pair.gain:.4f}" in pair.reason
    assert pair.thin_cells == (("on", "cone"),)
    [warning] = [one for one in card.warnings if one.code == "thin_interaction"]
    assert "on with cone" in warning.detail
    assert [(one.factor, one.on) for one in adapter.interactions] == [(0, 1)]
    assert Card.model_validate(json.loads(json.dumps(card.document()))) == card.model_copy(update={"fit_seconds": 0.0})
    older = card.document()
    del older["interactions"]
    assert Card.model_validate(older).interactions == ()


def test_the_fall_back_of_the_write_is_named_on_the_card(draw_tenant: Callable[..., Any]) -> None:
    document = {"name": "twins", "factors": [{"name": "one", "kind": "binary"}, {"name": "other", "kind": "binary"}]}
    twins = draw_tenant(document=document, change_values=lambda values: values[:, [0, 0]])
    adapter, card = score_adapter(
        twins.latents_NL, twins.values_NF, twins.factor_set, base_digest=BASE, round_trip=perfect
    )
    assert (adapter.write_kind, card.write_kind) == ("additive", "additive")
    [told] = [warning for warning in card.warnings if warning.code == "additive_write"]
    assert told.numbers["condition"] > told.numbers["warned_above"] == 1_000
    assert "edits follow the joint effects alone" in told.detail
    assert told.action
    assert len(told.detail) < 200


def test_an_order_that_images_do_not_follow_is_named_on_the_card(draw_tenant: Callable[..., Any]) -> None:
    factor = {"name": "size", "kind": "ordinal", "levels": ["s", "m", "l", "xl"]}
    drawn = draw_tenant(document={"name": "n", "factors": [factor]})
    shuffled = np.array([2.0, 0.0, 3.0, 1.0])[drawn.values_NF.astype(int)]
    adapter, card = score_adapter(drawn.latents_NL, shuffled, drawn.factor_set, base_digest=BASE, round_trip=perfect)
    assert adapter.codings[0].kind == "categorical"
    [told] = [warning for warning in card.warnings if warning.code == "not_monotone"]
    assert told.factors == ("size",)
    assert told.action


def test_additive_factors_have_no_interaction_on_their_card(scored: tuple[Any, Card, Any]) -> None:
    adapter, card, _ = scored
    assert adapter.interactions == ()
    assert not any(one.kept for one in card.interactions)
