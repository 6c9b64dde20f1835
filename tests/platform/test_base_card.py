"""The model card: measured from a bundle, drawn on one page that runs nothing and fits its window."""

import json
from pathlib import Path

import numpy as np
import pytest

from heddle_platform.base.bundle import CARD_HTML, CARD_JSON, load_bundle, read_card_files
from heddle_platform.base.card import BaseCard, kept_card, make_card, write_card
from heddle_platform.base.card_page import card_page
from heddle_platform.base.card_parts import as_seen
from heddle_platform.base.charts import Series, chart
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import Corpus, Part, build_corpus
from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.base.run_log import kept_measurements
from heddle_platform.base.slices import labelled_slice
from heddle_platform.base.train import BUNDLE, METRICS, train
from heddle_platform.base.traversal import most_active, traversal_grid

TINY = {
    "name": "tiny",
    "notes": "<script>alert(1)</script> & more",
    "corpus": {"images": {"dsprites": 60}, "held_out": 60, "processes": 1},
    "network": {
        "latents": 6, "width": 16, "token_hidden": 8, "squeeze": 4, "hidden": 24,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "optimiser": {"batch": 8, "warmup_steps": 5},
    "steps": 6,
}  # fmt: skip


def scored(codes: np.ndarray, labels: np.ndarray) -> dict[str, Reading]:
    assert len(codes) == len(labels)
    return {"mig": Reading(value=0.25, low=0.1, high=0.4, by=f"n = {len(codes)}")}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.model_validate(TINY)


@pytest.fixture(scope="module")
def trained(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(recipe, folder, cache_dir=folder / "cache", score=scored)
    return folder


@pytest.fixture(scope="module")
def corpus(recipe: Recipe, trained: Path) -> Corpus:
    return build_corpus(recipe.corpus, cache_dir=trained / "cache")


def test_a_training_leaves_its_log_and_its_card(trained: Path) -> None:
    [row] = [Measurement.model_validate_json(line) for line in (trained / METRICS).read_text().splitlines()]
    assert row.step == 6
    assert row.score("mig") == 0.25
    assert row.score("dci") is None
    run = json.loads((trained / "run.json").read_text())
    assert run["recipe"]["name"] == "tiny"
    assert run["seed"] == 0
    assert (trained / "traversals" / "step-0000006.png").read_bytes().startswith(b"\x89PNG")
    card = kept_card(trained / BUNDLE)
    assert card is not None
    assert card.digest == load_bundle(trained / BUNDLE).digest
    assert set(card.parts) == {"dsprites"}
    assert card.parts["dsprites"].scores["mig"].by == "n = 60"
    assert card.curves == (row,)
    assert set(read_card_files(trained / BUNDLE)) == {CARD_JSON, CARD_HTML}


def test_the_page_is_whole_and_escapes_what_people_wrote(trained: Path) -> None:
    page = (trained / BUNDLE / CARD_HTML).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for words in ("Why this beta", "Known failures", "Traversals of dsprites", "default-src 'none'"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_card_without_scores_has_the_errors_of_its_manifest(trained: Path, corpus: Corpus) -> None:
    bundle = load_bundle(trained / BUNDLE)
    card = make_card(bundle, corpus.held_out)
    assert card.parts["dsprites"].scores == {}
    assert card.parts["dsprites"].mse == pytest.approx(bundle.manifest.metrics.mse["dsprites"], abs=1e-5)


def test_a_card_shows_images_as_a_small_grey_base_sees_them() -> None:
    colours = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    colours[..., 0] = 200
    seen = as_seen(Part("p", colours, np.zeros((2, 1), dtype=np.int16)), 32, 1)
    assert seen.images.shape == (2, 32, 32, 3)
    assert np.unique(seen.images).tolist() == [round(0.299 * 200)]


def test_a_new_card_of_the_same_base_keeps_its_history(trained: Path, corpus: Corpus, tmp_path: Path) -> None:
    kept = kept_card(trained / BUNDLE)
    made = make_card(load_bundle(trained / BUNDLE), corpus.held_out, kept=kept)
    assert kept is not None
    assert made.curves == kept.curves
    write_card(made, tmp_path)
    assert kept_card(tmp_path) == made
    assert kept_card(tmp_path / "nowhere") is None
    assert BaseCard.model_validate_json(made.canonical()) == made


def test_known_failures_stand_on_the_page_and_go_on_from_card_to_card(trained: Path, corpus: Corpus) -> None:
    bundle = load_bundle(trained / BUNDLE)
    first = make_card(bundle, corpus.held_out, known=["Reads <poses> badly: 67 %, 85 % wanted."])
    assert b"<li>Reads &lt;poses&gt; badly: 67 %, 85 % wanted.</li>" in card_page(first)
    assert make_card(bundle, corpus.held_out, kept=first).known == first.known
    assert make_card(bundle, corpus.held_out, known=["Other."], kept=first).known == ("Other.",)
    other = first.model_copy(update={"digest": "0" * 64})
    assert make_card(bundle, corpus.held_out, kept=other).known == ()


def test_the_log_of_its_training_is_taken_from_its_folder_and_from_no_other(trained: Path) -> None:
    recipe = load_bundle(trained / BUNDLE).manifest.recipe
    [row] = kept_measurements(trained, recipe)
    assert row.step == 6
    assert kept_measurements(trained, {**recipe, "seed": 7}) == ()
    assert kept_measurements(trained / "nowhere", recipe) == ()


def test_a_card_without_curves_says_so(trained: Path) -> None:
    card = kept_card(trained / BUNDLE)
    assert card is not None
    assert b"was not kept" in card_page(card.model_copy(update={"curves": ()}))
    assert b"measured only once" in card_page(card)


def test_the_labelled_slice_takes_factors_that_are_known_and_vary() -> None:
    labels = np.array([[index % 2, -1 if index == 3 else 0, 5] for index in range(60)], dtype=np.int16)
    part = Part("p", np.zeros((60, 8, 8, 3), dtype=np.uint8), labels)
    chosen = labelled_slice(part)
    assert chosen is not None
    assert chosen.shape == (60, 1)
    assert labelled_slice(Part("p", part.images[:49], labels[:49])) is None


def test_a_traversal_moves_one_latent_a_row() -> None:
    def decode(codes: np.ndarray) -> np.ndarray:
        values = np.clip(codes[:, :2].sum(axis=1) / 8 + 0.5, 0, 1)
        return np.broadcast_to(values[:, None, None, None], (len(codes), 4, 4, 3)).astype(np.float32)

    sheet = traversal_grid(decode, np.zeros(3), [1, 2], strengths=(-2.0, 2.0))
    assert sheet.shape == (2 * 6 + 2, 2 * 6 + 2, 3)
    assert sheet[3, 3, 0] == 64
    assert sheet[3, 9, 0] == 191
    assert sheet[9, 3, 0] == sheet[9, 9, 0] == 128, "latent 2 draws nothing"
    assert most_active([0.1, 3.0, 2.0], 2) == [1, 2]


def test_a_chart_says_what_it_shows_and_survives_a_flat_line() -> None:
    drawn = str(chart([Series("<mse>", [(0, 1.0), (10, 1.0)])], "steps", "MSE"))
    assert "&lt;mse&gt; from 1 at 0 to 1 at 10" in drawn
    assert "nan" not in drawn
    assert "Nothing was measured" in str(chart([], "steps", "MSE"))
