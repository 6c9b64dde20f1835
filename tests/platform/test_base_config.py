"""Recipes: read whole or refused with a sentence."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.config import Recipe, load_recipe
from heddle_platform.base.network import PatchConfig
from heddle_platform.base.styles import STYLES
from heddle_platform.errors import InvalidInput


def test_the_default_recipe_reads_and_holds_only_allowed_parts() -> None:
    recipe = load_recipe(Path(str(files("heddle_platform.base").joinpath("recipes", "default.yaml"))))
    assert recipe.name == "default"
    assert set(recipe.corpus.images) == {*STYLES, "dsprites", "glyphs"}


@pytest.mark.parametrize(
    "text",
    [
        "name: a\ncorpus: {images: {dylan: 1}}\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nminutes: 1\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nspeed: 3\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nterms: [{kind: magic}]\n",
        "name: [\n",
    ],
    ids=["no length", "two lengths", "unknown field", "unknown term", "not yaml"],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"recipe\.yaml is not a base recipe") as caught:
        load_recipe(path)
    assert caught.value.code == "invalid_recipe"


SMALL = {"name": "a", "corpus": {"images": {"dylan": 1}}, "steps": 3}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"network": {"kind": "convolution", "channels": 1}, "after": {"kind": "flow"}},
        {"terms": [{"kind": "ada"}, {"kind": "mmd", "prior": {"shape": "samples", "path": "latents.npy"}}]},
        {"labels": {"images": 10}, "pairs": {"changed": 2}, "after": {"kind": "fastica"}},
    ],
)
def test_a_recipe_survives_its_manifest(more: dict[str, Any]) -> None:
    recipe = Recipe.model_validate({**SMALL, **more})
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_the_shipped_base_still_reads_as_a_recipe() -> None:
    manifest = load_bundle(default_bundle_path()).manifest
    assert isinstance(Recipe.model_validate(manifest.recipe).network, PatchConfig)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"terms": [{"kind": "bernoulli"}]}, "bernoulli needs probabilities"),
        ({"terms": [{"kind": "ada"}], "optimiser": {"batch": 7}}, "batch is 7, pairs need an even one"),
        ({"after": {"kind": "pca"}}, "pca"),
    ],
)
def test_terms_that_do_not_fit_the_rest_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate({**SMALL, **more})
