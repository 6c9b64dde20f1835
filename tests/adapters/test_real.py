"""Real pictures through the shipped base: what a tenant is promised, measured. Skips where either is absent."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from heddle_adapters.adapter import Adapter
from heddle_adapters.card import score_adapter
from heddle_adapters.edit import edit_latents
from heddle_adapters.fit import fit_adapter
from heddle_adapters.gate import judge
from heddle_adapters.read import read
from heddle_adapters.report import Card
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime, to_uint8
from heddle_platform.edits import EditRequest
from heddle_platform.factors import FactorSet, parse_factor_set

SIX = ("skin", "hair", "hair_color", "mouth", "glasses", "background")
PIXEL_ART = (
    "skin",
    "hair",
    "hair_color",
    "eyes",
    "mouth",
    "beard",
    "glasses",
    "clothing",
    "clothing_color",
    "background",
)


class Domain:
    """Images of one set, their labels, and the round trips a worker would make."""

    def __init__(self, path: Path, names: tuple[str, ...], rows: int, base: BaseRuntime) -> None:
        stored = np.load(path)
        images = stored["images"][:rows]
        self.images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
        columns = [[str(name) for name in stored["factor_names"]].index(name) for name in names]
        spoken = json.loads(str(stored["factor_values"]))
        used = [np.unique(stored["factors"][:rows, column], return_inverse=True) for column in columns]
        self.values_NF = np.stack([inverse for _, inverse in used], axis=1).astype(np.float64)
        self.factor_set: FactorSet = parse_factor_set(
            {
                "name": "real",
                "factors": [
                    {"name": name, "kind": "categorical", "levels": [str(spoken[column][k]) for k in levels]}
                    for name, column, (levels, _) in zip(names, columns, used, strict=True)
                ],
            }
        )
        self.base = base
        self.latents_NL = base.encode(self.images)
        self.plain = base.decode(self.latents_NL)

    def round_trip(self, latents: NDArray[Any]) -> NDArray[Any]:
        return self.base.encode(to_uint8(self.base.decode(latents)))

    def preserve_trip(self, rows: NDArray[np.intp], edited: NDArray[Any]) -> NDArray[Any]:
        pictures = self.images[rows] / np.float32(255) + self.base.decode(edited) - self.plain[rows]
        return self.base.encode(to_uint8(np.clip(pictures, 0, 1)))

    def score(self, rows: int, round_trips: int) -> tuple[Adapter, Card]:
        return score_adapter(
            self.latents_NL[:rows].astype(np.float64),
            self.values_NF[:rows],
            self.factor_set,
            base_digest=self.base.digest,
            round_trip=self.round_trip,
            preserve_trip=self.preserve_trip,
            round_trips=round_trips,
        )


@pytest.fixture(scope="module")
def base() -> BaseRuntime:
    path = default_bundle_path()
    if not (path / "manifest.json").is_file():
        pytest.skip("the shipped base is not there; train one with `heddle base train`")
    return BaseRuntime.from_bundle(load_bundle(path))


@pytest.fixture(scope="module")
def avatars(shared_data: Path, base: BaseRuntime) -> Domain:
    return Domain(shared_data / "avatars.npz", SIX, 1_500, base)


@pytest.fixture(scope="module")
def pixel_art(shared_data: Path, base: BaseRuntime) -> Domain:
    return Domain(shared_data / "avatars_pixelart.npz", PIXEL_ART, 1_500, base)


@pytest.fixture(scope="module")
def scored(avatars: Domain) -> tuple[Adapter, Card]:
    return avatars.score(1_000, 1_200)


def test_a_thousand_avatars_are_read_edited_and_pass(avatars: Domain, scored: tuple[Adapter, Card]) -> None:
    adapter, card = scored
    held = slice(1_000, 1_500)
    right_F = (read(adapter, avatars.latents_NL[held]).values_BF == avatars.values_NF[held]).mean(axis=0)
    assert right_F.mean() >= 0.90
    # the card promised what the held-out images show
    assert card.accuracy == pytest.approx(right_F.mean(), abs=0.03)
    assert card.effect is not None
    assert card.effect >= 0.80
    verdict = judge(card, avatars.factor_set)
    assert len(verdict.refused) <= 1
    assert verdict.verdict in ("pass", "needs_approval")


def test_held_out_edits_do_what_the_card_says(avatars: Domain, scored: tuple[Adapter, Card]) -> None:
    adapter, card = scored
    rows = np.arange(1_000, 1_100)
    for name in ("hair_color", "background"):
        levels = avatars.factor_set.factor(name).level_names  # type: ignore[union-attr]
        wanted = [levels[row % len(levels)] for row in rows]
        requests = [EditRequest(adapter="a", set={name: level}) for level in wanted]
        edited = edit_latents(adapter, avatars.latents_NL[rows], requests)
        seen = (
            avatars.round_trip(edited.latents_BL)
            if card.factor(name).detail == "decode"
            else avatars.preserve_trip(rows, edited.latents_BL)
        )
        after = read(adapter, seen)[name].values
        assert (after == [levels.index(level) for level in wanted]).mean() > 0.85


def test_real_edits_have_unit_effect_learn_no_correlation_and_go_back(
    avatars: Domain, scored: tuple[Adapter, Card]
) -> None:
    _, card = scored
    measured = card.measured
    assert measured is not None
    assert measured.judge.kind == "independent"
    curves = {curve.factor: curve for curve in measured.curves}
    for name in ("skin", "hair", "hair_color", "background"):
        assert 0.75 < curves[name].unit_effect < 1.25, name
        assert curves[name].monotone > 0.8, name
        assert curves[name].usable[1] >= 1.0, name
    # labels of this set are drawn independently, and no edit may pretend otherwise
    assert max(abs(leak.signed) for leak in measured.leaks) < 0.15
    assert {pair.claim for pair in card.associations} == {"none_found"}
    kept = {one.factor: one for one in measured.fidelity}
    assert measured.preserved is not None
    assert kept["background"].restored_reading is not None
    assert kept["background"].restored_reading > 0.8
    # what the card says of the base's own loss is what the base loses
    latents_NL = avatars.latents_NL[:1_000].astype(np.float64)
    lost_NL = avatars.round_trip(avatars.latents_NL[:1_000]) - latents_NL
    typical = np.sqrt(np.square(lost_NL).sum() / np.square(latents_NL - latents_NL.mean(axis=0)).sum())
    assert measured.round_trip_error == pytest.approx(typical, rel=0.15)


@pytest.mark.xfail(strict=True, reason="the shipped base reads more than it draws: .29 on these avatars")
def test_the_base_draws_what_it_reads(scored: tuple[Adapter, Card]) -> None:
    _, card = scored
    assert card.measured is not None
    assert card.measured.round_trip_error < 0.25


@pytest.mark.xfail(strict=True, reason="edits of hair and skin move latents no factor names: .73 on these avatars")
def test_edits_keep_what_no_factor_names(scored: tuple[Adapter, Card]) -> None:
    _, card = scored
    assert card.measured is not None
    assert card.measured.preserved is not None
    assert card.measured.preserved > 0.75


def test_an_unreadable_factor_has_no_endless_effect(shared_data: Path, base: BaseRuntime) -> None:
    faces = Domain(shared_data / "cmu_faces.npz", ("pose", "expression", "eyes"), 624, base)
    _, card = faces.score(624, 900)
    assert card.measured is not None
    for curve in card.measured.curves:
        assert all(abs(point.effect) < 20 for point in curve.points), curve.factor


# On avatars the shipped base leaves a probe of 300 labels .98: no lead to have there. Pixel art leaves it .82.
@pytest.mark.parametrize(("domain", "labels", "lead"), [("avatars", 100, 0.06), ("pixel_art", 300, 0.04)])
def test_few_labels_read_better_than_a_tuned_probe(
    domain: str, labels: int, lead: float, request: pytest.FixtureRequest
) -> None:
    pictures: Domain = request.getfixturevalue(domain)
    held = slice(1_000, 1_500)
    latents_NL, values_NF = pictures.latents_NL.astype(np.float64), pictures.values_NF
    adapter = fit_adapter(latents_NL[:labels], values_NF[:labels], pictures.factor_set, base_digest="b")
    ours = (read(adapter, latents_NL[held]).values_BF == values_NF[held]).mean()
    # tuned on the held-out images themselves, which flatters it
    theirs = max(
        np.mean(
            [
                LogisticRegression(C=strength, max_iter=200)
                .fit(latents_NL[:labels], values_NF[:labels, index])
                .score(latents_NL[held], values_NF[held, index])
                for index in range(values_NF.shape[1])
            ]
        )
        for strength in (0.03, 0.3, 3.0)
    )
    assert ours > theirs + lead


def test_photographs_pass_where_they_can_be_read_and_expression_is_refused(
    shared_data: Path, base: BaseRuntime
) -> None:
    faces = Domain(shared_data / "cmu_faces.npz", ("pose", "expression", "eyes"), 624, base)
    _, card = faces.score(624, 900)
    verdict = judge(card, faces.factor_set)
    assert verdict.verdict == "needs_approval"
    assert verdict.refused == ("expression",)
    assert not card.factor("expression").readable
    assert "commonest level" in verdict.factors["expression"].reasons[0]
